use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// In how many bits the frozen matrices of linear layers are held while LoRA learns beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
#[ts(export)]
pub enum Quantization {
    /// As `dtype` says.
    #[default]
    None,
    /// NF4 with double quantisation (Dettmers et al., arXiv 2305.14314): 4.13 bits a weight.
    Nf4,
    /// 8 bits a weight, with a scale a row.
    Int8,
}

impl Quantization {
    pub const ALL: [Quantization; 3] = [Quantization::None, Quantization::Nf4, Quantization::Int8];

    pub fn name(self) -> &'static str {
        match self {
            Quantization::None => "none",
            Quantization::Nf4 => "nf4",
            Quantization::Int8 => "int8",
        }
    }
}
