use candle_core::{DType, Device, Result, Tensor, bail};
use rayon::prelude::*;

use super::{size_of_tensor, with_bytes};
use crate::cpu::{Values, adamw::CodeBook};

/// The 16 numbers of NF4, quantiles of the normal distribution with a zero among them (Dettmers et al., arXiv 2305.14314,
/// appendix E).
pub const NUMBERS: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// Numbers that share a scale.
const BLOCK: usize = 64;
/// Scales that share one of their own: the second quantisation.
const SCALES: usize = 256;
/// Numbers that one task works on; a whole number of blocks of scales.
const PIECE: usize = BLOCK * SCALES;

/// A matrix `[rows, cols]` in NF4 with double quantisation: 4 bits a number, 8 bits a block of 64 of them, in the order
/// of their rows, and 32 bits 256 blocks: 4.13 bits in all. Codes and scales are those of bitsandbytes' `quantize_4bit` with
/// `compress_statistics`.
#[derive(Debug, Clone)]
pub struct Nf4 {
    pub rows: usize,
    pub cols: usize,
    /// Two codes a byte, the first in the upper half.
    codes: Tensor,
    /// The scale of each block, less the mean of all, as a code of the 8-bit code book.
    scales: Tensor,
    /// What each 256 of these are multiplied by.
    scales_of_scales: Tensor,
    mean: f32,
}

/// The limits between neighbouring numbers.
fn limits() -> [f32; 15] {
    std::array::from_fn(|at| f32::midpoint(NUMBERS[at], NUMBERS[at + 1]))
}

#[inline(always)]
fn nearest(x: f32, limits: &[f32; 15]) -> u8 {
    limits.iter().map(|limit| u8::from(x > *limit)).sum()
}

impl Nf4 {
    /// Out of a matrix in `f32` on the CPU.
    pub fn quantise(tensor: &Tensor) -> Result<Nf4> {
        let (rows, cols) = tensor.dims2()?;
        let tensor = tensor.contiguous()?;
        let values = Values::of(&tensor)?;
        let values = values.slice();
        if !values.par_chunks(PIECE).all(|values| values.iter().all(|x| x.is_finite())) {
            bail!("a weight has a number that is not finite, and cannot be held in 4 bits");
        }
        let largest: Vec<f32> = values
            .par_chunks(BLOCK)
            .with_min_len(SCALES)
            .map(|block| block.iter().fold(0f32, |most, x| most.max(x.abs())))
            .collect();
        let limits = limits();
        let mut codes = vec![0u8; values.len().div_ceil(2)];
        codes
            .par_chunks_mut(PIECE / 2)
            .zip(values.par_chunks(PIECE))
            .zip(largest.par_chunks(SCALES))
            .for_each(|((codes, values), largest)| encode(values, largest, &limits, codes));
        let sum: f64 = largest.iter().map(|&x| f64::from(x)).sum();
        let mean = (sum / largest.len().max(1) as f64) as f32;
        let book = CodeBook::signed();
        let (mut scales, mut scales_of_scales) = (vec![0u8; largest.len()], Vec::new());
        for (codes, largest) in scales.chunks_mut(SCALES).zip(largest.chunks(SCALES)) {
            let most = largest.iter().fold(0f32, |most, x| most.max((x - mean).abs()));
            let inverse = if most > 0.0 { 1.0 / most } else { 0.0 };
            codes.iter_mut().zip(largest).for_each(|(code, x)| *code = book.nearest((x - mean) * inverse));
            scales_of_scales.push(most);
        }
        let bytes = |values: Vec<u8>| {
            let count = values.len();
            Tensor::from_vec(values, count, &Device::Cpu)
        };
        let count = scales_of_scales.len();
        let scales_of_scales = Tensor::from_vec(scales_of_scales, count, &Device::Cpu)?;
        Ok(Nf4 { rows, cols, codes: bytes(codes)?, scales: bytes(scales)?, scales_of_scales, mean })
    }

    /// One of this shape, of which nobody asks more than the size: one number stands for all of each kind.
    pub fn of_shape(rows: usize, cols: usize) -> Result<Nf4> {
        let blocks = (rows * cols).div_ceil(BLOCK);
        let codes = super::stand_in(DType::U8, (rows * cols).div_ceil(2))?;
        let scales = super::stand_in(DType::U8, blocks)?;
        let scales_of_scales = super::stand_in(DType::F32, blocks.div_ceil(SCALES))?;
        Ok(Nf4 { rows, cols, codes, scales, scales_of_scales, mean: 0.0 })
    }

