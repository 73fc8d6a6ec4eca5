//! Weighted cross-entropy; its mathematics stand in the contract.

/// The loss of logits, one or two for each target, which become their gradient. As there are few, all of it is computed in
/// double precision.
pub(super) fn cross_entropy(logits: &mut [f32], targets: &[f32], two: bool) -> f32 {
    let mut loss = 0.0;
    for (logits, &target) in logits.chunks_exact_mut(if two { 2 } else { 1 }).zip(targets) {
        let logit = match &*logits {
            [first, second] => f64::from(*second) - f64::from(*first),
            [only] => f64::from(*only),
            _ => 0.0,
        };
        let target = f64::from(target);
        let margin = if target < 0.0 { -logit } else { logit };
        // e^−|m| overflows nowhere: log(1 + e^−m) = max(−m, 0) + log(1 + e^−|m|).
        let small = (-margin.abs()).exp();
        loss += target.abs() * ((-margin).max(0.0) + small.ln_1p());
        let off = if margin < 0.0 { 1.0 } else { small } / (1.0 + small);
        let gradient = (-target * off) as f32;
        match logits {
            [first, second] => (*first, *second) = (-gradient, gradient),
            one => one.fill(gradient),
        }
    }
    loss as f32
}
