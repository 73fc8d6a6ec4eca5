use candle_core::DType;
use model::Parameter;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{Moments, PIECE, blocks::Blocks, code_book::CodeBook};

/// Matrices with fewer elements keep their moments in 32 bits, as bitsandbytes' `min_8bit_size`.
const LEAST_IN_BLOCKS: usize = 4096;

/// What AdamW keeps of one parameter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub moments: Kept,
    /// What a weight in bf16 lacks of its value in 32 bits, 2 bytes an element; empty for one in
    /// `f32`. This is precision of the weight, so that it is the same with moments in 8 bits.
    pub remainder: Vec<i16>,
}

/// The moments of one parameter: the first is the running mean of the gradient, the second that
/// of its square.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    /// 8 bytes an element.
    F32 { first: Vec<f32>, second: Vec<f32> },
    /// 2 bytes an element and 8 a block of 256: 2.03 bytes an element.
    Blocks8 { first: Blocks, second: Blocks },
}

impl Default for Kept {
    fn default() -> Kept {
        Kept::F32 { first: Vec::new(), second: Vec::new() }
    }
}

impl State {
    /// Takes the remainder out of a weight that has one.
    pub(super) fn new(parameter: &mut Parameter, place: usize, moments: Moments) -> State {
        let count = parameter.var.elem_count();
        let remainder = match parameter.var.dtype() {
            DType::BF16 => parameter.remainder.take().unwrap_or_else(|| by_chance(place as u64, count)),
            _ => Vec::new(),
        };
        let moments = match moments {
            Moments::Blocks8 if bears_8_bits(parameter) => Kept::Blocks8 {
                first: Blocks::zeros(count, CodeBook::signed()),
                second: Blocks::zeros(count, CodeBook::unsigned()),
            },
            Moments::F32 | Moments::Blocks8 => {
                Kept::F32 { first: vec![0.0; count], second: vec![0.0; count] }
            }
        };
        State { moments, remainder }
    }

    /// Number of elements that there are moments of.
    pub(super) fn count(&self) -> usize {
        match &self.moments {
            Kept::F32 { first, .. } => first.len(),
            Kept::Blocks8 { first, .. } => first.codes.len(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let moments = match &self.moments {
            Kept::F32 { first, second } => size_of_val(&first[..]) + size_of_val(&second[..]),
            Kept::Blocks8 { first, second } => {
                let bytes = |blocks: &Blocks| blocks.codes.len() + size_of_val(&blocks.scales[..]);
                bytes(first) + bytes(second)
            }
        };
        moments + size_of_val(&self.remainder[..])
    }
}

/// Large matrices do, except tables of which a step reads some rows only: the paper found these
/// unstable (section 2.3), since their gradients differ so much from row to row, and bitsandbytes
/// keeps them in 32 bits too.
fn bears_8_bits(parameter: &Parameter) -> bool {
    let table = ["embeddings.weight", "embed_tokens.weight"].iter().any(|ending| parameter.name.ends_with(ending))
            // The built-in bag of words.
            || parameter.name == "words.weight";
    parameter.var.rank() == 2 && parameter.var.elem_count() >= LEAST_IN_BLOCKS && !table
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
            let mut parameter = Parameter {
                name: name.into(),
                var,
                decays: true,
                remainder: None,
                gradient: Default::default(),
            };
            matches!(State::new(&mut parameter, 0, Moments::Blocks8).moments, Kept::Blocks8 { .. })
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