    /// Numbers from number `first` on, which begins a byte where it is even, into `out`.
    pub fn read(&self, first: usize, out: &mut [f32]) -> Result<()> {
        let end = first + out.len();
        if end > self.rows * self.cols {
            bail!("number {end} of a weight of {} × {}", self.rows, self.cols);
        }
        let book = CodeBook::signed();
        with_bytes(&self.codes, |codes| {
            with_bytes(&self.scales, |scales| {
                let scales_of_scales = Values::of(&self.scales_of_scales)?;
                let scales_of_scales = scales_of_scales.slice();
                let scale = |block: usize| {
                    book.values[usize::from(scales[block])] * scales_of_scales[block / SCALES] + self.mean
                };
                // Pieces begin where a block does, but for the first.
                let lead = (BLOCK - first % BLOCK) % BLOCK;
                let (head, rest) = out.split_at_mut(lead.min(out.len()));
                decode(codes, first, head, scale(first / BLOCK));
                rest.par_chunks_mut(PIECE).enumerate().for_each(|(piece, out)| {
                    let from = first + lead + piece * PIECE;
                    for (at, out) in out.chunks_mut(BLOCK).enumerate() {
                        let from = from + at * BLOCK;
                        decode_block(codes, from, out, scale(from / BLOCK));
                    }
                });
                Ok(())
            })
        })
    }

    /// The same codes and scales in the memory of another device.
    pub fn to_device(&self, device: &Device) -> Result<Nf4> {
        let moved = |tensor: &Tensor| tensor.to_device(device);
        Ok(Nf4 {
            codes: moved(&self.codes)?,
            scales: moved(&self.scales)?,
            scales_of_scales: moved(&self.scales_of_scales)?,
            ..*self
        })
    }

    /// What a kernel of another device reads: codes, scales, the scales of these, and the mean of the scales.
    pub fn tensors(&self) -> ([&Tensor; 3], f32) {
        ([&self.codes, &self.scales, &self.scales_of_scales], self.mean)
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        [&self.codes, &self.scales, &self.scales_of_scales].map(size_of_tensor).iter().sum()
    }

    /// All of its numbers, `[rows, cols]` in `f32` in the host's memory.
    pub fn values(&self) -> Result<Tensor> {
        let mut values = vec![0f32; self.rows * self.cols];
        self.to_device(&Device::Cpu)?.read(0, &mut values)?;
        Tensor::from_vec(values, (self.rows, self.cols), &Device::Cpu)?.to_dtype(DType::F32)
    }

    #[cfg(test)]
    fn parts(&self) -> (Vec<u8>, Vec<u8>, Vec<f32>, f32) {
        let bytes = |tensor: &Tensor| tensor.to_vec1::<u8>().unwrap_or_default();
        let scales = self.scales_of_scales.to_vec1::<f32>().unwrap_or_default();
        (bytes(&self.codes), bytes(&self.scales), scales, self.mean)
    }
}

crate::vectorised! {
    /// The codes of some blocks, two a byte.
    fn encode<'a>(values: &'a [f32], largest: &'a [f32], limits: &'a [f32; 15], codes: &'a mut [u8]) {
        for ((values, largest), codes) in
            values.chunks(BLOCK).zip(largest).zip(codes.chunks_mut(BLOCK / 2))
        {
            let inverse = if *largest > 0.0 { 1.0 / *largest } else { 0.0 };
            for (pair, code) in values.chunks(2).zip(codes) {
                let of = |at: usize| pair.get(at).map_or(7, |x| nearest((x * inverse).clamp(-1.0, 1.0), limits));
                *code = of(0) << 4 | of(1);
            }
        }
    }
}

/// Numbers that share a scale, from any number on.
fn decode(codes: &[u8], first: usize, out: &mut [f32], scale: f32) {
    for (at, out) in (first..).zip(out) {
        let byte = codes[at / 2];
        let code = if at.is_multiple_of(2) { byte >> 4 } else { byte & 15 };
        *out = NUMBERS[usize::from(code)] * scale;
    }
}

