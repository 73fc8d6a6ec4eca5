/// The factor on the learning rate for optimizer step `step` (from 0) of `total`: from 1 down a
/// straight line that would reach 0 after the last step, as Transformers' `linear` without warmup.
pub fn linear_schedule(step: u32, total: u32) -> f64 {
    f64::from(total.saturating_sub(step)) / f64::from(total.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_begins_at_one_and_would_reach_zero_after_the_last_step() {
        let factors: Vec<f64> = (0..5).map(|step| linear_schedule(step, 4)).collect();
        assert_eq!(factors, [1.0, 0.75, 0.5, 0.25, 0.0]);
        assert_eq!(linear_schedule(0, 0), 0.0);
    }
}
