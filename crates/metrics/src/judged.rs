use mbti::{Axis, Type};

use crate::probability::tame;

/// What was judged: for every text its logit of class 1 on each axis, its type and author.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    pub axes: &'a [Axis],
    /// Log odds of class 1, as the network gives them: [texts][axes], flat row-major.
    pub logits: &'a [f64],
    pub types: &'a [Type],
    /// Author of each text as a number from 0; none where the data set names none for that text.
    /// A text without one counts as its own author when any author is named; where none is,
    /// nothing is said by author.
    pub authors: &'a [Option<u32>],
}

impl Judged<'_> {
    /// Texts that have both a type and all their logits.
    pub(crate) fn texts(&self) -> usize {
        match self.axes.len() {
            0 => self.types.len(),
            axes => self.types.len().min(self.logits.len() / axes),
        }
    }

    /// The logits of one axis by its place in `axes`, made finite: [texts].
    pub fn logits_of(&self, index: usize) -> Vec<f64> {
        self.logits
            .iter()
            .skip(index)
            .step_by(self.axes.len())
            .take(self.texts())
            .copied()
            .map(tame)
            .collect()
    }

    /// The true class of each text on an axis: [texts].
    pub fn classes_on(&self, axis: Axis) -> Vec<bool> {
        self.types.iter().take(self.texts()).map(|mbti| mbti.class(axis)).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Texts that own what was judged, on all axes.
    pub(crate) struct Texts {
        pub(crate) logits: Vec<f64>,
        pub(crate) types: Vec<Type>,
        pub(crate) authors: Vec<Option<u32>>,
    }

    impl Texts {
        pub(crate) fn judged(&self) -> Judged<'_> {
            Judged { axes: &Axis::ALL, logits: &self.logits, types: &self.types, authors: &self.authors }
        }
    }
}
