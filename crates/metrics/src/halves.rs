use rand::seq::SliceRandom;

use crate::bootstrap::{Purpose, random};

/// Whether each unit belongs to the half that is fitted on, the others being judged: [units].
/// Shuffled, and dealt out in turn within each class, so that both halves have both classes
/// wherever each class has two units. `classes`: the class of each unit on the axis that stands
/// at this place in a type.
pub fn halves(classes: &[bool], axis: usize, seed: u64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..classes.len()).collect();
    order.shuffle(&mut random(seed, Purpose::Halves(axis), 0));
    // Stable, so that each class stays shuffled.
    order.sort_by_key(|&unit| classes[unit]);
    let mut fitted = vec![false; classes.len()];
    order.iter().step_by(2).for_each(|&unit| fitted[unit] = true);
    fitted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn halves_are_equally_large_and_have_both_classes(
            classes in prop::collection::vec(any::<bool>(), 0..40), seed: u64,
        ) {
            let fitted = halves(&classes, 0, seed);
            let count = |half: bool| fitted.iter().filter(|fitted| **fitted == half).count();
            prop_assert!(count(true) - count(false) <= 1);
            for class in [false, true] {
                let units = classes.iter().filter(|other| **other == class).count();
                let of_half = |half: bool| {
                    fitted.iter().zip(&classes).filter(|both| both == &(&half, &class)).count()
                };
                prop_assert!(of_half(true).abs_diff(of_half(false)) <= 1);
                prop_assert!(units < 2 || of_half(true) > 0 && of_half(false) > 0);
            }
        }
    }
}
