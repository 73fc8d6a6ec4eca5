use mbti::{Axis, Type};

use crate::{Error, error::Result};

/// For each axis the weights of class 0 and class 1.
pub type ClassWeights = Vec<[f32; 2]>;

/// Weights n / (2 nₖ), with which both letters of an axis count the same in all, as
/// scikit-learn's `class_weight="balanced"`. An axis with only one letter cannot be learned.
pub fn balanced(types: &[Type], axes: &[Axis]) -> Result<ClassWeights> {
    axes.iter()
        .map(|&axis| {
            let ones = types.iter().filter(|mbti| mbti.class(axis)).count();
            let counts = [types.len() - ones, ones];
            if let Some(missing) = counts.iter().position(|&count| count == 0) {
                let letter = axis.letters()[1 - missing];
                return Err(Error::OneClassOnly { axis, letter, texts: types.len() });
            }
            Ok(counts.map(|count| types.len() as f32 / (2.0 * count as f32)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_rarer_letter_weighs_more_so_that_both_count_the_same() {
        let types: Vec<Type> = ["INFP", "INFJ", "INFP", "INTP"].map(|name| name.parse().unwrap()).into();
        let weights = balanced(&types, &[Axis::JudgingPerceiving]).unwrap();
        assert_eq!(weights, [[2.0, 4.0 / 6.0]]);
    }

    #[test]
    fn an_axis_with_one_letter_only_is_refused_by_name() {
        let types: Vec<Type> = vec!["INFP".parse().unwrap(); 3];
        let error = balanced(&types, &Axis::ALL).unwrap_err();
        assert!(error.to_string().contains("letter I") && error.to_string().contains("E-I"), "{error}");
    }
}
