use mbti::{Axis, Type};

use record::ClassWeighting;

use crate::{Error, error::Result};

/// For each axis the weights of class 0 and class 1.
pub type ClassWeights = Vec<[f32; 2]>;

/// The class weights that the settings ask for. An axis with only one letter cannot be learned,
/// whatever the weights.
pub fn class_weights(weighting: ClassWeighting, types: &[Type], axes: &[Axis]) -> Result<ClassWeights> {
    let balanced = balanced(types, axes)?;
    Ok(match weighting {
        ClassWeighting::Balanced => balanced,
        ClassWeighting::None => vec![[1.0; 2]; axes.len()],
        ClassWeighting::Given(pair) => vec![pair.map(|weight| weight as f32); axes.len()],
    })
}

/// Weights n / (2 nₖ), with which both letters of an axis count the same in all, as
/// scikit-learn's `class_weight="balanced"`. An axis with only one letter cannot be learned.
fn balanced(types: &[Type], axes: &[Axis]) -> Result<ClassWeights> {
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
    fn given_weights_are_taken_as_they_are_and_none_are_all_one() {
        let types: Vec<Type> = ["INFP", "INFJ"].map(|name| name.parse().unwrap()).into();
        let axes = [Axis::JudgingPerceiving];
        let found = |weighting| class_weights(weighting, &types, &axes).unwrap();
        assert_eq!(found(ClassWeighting::Given([0.6, 0.4])), [[0.6, 0.4]]);
        assert_eq!(found(ClassWeighting::None), [[1.0, 1.0]]);
        assert_eq!(found(ClassWeighting::Balanced), [[1.0, 1.0]]);
        assert!(class_weights(ClassWeighting::None, &types[..1], &axes).is_err());
    }

    #[test]
    fn an_axis_with_one_letter_only_is_refused_by_name() {
        let types: Vec<Type> = vec!["INFP".parse().unwrap(); 3];
        let error = balanced(&types, &Axis::ALL).unwrap_err();
        assert!(error.to_string().contains("letter I") && error.to_string().contains("E-I"), "{error}");
    }
}
