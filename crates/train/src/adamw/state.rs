use candle_core::{DType, Tensor};
use compute::Moments;
use model::Parameter;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Elements that one task draws.
const PIECE: usize = 32 * 1024;

/// Matrices with fewer elements keep their moments in 32 bits, as bitsandbytes' `min_8bit_size`.
const LEAST_IN_BLOCKS: usize = 4096;

/// What AdamW keeps of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Kind {
    pub(super) count: usize,
    pub(super) moments: Moments,
    /// Whether the weight is held in bf16, and what it lacks of 32 bits here.
    pub(super) halved: bool,
    /// What the learning rate is multiplied by.
    pub(super) rate: f64,
}

pub(super) fn kind_of(parameter: &Parameter, moments: Moments) -> Kind {
    let in_blocks = bears_8_bits(&parameter.name, parameter.var.as_tensor());
    let moments = if in_blocks { moments } else { Moments::F32 };
    let halved = parameter.var.dtype() == DType::BF16;
    Kind { count: parameter.var.elem_count(), moments, halved, rate: 1.0 }
}

/// What a weight in bf16 lacks of its 32 bits, taken out of the parameter; nothing of one in `f32`.
pub(super) fn remainder_of(parameter: &mut Parameter, place: usize) -> Vec<i16> {
    match parameter.var.dtype() {
        DType::BF16 => {
            let count = parameter.var.elem_count();
            parameter.remainder.take().unwrap_or_else(|| by_chance(place as u64, count))
        }
        _ => Vec::new(),
    }
}

/// Large matrices do, except tables of which a step reads some rows only: the paper found these
/// unstable (section 2.3), since their gradients differ so much from row to row, and bitsandbytes
/// keeps them in 32 bits too.
pub(crate) fn bears_8_bits(name: &str, weight: &Tensor) -> bool {
    let table = ["embeddings.weight", "embed_tokens.weight"].iter().any(|ending| name.ends_with(ending))
            // The built-in bag of words.
            || name == "words.weight";
    weight.rank() == 2 && weight.elem_count() >= LEAST_IN_BLOCKS && !table
}

/// A weight that was stored in bf16 is given a remainder by chance, the same on every machine:
/// were they all zero, all weights of a size would pass to the next bf16 at once, after the same
/// number of steps.
fn by_chance(seed: u64, count: usize) -> Vec<i16> {
    let mut remainder = vec![0i16; count];
    remainder.par_chunks_mut(PIECE).enumerate().for_each(|(piece, values)| {
        let mut random = ChaCha8Rng::seed_from_u64(seed << 32 | piece as u64);
        values.iter_mut().for_each(|value| *value = random.next_u32() as i16);
    });
    remainder
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn large_matrices_are_kept_in_8_bits_and_tables_vectors_and_small_ones_in_32() {
        let in_8_bits = |name: &str, shape: &[usize]| {
            let var = Var::zeros(shape, DType::F32, &Device::Cpu).unwrap();
            let parameter = Parameter { name: name.into(), var, decays: true, remainder: None };
            kind_of(&parameter, Moments::Blocks8).moments == Moments::Blocks8
        };
        assert!(in_8_bits("model.layers.0.mlp.down_proj.weight", &[64, 64]));
        assert!(in_8_bits("model.layers.0.mlp.down_proj.lora_A.weight", &[8, 512]));
        assert!(!in_8_bits("model.layers.0.mlp.down_proj.weight", &[63, 65]));
        assert!(!in_8_bits("bert.encoder.layer.0.output.dense.bias", &[5000]));
        for table in [
            "model.embed_tokens.weight",
            "model.embeddings.tok_embeddings.weight",
            "bert.embeddings.word_embeddings.weight",
            "bert.embeddings.position_embeddings.weight",
            "bert.embeddings.token_type_embeddings.weight",
            "words.weight",
        ] {
            assert!(!in_8_bits(table, &[100, 100]), "{table}");
        }
    }
}
