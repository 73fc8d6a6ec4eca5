use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// In what precision the weights of the base model are held, and the activations beside them.
/// Norms, biases, the head and LoRA's matrices are always in 32 bits, and so is every sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum Dtype {
    #[default]
    F32,
    /// Brain floating point: the range of 32 bits with 8 bits of precision, in half the memory.
    Bf16,
    /// Weights and activations in 32 bits, rounded to bf16 for the products of linear layers while the
    /// run learns, where the processor has instructions for these and is faster by them; elsewhere the
    /// same as `f32`. What is evaluated is computed in 32 bits.
    Bf16Mixed,
    /// Weights in 32 bits, whose products a GPU may compute with 10 bits of precision; on a CPU
    /// the same as `f32`.
    Tf32,
}

impl Dtype {
    pub const ALL: [Dtype; 4] = [Dtype::F32, Dtype::Bf16, Dtype::Bf16Mixed, Dtype::Tf32];

    pub fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "f32",
            Dtype::Bf16 => "bf16",
            Dtype::Bf16Mixed => "bf16_mixed",
            Dtype::Tf32 => "tf32",
        }
    }
}
