//! cuRAND generators of the driver, and the numbers that they draw.

use super::{Generator, Series};
use crate::driver::{Driver, Error, Handle, Result, Work};

impl Driver {
    /// A generator with seed 0.
    pub fn create_generator(&mut self, context: Handle) -> Result<Handle> {
        let device = self.device_of(context)?;
        self.usable(device)?;
        let handle = self.handle();
        self.generators.insert(handle, Generator::default());
        Ok(handle)
    }

    pub(crate) fn generator(&mut self, handle: Handle) -> Result<&mut Generator> {
        self.generators.get_mut(&handle).ok_or(Error::UnknownHandle { what: "cuRAND generator", handle })
    }

    /// Begins a generator's sequence anew.
    pub fn seed(&mut self, generator: Handle, seed: u64) -> Result<()> {
        let state = self.generator(generator)?;
        (state.seed, state.drawn) = (seed, 0);
        Ok(())
    }

    /// Goes to a place in a generator's sequence.
    pub fn offset(&mut self, generator: Handle, offset: u64) -> Result<()> {
        let state = self.generator(generator)?;
        (state.offset, state.drawn) = (offset, 0);
        Ok(())
    }

    /// Issues a series to the generator's stream.
    pub fn draw(&mut self, context: Handle, generator: Handle, mut series: Series) -> Result<()> {
        let device = self.device_of(context)?;
        self.usable(device)?;
        let state = *self.generator(generator)?;
        let bytes = series.count.checked_mul(series.width());
        let bytes = bytes.ok_or_else(|| Error::Argument(format!("{} random numbers", series.count)))?;
        if !series.address.is_multiple_of(series.width()) {
            return Err(Error::Argument(format!(
                "random numbers begin at {:#x}, not aligned",
                series.address
            )));
        }
        self.check(device, series.address, bytes)?;
        (series.seed, series.first) = (state.seed, state.offset.wrapping_add(state.drawn));
        self.generator(generator)?.drawn += series.count;
        let stream = self.stream(context, state.stream)?;
        self.count_launch(device)?;
        self.issue(stream, Work::Random(series)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{driver::tests::gpu, memory, rand::Distribution, settings::Settings};

    #[test]
    fn random_numbers_follow_from_seed_and_offset_and_have_their_distribution() {
        const N: u64 = 100_000;
        let mut gpu = gpu(Settings::default());
        let address = gpu.driver.allocate(gpu.context, N * 8).unwrap();
        let generator = gpu.driver.create_generator(gpu.context).unwrap();
        let mut draw = |seed, offset, count, distribution| {
            gpu.driver.seed(generator, seed).unwrap();
            gpu.driver.offset(generator, offset).unwrap();
            let series = Series::new("draw", address, count, true, distribution);
            gpu.driver.draw(gpu.context, generator, series).unwrap();
            let bytes = gpu.driver.read(gpu.legacy, address, count * 8).unwrap();
            bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect::<Vec<_>>()
        };
        let uniform = draw(1, 0, N, Distribution::Uniform);
        assert_eq!(uniform[10..20], draw(1, 10, 10, Distribution::Uniform));
        assert_ne!(uniform[..10], draw(2, 0, 10, Distribution::Uniform));
        assert!(uniform.iter().all(|&x| x > 0.0 && x <= 1.0));
        let normal = draw(1, 0, N, Distribution::Normal { mean: 3.0, deviation: 2.0 });
        for (numbers, mean, variance) in [(&uniform, 0.5, 1.0 / 12.0), (&normal, 3.0, 4.0)] {
            let m = numbers.iter().sum::<f64>() / N as f64;
            let v = numbers.iter().map(|x| (x - m).powi(2)).sum::<f64>() / N as f64;
            assert!((m - mean).abs() < 0.03 && (v / variance - 1.0).abs() < 0.03, "{m} {v}");
        }
        let third = normal.iter().map(|x| ((x - 3.0) / 2.0).powi(4)).sum::<f64>() / N as f64;
        assert!((third - 3.0).abs() < 0.15, "the fourth moment of a normal number is 3, not {third}");
    }

    #[test]
    fn random_numbers_past_the_end_of_their_memory_are_refused() {
        let mut gpu = gpu(Settings::default());
        let address = gpu.driver.allocate(gpu.context, 16).unwrap();
        let generator = gpu.driver.create_generator(gpu.context).unwrap();
        let series = Series::new("draw", address, 5, false, Distribution::Uniform);
        let refused = gpu.driver.draw(gpu.context, generator, series);
        assert!(matches!(refused, Err(Error::Range(memory::Error::OutOfBounds { .. }))));
    }
}
