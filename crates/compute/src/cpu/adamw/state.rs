use super::{blocks::Blocks, code_book::CodeBook};
use crate::Moments;

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
    /// Moments of nothing yet, for so many elements.
    pub fn new(count: usize, moments: Moments, remainder: Vec<i16>) -> State {
        let moments = match moments {
            Moments::Blocks8 => Kept::Blocks8 {
                first: Blocks::zeros(count, CodeBook::signed()),
                second: Blocks::zeros(count, CodeBook::unsigned()),
            },
            Moments::F32 => Kept::F32 { first: vec![0.0; count], second: vec![0.0; count] },
        };
        State { moments, remainder }
    }

    /// Number of elements that there are moments of.
    pub fn count(&self) -> usize {
        match &self.moments {
            Kept::F32 { first, .. } => first.len(),
            Kept::Blocks8 { first, .. } => first.codes.len(),
        }
    }

    pub fn bytes(&self) -> usize {
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
