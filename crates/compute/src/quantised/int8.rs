use candle_core::{DType, Device, Result, Tensor, bail};
use rayon::prelude::*;

use super::{size_of_tensor, with_bytes};
use crate::cpu::Values;

/// A matrix `[rows, cols]` in 8 bits a number, with a scale a row: a number is its code times the largest of its row
/// divided by 127, as the rows of bitsandbytes' `int8_vectorwise_quant` (Dettmers et al., arXiv 2208.07339).
#[derive(Debug, Clone)]
pub struct Int8 {
    pub rows: usize,
    pub cols: usize,
    /// Two's complement.
    codes: Tensor,
    /// The largest of each row.
    largest: Tensor,
}

impl Int8 {
    /// Out of a matrix in `f32` on the CPU.
    pub fn quantise(tensor: &Tensor) -> Result<Int8> {
        let (rows, cols) = tensor.dims2()?;
        let tensor = tensor.contiguous()?;
        let values = Values::of(&tensor)?;
        let (values, width) = (values.slice(), cols.max(1));
        let mut codes = vec![0u8; values.len()];
        let largest = codes.par_chunks_mut(width).zip(values.par_chunks(width)).map(|(codes, values)| {
            let largest = values.iter().fold(0f32, |most, x| most.max(x.abs()));
            // As PyTorch divides a number by a tensor.
            let factor = if largest > 0.0 { largest.recip() * 127.0 } else { 0.0 };
            encode(values, factor, codes);
            (largest, values.iter().all(|x| x.is_finite()))
        });
        let (largest, finite): (Vec<f32>, Vec<bool>) = largest.unzip();
        if !finite.into_iter().all(|finite| finite) {
            bail!("a weight has a number that is not finite, and cannot be held in 8 bits");
        }
        let codes = Tensor::from_vec(codes, rows * cols, &Device::Cpu)?;
        let count = largest.len();
        Ok(Int8 { rows, cols, codes, largest: Tensor::from_vec(largest, count, &Device::Cpu)? })
    }

    /// One of this shape, of which nobody asks more than the size: one number stands for all of each kind.
    pub fn of_shape(rows: usize, cols: usize) -> Result<Int8> {
        let (codes, largest) = (super::stand_in(DType::U8, rows * cols)?, super::stand_in(DType::F32, rows)?);
        Ok(Int8 { rows, cols, codes, largest })
    }

    /// Whole rows from this one on into `out`.
    pub fn read(&self, first: usize, out: &mut [f32]) -> Result<()> {
        let cols = self.cols.max(1);
        if !out.len().is_multiple_of(cols) || first + out.len() / cols > self.rows {
            bail!("{} numbers from row {first} on of a weight of {} × {}", out.len(), self.rows, self.cols);
        }
        with_bytes(&self.codes, |codes| {
            let largest = Values::of(&self.largest)?;
            let largest = &largest.slice()[first..];
            let codes = &codes[first * cols..];
            out.par_chunks_mut(cols).zip(codes.par_chunks(cols)).zip(largest).for_each(
                |((out, codes), largest)| {
                    decode(codes, largest / 127.0, out);
                },
            );
            Ok(())
        })
    }

    /// The same codes and scales in the memory of another device.
    pub fn to_device(&self, device: &Device) -> Result<Int8> {
        let moved = |tensor: &Tensor| tensor.to_device(device);
        Ok(Int8 { codes: moved(&self.codes)?, largest: moved(&self.largest)?, ..*self })
    }

    /// What a kernel of another device reads: codes, and the largest magnitude of each row.
    pub fn tensors(&self) -> [&Tensor; 2] {
        [&self.codes, &self.largest]
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        size_of_tensor(&self.codes) + size_of_tensor(&self.largest)
    }

    /// All of its numbers, `[rows, cols]` in `f32` in the host's memory.
    pub fn values(&self) -> Result<Tensor> {
        let mut values = vec![0f32; self.rows * self.cols];
        self.to_device(&Device::Cpu)?.read(0, &mut values)?;
        Tensor::from_vec(values, (self.rows, self.cols), &Device::Cpu)
    }
}

crate::vectorised! {
    fn encode<'a>(values: &'a [f32], factor: f32, codes: &'a mut [u8]) {
        // Ties to even, as PyTorch rounds.
        codes.iter_mut().zip(values).for_each(|(code, x)| *code = (x * factor).round_ties_even() as i8 as u8);
    }
}

crate::vectorised! {
    fn decode<'a>(codes: &'a [u8], scale: f32, out: &'a mut [f32]) {
        out.iter_mut().zip(codes).for_each(|(out, code)| *out = f32::from(*code as i8) * scale);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn codes_and_numbers_are_those_of_bitsandbytes() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/reference/fixtures/quantised.safetensors");
        let all = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
        for name in ["square", "odd", "wide"] {
            let of = |part: &str| &all[&format!("{name}.{part}")];
            let held = Int8::quantise(of("values")).unwrap();
            let codes = of("int8_codes").flatten_all().unwrap().to_vec1::<u8>().unwrap();
            let found = held.codes.to_vec1::<u8>().unwrap();
            let other = found.iter().zip(&codes).position(|(a, b)| a != b);
            assert_eq!(
                other.map(|at| (at, found[at], codes[at])),
                None,
                "{name}: the first code that is another"
            );
            let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let (found, exact) = (flat(&held.values().unwrap()), flat(of("int8_values")));
            let off = found.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
            assert!(off <= 1e-7, "{name}: off by {off}");
        }
    }

    #[test]
    fn rows_of_zeros_stay_so_parts_are_those_of_the_whole_and_what_is_not_finite_is_refused() {
        let values = Tensor::from_vec(vec![0.0f32, 0.0, 1.0, -2.0, 0.25, 4.0], (3, 2), &Device::Cpu).unwrap();
        let held = Int8::quantise(&values).unwrap();
        let all = held.values().unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(all[0], [0.0, 0.0]);
        assert_eq!((all[1][1], all[2][1]), (-2.0, 4.0));
        let mut last = [0f32; 4];
        held.read(1, &mut last).unwrap();
        assert_eq!([&last[..2], &last[2..]], [&all[1][..], &all[2][..]]);
        assert!(held.read(2, &mut last).is_err());
        assert_eq!(held.bytes(), 6 + 12);
        let bad = Tensor::from_vec(vec![1.0, f32::INFINITY], (1, 2), &Device::Cpu).unwrap();
        assert!(Int8::quantise(&bad).is_err());
    }
}
