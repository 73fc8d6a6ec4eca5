use candle_core::Result;
use compute::{Backend, Cpu};
use mbti::Type;
use model::{Head, Targets};

use crate::ClassWeights;

/// What the loss of a batch compares its logits with, a weighted sum divided by the weight of its whole group.
///
/// `types` are those of the batch. For each axis the losses of the texts are weighted by their classes and divided by
/// `group_weight`, the sum of the weights of all texts that belong to the same optimizer step (see [`total_weight`]); the axes
/// are averaged. Summed over the micro-batches of a step, that is the loss of the one large batch, however it was cut. For one
/// axis it is PyTorch's `cross_entropy` with `weight`; for several it is its binary counterpart on each axis.
pub fn targets(types: &[Type], head: &Head, weights: &ClassWeights, group_weight: &[f64]) -> Targets {
    let axes = head.axes.len();
    let target = |mbti: &Type, axis: usize| {
        let class = mbti.class(head.axes[axis]);
        let weight = (f64::from(weights[axis][usize::from(class)]) / group_weight[axis]) as f32;
        if class { weight / axes as f32 } else { -weight / axes as f32 }
    };
    let values = types.iter().flat_map(|mbti| (0..axes).map(move |axis| target(mbti, axis))).collect();
    Targets { values, axes }
}

/// The loss of logits `[texts, outputs]` that are on the host, as those of an evaluation.
pub(crate) fn loss(logits: &[f32], targets: &Targets) -> Result<f64> {
    let mut loss = [0.0];
    Cpu.cross_entropy(&mut loss, &mut logits.to_vec(), &targets.values)?;
    Ok(f64::from(loss[0]))
}

/// The sum of the class weights of these texts, for each axis.
pub(crate) fn total_weight(
    types: impl Iterator<Item = Type> + Clone,
    head: &Head,
    weights: &ClassWeights,
) -> Vec<f64> {
    let of_axis = |(axis, weights): (&mbti::Axis, &[f32; 2])| {
        types.clone().map(|mbti| f64::from(weights[usize::from(mbti.class(*axis))])).sum()
    };
    head.axes.iter().zip(weights).map(of_axis).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mbti::Axis;

    fn types(names: &[&str]) -> Vec<Type> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn whole(logits: &[f32], types: &[Type], head: &Head, weights: &ClassWeights) -> f64 {
        let group = total_weight(types.iter().copied(), head, weights);
        loss(logits, &targets(types, head, weights, &group)).unwrap()
    }

    #[test]
    fn one_axis_is_weighted_cross_entropy() {
        let head = Head { axes: vec![Axis::JudgingPerceiving] };
        let logits = [0.3f32, -0.2, 1.5, 0.4, -0.7, 2.0];
        let types = types(&["INFP", "ESTJ", "ENTP"]);
        // By hand: −log softmax at the right class, weighted 0.6 for J and 0.4 for P.
        let terms = [(0.3f64, -0.2f64, 1, 0.4), (1.5, 0.4, 0, 0.6), (-0.7, 2.0, 1, 0.4)];
        let sum: f64 = terms
            .iter()
            .map(|&(a, b, class, weight)| {
                let log_sum = (a.exp() + b.exp()).ln();
                weight * (log_sum - if class == 1 { b } else { a })
            })
            .sum();
        let found = whole(&logits, &types, &head, &vec![[0.6, 0.4]]);
        assert!((found - sum / 1.4).abs() < 1e-6);
    }

    #[test]
    fn several_axes_are_the_mean_of_their_weighted_binary_cross_entropies() {
        let head = Head { axes: vec![Axis::FeelingThinking, Axis::JudgingPerceiving] };
        let (logits, types) = ([0.3f32, -0.2, 1.5, 0.4], types(&["INFP", "ESTJ"]));
        let weights = vec![[0.7, 1.3], [0.6, 0.4]];
        // By hand: −log σ(l) for T and for P, −log σ(−l) for F and for J, by axis.
        let term = |logit: f64, weight: f64| weight * (1.0 + (-logit).exp()).ln();
        let feeling = (term(-0.3, 0.7) + term(1.5, 1.3)) / 2.0;
        let judging = (term(-0.2, 0.4) + term(-0.4, 0.6)) / 1.0;
        let found = whole(&logits, &types, &head, &weights);
        assert!((found - (feeling + judging) / 2.0).abs() < 1e-6, "{found}");
    }

    #[test]
    fn parts_of_a_group_add_up_to_the_loss_and_the_gradient_of_the_large_batch() {
        let head = Head { axes: Axis::ALL.to_vec() };
        let weights = vec![[0.7, 1.3], [2.0, 0.5], [1.0, 1.0], [0.6, 0.4]];
        let types = types(&["INFP", "ESTJ", "ENTP", "ISFJ", "INTJ"]);
        let logits: Vec<f32> = (0..20).map(|n| (n * 7 % 11) as f32 / 5.0 - 1.0).collect();
        let group = total_weight(types.iter().copied(), &head, &weights);
        let part = |texts: std::ops::Range<usize>| {
            let targets = targets(&types[texts.clone()], &head, &weights, &group);
            let (mut loss, mut gradient) = ([0.0], logits[4 * texts.start..4 * texts.end].to_vec());
            Cpu.cross_entropy(&mut loss, &mut gradient, &targets.values).unwrap();
            (loss[0], gradient)
        };
        let (all, whole) = part(0..5);
        let (first, second) = (part(0..3), part(3..5));
        assert!((all - first.0 - second.0).abs() < 1e-6);
        assert_eq!(whole, [first.1, second.1].concat());
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let head = Head { axes: vec![Axis::JudgingPerceiving] };
        let logits = [1000f32, -1000.0, -1000.0, 1000.0];
        let found = whole(&logits, &types(&["INFP", "INFP"]), &head, &vec![[1.0, 1.0]]);
        assert_eq!(found, 1000.0);
    }
}
