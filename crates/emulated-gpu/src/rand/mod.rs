//! What stands in for cuRAND: uniform and normal numbers that follow from seed and offset alone. They are not the
//! numbers of cuRAND's generators, which no program should depend upon.

pub mod border;
mod issue;

use std::f64::consts::TAU;

use crate::{
    driver::{Handle, Result},
    memory::Memory,
    scrambled,
};

/// A generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Generator {
    /// The stream as the program gave it.
    pub stream: Handle,
    pub(crate) seed: u64,
    pub(crate) offset: u64,
    /// Numbers that were drawn since the seed or the offset was set.
    drawn: u64,
}

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Above 0 and up to 1, as cuRAND has it.
    Uniform,
    /// By mean and standard deviation.
    Normal { mean: f64, deviation: f64 },
}

/// Numbers to be drawn into device memory.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    /// The function that was called, for the counters.
    pub function: &'static str,
    /// Where the first number goes.
    pub address: u64,
    /// How many.
    pub count: u64,
    /// Whether they are of `f64` rather than `f32`.
    pub double: bool,
    /// What is drawn.
    pub distribution: Distribution,
    seed: u64,
    first: u64,
}

impl Series {
    /// A series that is not placed in its generator's sequence yet.
    pub fn new(
        function: &'static str,
        address: u64,
        count: u64,
        double: bool,
        distribution: Distribution,
    ) -> Series {
        Series { function, address, count, double, distribution, seed: 0, first: 0 }
    }

    fn width(&self) -> u64 {
        if self.double { 8 } else { 4 }
    }

    /// Draws the numbers; returns how many bytes were read and written.
    pub(crate) fn execute(&self, memory: &mut Memory) -> Result<(u64, u64)> {
        let bytes = self.count * self.width();
        let target = memory.bytes_mut(self.address, bytes)?;
        for (index, number) in target.chunks_exact_mut(self.width() as usize).enumerate() {
            let value = self.number(self.first.wrapping_add(index as u64));
            match self.double {
                true => number.copy_from_slice(&value.to_le_bytes()),
                false => number.copy_from_slice(&(value as f32).to_le_bytes()),
            }
        }
        Ok((0, bytes))
    }

    fn number(&self, index: u64) -> f64 {
        match self.distribution {
            Distribution::Uniform => uniform(self.seed, index),
            Distribution::Normal { mean, deviation } => {
                // Box and Muller (1958): two normal numbers from two uniform ones.
                let pair = index & !1;
                let radius = (-2.0 * uniform(self.seed, pair).ln()).sqrt();
                let angle = TAU * uniform(self.seed, pair + 1);
                mean + deviation * radius * if index == pair { angle.cos() } else { angle.sin() }
            }
        }
    }
}

/// A number above 0 and up to 1, exact in `f32`: 24 bits.
fn uniform(seed: u64, index: u64) -> f64 {
    let bits = scrambled(scrambled(seed) ^ index) >> 40;
    (bits + 1) as f64 / (1u64 << 24) as f64
}