/// The same of a block, or of what there is of it, from where it begins.
#[inline]
fn decode_block(codes: &[u8], first: usize, out: &mut [f32], scale: f32) {
    let numbers: [f32; 16] = NUMBERS.map(|x| x * scale);
    let codes = &codes[first / 2..];
    for (pair, byte) in out.chunks_mut(2).zip(codes) {
        pair[0] = numbers[usize::from(byte >> 4)];
        if let Some(second) = pair.get_mut(1) {
            *second = numbers[usize::from(byte & 15)];
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn matrix(rows: usize, cols: usize) -> Tensor {
        let values: Vec<f32> = (0..rows * cols)
            .map(|at| {
                let x = (crate::math::mix(at as u64) >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
                x * x * x * 0.1
            })
            .collect();
        Tensor::from_vec(values, (rows, cols), &Device::Cpu).unwrap()
    }

    #[test]
    fn numbers_come_back_within_half_a_step_of_their_blocks_and_parts_as_the_whole() {
        for (rows, cols) in [(1, 1), (3, 7), (5, 64), (9, 100), (40, 1000)] {
            let exact = matrix(rows, cols);
            let held = Nf4::quantise(&exact).unwrap();
            let values = held.values().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let exact = exact.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (block, (found, exact)) in values.chunks(BLOCK).zip(exact.chunks(BLOCK)).enumerate() {
                let largest = exact.iter().fold(0f32, |most, x| most.max(x.abs()));
                for (found, exact) in found.iter().zip(exact) {
                    // Half of the widest step, and what the scale lost by its own 8 bits.
                    let allowed = 0.16 * largest + 0.02 * 0.1;
                    assert!(
                        (found - exact).abs() <= allowed,
                        "{rows} × {cols}, block {block}: {found} {exact}"
                    );
                }
            }
            for first in [0, 1, 63, 64, 65, 130].into_iter().filter(|&first| first < values.len()) {
                let mut part = vec![0f32; (values.len() - first).min(333)];
                held.read(first, &mut part).unwrap();
                assert_eq!(part, values[first..first + part.len()], "{rows} × {cols} from {first}");
            }
            let mut past = vec![0f32; 2];
            assert!(held.read(values.len() - 1, &mut past).is_err());
        }
        let held = Nf4::quantise(&matrix(128, 1024)).unwrap();
        let bits = held.bytes() as f64 * 8.0 / (128.0 * 1024.0);
        assert!((4.12..4.14).contains(&bits), "{bits} bits a number");
    }

    #[test]
    fn the_numbers_of_the_code_themselves_come_back_and_zeros_stay_zeros() {
        let values: Vec<f32> = (0..128).map(|at| NUMBERS[at % 16] * 0.5).collect();
        let held = Nf4::quantise(&Tensor::from_vec(values.clone(), (2, 64), &Device::Cpu).unwrap()).unwrap();
        let found = held.values().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(found.iter().zip(&values).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
        let zeros = Tensor::zeros((3, 50), DType::F32, &Device::Cpu).unwrap();
        let found = Nf4::quantise(&zeros).unwrap().values().unwrap();
        assert_eq!(found.flatten_all().unwrap().to_vec1::<f32>().unwrap(), vec![0.0; 150]);
        let bad = Tensor::from_vec(vec![1.0, f32::NAN], (1, 2), &Device::Cpu).unwrap();
        assert!(Nf4::quantise(&bad).is_err());
    }

    /// tests/reference/quantised.py has written what bitsandbytes makes of these numbers.
    #[test]
    fn codes_and_numbers_are_those_of_bitsandbytes() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/reference/fixtures/quantised.safetensors");
        let all = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
        for name in ["square", "odd", "wide"] {
            let of = |part: &str| &all[&format!("{name}.{part}")];
            let held = Nf4::quantise(of("values")).unwrap();
            let (codes, scales, scales_of_scales, mean) = held.parts();
            let bytes = |part: &str| of(part).flatten_all().unwrap().to_vec1::<u8>().unwrap();
            assert!(codes == bytes("nf4_codes"), "{name}: codes");
            // Next to the middle of two numbers of its code book bitsandbytes may take either; we take the nearest.
            let theirs = bytes("nf4_scales");
            let others: Vec<usize> = (0..scales.len()).filter(|&at| scales[at] != theirs[at]).collect();
            assert!(others.len() * 200 <= scales.len(), "{name}: {} scales", others.len());
            assert!(others.iter().all(|&at| scales[at].abs_diff(theirs[at]) == 1), "{name}: {others:?}");
            let exact = of("nf4_scales_of_scales").flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let close = |a: f32, b: f32| (a - b).abs() <= 2e-7 * b.abs().max(1e-3);
            assert!(scales_of_scales.iter().zip(&exact).all(|(a, b)| close(*a, *b)), "{name}");
            assert!(
                close(mean, of("nf4_mean").flatten_all().unwrap().to_vec1::<f32>().unwrap()[0]),
                "{name}"
            );
            let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let (found, exact) = (flat(&held.values().unwrap()), flat(of("nf4_values")));
            let same = found.iter().zip(&exact).enumerate().filter(|(at, _)| !others.contains(&(at / BLOCK)));
            let off = same.map(|(_, (a, b))| (a - b).abs()).fold(0f32, f32::max);
            assert!(off <= 1e-7, "{name}: off by {off}");
        }
    }
}
