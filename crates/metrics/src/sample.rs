use mbti::{Axis, Type};

use crate::{Judged, units::Units};

/// What counts as one at a level, texts or authors, with the unit that each is drawn with.
#[derive(Debug, Clone)]
pub struct Sample {
    /// [items]
    pub units: Vec<usize>,
    pub axes: Vec<AxisSample>,
}

/// Both [items].
#[derive(Debug, Clone)]
pub struct AxisSample {
    pub axis: Axis,
    pub classes: Vec<bool>,
    pub logits: Vec<f64>,
}

/// Every text counts as one.
pub fn by_text(judged: &Judged, units: &Units) -> Sample {
    let of_axis = |(index, &axis): (usize, &Axis)| AxisSample {
        axis,
        classes: judged.classes_on(axis),
        logits: judged.logits_of(index),
    };
    Sample { units: units.of_text.clone(), axes: judged.axes.iter().enumerate().map(of_axis).collect() }
}

/// Every unit counts as one: its logit is the mean of those of its texts, its type the one that
/// most of its texts have, and of several such the one with the smallest index.
pub fn by_author(judged: &Judged, units: &Units) -> Sample {
    let types = commonest_types(judged.types, units);
    let mut texts = vec![0u32; units.count];
    units.of_text.iter().for_each(|&unit| texts[unit] += 1);
    let of_axis = |(index, &axis): (usize, &Axis)| {
        let mut sums = vec![0.0; units.count];
        for (logit, &unit) in judged.logits_of(index).into_iter().zip(&units.of_text) {
            sums[unit] += logit;
        }
        AxisSample {
            axis,
            classes: types.iter().map(|mbti| mbti.class(axis)).collect(),
            logits: sums.iter().zip(&texts).map(|(sum, &texts)| sum / f64::from(texts)).collect(),
        }
    };
    Sample { units: (0..units.count).collect(), axes: judged.axes.iter().enumerate().map(of_axis).collect() }
}

/// The type that most texts of each unit have: [units].
fn commonest_types(types: &[Type], units: &Units) -> Vec<Type> {
    let mut counts = vec![[0u32; 16]; units.count];
    for (mbti, &unit) in types.iter().zip(&units.of_text) {
        counts[unit][mbti.index()] += 1;
    }
    let all: Vec<Type> = Type::all().collect();
    let commonest = |counts: &[u32; 16]| {
        // The first of the largest counts; `max_by_key` would give the last.
        let mut best = 0;
        for (index, count) in counts.iter().enumerate() {
            if *count > counts[best] {
                best = index;
            }
        }
        all[best]
    };
    counts.iter().map(commonest).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::units::units;

    #[test]
    fn an_author_has_the_mean_logit_and_the_commonest_type_of_their_texts() {
        let types: Vec<Type> =
            ["ISTP", "ENFJ", "ISTP", "INFP", "ENFP"].iter().map(|name| name.parse().unwrap()).collect();
        let authors = [Some(4), Some(4), Some(4), Some(1), Some(1)];
        let axes = [Axis::ExtraversionIntroversion, Axis::JudgingPerceiving];
        let logits = [1.0, -1.0, 2.0, -2.0, 6.0, 0.0, 5.0, 1.0, 7.0, 2.0];
        let judged = Judged { axes: &axes, logits: &logits, types: &types, authors: &authors };
        let sample = by_author(&judged, &units(&authors, 5));
        assert_eq!(sample.units, [0, 1]);
        assert_eq!(sample.axes[0].logits, [3.0, 6.0]);
        assert_eq!(sample.axes[1].logits, [-1.0, 1.5]);
        // The second author has as many texts of INFP as of ENFP; ENFP has the smaller index.
        assert_eq!(sample.axes[0].classes, [true, false]);
        assert_eq!(sample.axes[1].classes, [true, true]);
    }
}
