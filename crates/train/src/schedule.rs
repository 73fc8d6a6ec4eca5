use record::LrSchedulerType;

/// The factor on the learning rate for optimizer step `step` (from 0) of `total`, the first
/// `warmup` of which rise from 0 in a straight line; as Transformers' schedulers of these names.
pub fn schedule(kind: LrSchedulerType, step: u32, warmup: u32, total: u32) -> f64 {
    let (step, warmup, total) = (f64::from(step), f64::from(warmup), f64::from(total));
    if kind == LrSchedulerType::Constant {
        return 1.0;
    }
    if step < warmup {
        return step / warmup;
    }
    let gone = ((step - warmup) / (total - warmup).max(1.0)).min(1.0);
    match kind {
        LrSchedulerType::Linear => 1.0 - gone,
        LrSchedulerType::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * gone).cos()),
        LrSchedulerType::Constant | LrSchedulerType::ConstantWithWarmup => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(kind: LrSchedulerType, warmup: u32) -> Vec<f64> {
        (0..=4).map(|step| schedule(kind, step, warmup, 4)).collect()
    }

    #[test]
    fn the_line_begins_at_one_and_would_reach_zero_after_the_last_step() {
        assert_eq!(factors(LrSchedulerType::Linear, 0), [1.0, 0.75, 0.5, 0.25, 0.0]);
        assert_eq!(schedule(LrSchedulerType::Linear, 9, 0, 4), 0.0);
    }

    #[test]
    fn schedules_are_those_of_transformers() {
        // transformers.get_scheduler(name, optimizer, 2, 4), version 5.23, at steps 0 to 4.
        assert_eq!(factors(LrSchedulerType::Linear, 2), [0.0, 0.5, 1.0, 0.5, 0.0]);
        let cosine = factors(LrSchedulerType::Cosine, 2);
        for (found, expected) in cosine.iter().zip([0.0, 0.5, 1.0, 0.5, 0.0]) {
            assert!((found - expected).abs() < 1e-15);
        }
        assert_eq!(factors(LrSchedulerType::Constant, 2), [1.0; 5]);
        assert_eq!(factors(LrSchedulerType::ConstantWithWarmup, 2), [0.0, 0.5, 1.0, 1.0, 1.0]);
    }
}
