use candle_core::{Device, Result, Tensor};
use mbti::Type;
use model::{Head, ProblemType};

use crate::ClassWeights;

/// The class-weighted loss of a batch, as a weighted sum divided by the weight of its whole group.
///
/// logits `[texts, outputs]`; `types` are those of the batch. For each axis the losses of the
/// texts are weighted by their classes and divided by `group_weight`, the sum of the weights of
/// all texts that belong to the same optimizer step (see [`total_weight`]); the axes are
/// averaged. Summed over the micro-batches of a step, that is the loss of the one large batch,
/// however it was cut. For one axis it is PyTorch's `cross_entropy` with `weight`; for several
/// it is its binary counterpart on each axis.
pub fn loss(
    logits: &Tensor,
    types: &[Type],
    head: &Head,
    weights: &ClassWeights,
    group_weight: &[f64],
) -> Result<Tensor> {
    let device = logits.device();
    let signs_and_weights = |axis: usize| {
        types.iter().map(move |mbti| {
            let class = mbti.class(head.axes[axis]);
            (
                if class { 1f32 } else { -1.0 },
                (f64::from(weights[axis][usize::from(class)]) / group_weight[axis]) as f32,
            )
        })
    };
    let axes = head.axes.len();
    // The margin is by how much the right letter is ahead, in log odds: positive is right.
    let margin = match head.problem_type() {
        ProblemType::SingleLabel => logits.narrow(1, 1, 1)?.sub(&logits.narrow(1, 0, 1)?)?,
        ProblemType::MultiLabel => logits.clone(),
    };
    let mut signs = vec![0f32; types.len() * axes];
    let mut factors = vec![0f32; types.len() * axes];
    for axis in 0..axes {
        for (text, (sign, weight)) in signs_and_weights(axis).enumerate() {
            signs[text * axes + axis] = sign;
            factors[text * axes + axis] = weight / axes as f32;
        }
    }
    let tensor = |values| Tensor::from_vec(values, (types.len(), axes), &Device::Cpu)?.to_device(device);
    let margin = (margin * tensor(signs)?)?;
    (softplus_of_negative(&margin)? * tensor(factors)?)?.sum_all()
}

/// log(1 + e^−x) = max(−x, 0) + log(1 + e^−|x|), which overflows nowhere.
fn softplus_of_negative(x: &Tensor) -> Result<Tensor> {
    x.neg()?.relu()? + ((x.abs()?.neg()?.exp()? + 1.0)?.log()?)
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
    use candle_core::Var;
    use mbti::Axis;

    fn types(names: &[&str]) -> Vec<Type> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn whole(logits: &Tensor, types: &[Type], head: &Head, weights: &ClassWeights) -> f32 {
        let group = total_weight(types.iter().copied(), head, weights);
        loss(logits, types, head, weights, &group).unwrap().to_scalar().unwrap()
    }

    #[test]
    fn one_axis_is_weighted_cross_entropy() {
        let head = Head { axes: vec![Axis::JudgingPerceiving] };
        let logits = Tensor::new(&[[0.3f32, -0.2], [1.5, 0.4], [-0.7, 2.0]], &Device::Cpu).unwrap();
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
        assert!((f64::from(found) - sum / 1.4).abs() < 1e-6);
    }

    #[test]
    fn parts_of_a_group_add_up_to_the_loss_and_the_gradient_of_the_large_batch() {
        let head = Head { axes: Axis::ALL.to_vec() };
        let weights = vec![[0.7, 1.3], [2.0, 0.5], [1.0, 1.0], [0.6, 0.4]];
        let types = types(&["INFP", "ESTJ", "ENTP", "ISFJ", "INTJ"]);
        let values: Vec<f32> = (0..20).map(|n| (n * 7 % 11) as f32 / 5.0 - 1.0).collect();
        let var = Var::from_vec(values, (5, 4), &Device::Cpu).unwrap();
        let group = total_weight(types.iter().copied(), &head, &weights);
        let part = |from: usize, len: usize| {
            let logits = var.narrow(0, from, len).unwrap();
            let loss = loss(&logits, &types[from..from + len], &head, &weights, &group).unwrap();
            let grads = loss.backward().unwrap();
            (
                loss.to_scalar::<f32>().unwrap(),
                grads.get(&var).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            )
        };
        let (all, whole) = part(0, 5);
        let (first, second) = (part(0, 3), part(3, 2));
        assert!((all - first.0 - second.0).abs() < 1e-6);
        for (index, whole) in whole.iter().enumerate() {
            assert!((whole - first.1[index] - second.1[index]).abs() < 1e-7);
        }
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let head = Head { axes: vec![Axis::JudgingPerceiving] };
        let logits = Tensor::new(&[[1000f32, -1000.0], [-1000.0, 1000.0]], &Device::Cpu).unwrap();
        let found = whole(&logits, &types(&["INFP", "INFP"]), &head, &vec![[1.0, 1.0]]);
        assert_eq!(found, 1000.0);
    }
}
