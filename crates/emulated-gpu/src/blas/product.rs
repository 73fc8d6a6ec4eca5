//! A product as cuBLAS defines it: what its matrices are and whether they may be, where they lie, and its execution.

use super::{
    Element, Rounding,
    element::Sum,
    tile::{self, COLS, ROWS},
};
use crate::{
    driver::{Error, Result},
    memory::Memory,
};

/// A matrix, or a batch of them, in device memory, column by column.
#[derive(Clone, Copy, Debug)]
pub struct Matrix {
    /// Of the first element.
    pub address: u64,
    /// Kind of the elements.
    pub element: Element,
    /// Elements from one column to the next.
    pub leading: i64,
    /// Elements from one matrix of the batch to the next.
    pub stride: i64,
    /// Whether the product takes it transposed. Of `c` it is never set.
    pub transposed: bool,
}

/// `c = alpha · a · b + beta · c`, with `a` of `m` × `k` and `b` of `k` × `n` once they are transposed, `batch` times.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// The function that was called, for the counters.
    pub function: &'static str,
    /// The left factor.
    pub a: Matrix,
    /// The right factor.
    pub b: Matrix,
    /// The result.
    pub c: Matrix,
    /// Rows of the result.
    pub m: i64,
    /// Columns of the result.
    pub n: i64,
    /// Length of the sums.
    pub k: i64,
    /// How many products.
    pub batch: i64,
    /// Factor of the product.
    pub alpha: f64,
    /// Factor of what `c` holds before; where it is 0, `c` is not read.
    pub beta: f64,
    /// How `f32` inputs are rounded.
    pub rounding: Rounding,
    /// Whether sums are in `f64` rather than `f32`.
    pub double: bool,
}

impl Product {
    /// Checks what can be checked without the memory.
    pub(super) fn check(&self) -> Result<()> {
        let Product { m, n, k, batch, .. } = *self;
        if m < 0 || n < 0 || k < 0 || batch < 0 {
            return Err(Error::Argument(format!("a product of m {m}, n {n}, k {k}, {batch} times")));
        }
        for (name, matrix, rows, cols) in self.matrices() {
            let stored = if matrix.transposed { cols } else { rows };
            if matrix.leading < stored.max(1) {
                let leading = matrix.leading;
                return Err(Error::Argument(format!(
                    "the leading dimension of {name} is {leading}, its rows {stored}"
                )));
            }
            if !matrix.address.is_multiple_of(matrix.element.size()) {
                return Err(Error::Argument(format!(
                    "{name} begins at {:#x}, which is not aligned",
                    matrix.address
                )));
            }
        }
        if self.batch > 1 && self.c.stride.abs() < self.n.min(1) {
            return Err(Error::Argument("the results of a batch lie upon each other".into()));
        }
        Ok(())
    }

    fn matrices(&self) -> [(&'static str, &Matrix, i64, i64); 3] {
        [("A", &self.a, self.m, self.k), ("B", &self.b, self.k, self.n), ("C", &self.c, self.m, self.n)]
    }

    /// Additions and multiplications.
    pub(crate) fn flop(&self) -> u64 {
        2 * (self.m * self.n * self.k * self.batch) as u64
    }

    /// Whether there is nothing to compute.
    pub(super) fn is_empty(&self) -> bool {
        self.m == 0 || self.n == 0 || self.batch == 0
    }

    /// Whether all three matrices are of `f32`.
    pub(super) fn is_all_f32(&self) -> bool {
        [self.a, self.b, self.c].iter().all(|matrix| matrix.element == Element::F32)
    }

    /// Addresses and lengths of everything that is read and written.
    pub(super) fn ranges(&self) -> Result<Vec<(u64, u64)>> {
        let mut ranges = Vec::new();
        if self.is_empty() {
            return Ok(ranges);
        }
        for (name, matrix, rows, cols) in self.matrices() {
            for number in 0..self.batch {
                ranges.push(matrix.range(number, rows, cols).ok_or_else(|| {
                    Error::Argument(format!("{name} of {rows} × {cols} is larger than any memory"))
                })?);
            }
        }
        Ok(ranges)
    }

    /// Computes all products of the batch; returns how many bytes were read and written.
    pub(crate) fn execute(&self, memory: &mut Memory, threads: usize) -> Result<(u64, u64)> {
        for number in 0..self.batch {
            if self.double {
                self.one::<f64>(memory, number, threads)?;
            } else {
                self.one::<f32>(memory, number, threads)?;
            }
        }
        let elements =
            |rows: i64, cols: i64, matrix: &Matrix| (rows * cols * self.batch) as u64 * matrix.element.size();
        let written = elements(self.m, self.n, &self.c);
        let factors = elements(self.m, self.k, &self.a) + elements(self.k, self.n, &self.b);
        Ok((factors + if self.beta == 0.0 { 0 } else { written }, written))
    }

    fn one<T: Sum>(&self, memory: &mut Memory, number: i64, threads: usize) -> Result<()> {
        let (m, n, k) = (self.m as usize, self.n as usize, self.k as usize);
        let products = if k > 0 && self.alpha != 0.0 {
            let a = self.a.load::<T>(memory, number, self.m, self.k, self.rounding)?;
            let b = self.b.load::<T>(memory, number, self.k, self.n, self.rounding)?;
            let (lda, ldb) = (self.a.leading as usize, self.b.leading as usize);
            let left = match self.a.transposed {
                false => tile::pack::<T, ROWS>(&a, m, k, |i, p| i + p * lda),
                true => tile::pack::<T, ROWS>(&a, m, k, |i, p| p + i * lda),
            };
            let right = match self.b.transposed {
                false => tile::pack::<T, COLS>(&b, n, k, |j, p| p + j * ldb),
                true => tile::pack::<T, COLS>(&b, n, k, |j, p| j + p * ldb),
            };
            tile::multiply(&left, &right, m, n, threads)
        } else {
            vec![T::default(); m * n]
        };
        let (address, bytes) = self.range_of_c(number)?;
        let c = memory.bytes_mut(address, bytes)?;
        let size = self.c.element.size() as usize;
        let (alpha, beta) = (T::of_f64(self.alpha), T::of_f64(self.beta));
        for (column, sums) in c.chunks_mut(self.c.leading as usize * size).zip(products.chunks_exact(m)) {
            for (element, sum) in column.chunks_exact_mut(size).zip(sums) {
                let scaled = alpha * *sum;
                let value = match self.beta {
                    0.0 => scaled,
                    _ => beta.fused(self.c.element.read(element), scaled),
                };
                self.c.element.write(value, element);
            }
        }
        Ok(())
    }

    fn range_of_c(&self, number: i64) -> Result<(u64, u64)> {
        let range = self.c.range(number, self.m, self.n);
        range.ok_or_else(|| Error::Argument("C is larger than any memory".into()))
    }
}

impl Matrix {
    /// Address and length in bytes of one matrix of a batch, whose `rows` and `cols` are those of the product.
    fn range(&self, number: i64, rows: i64, cols: i64) -> Option<(u64, u64)> {
        let (rows, cols) = if self.transposed { (cols, rows) } else { (rows, cols) };
        let size = self.element.size();
        let offset = number.checked_mul(self.stride)?.checked_mul(size as i64)?;
        let address = self.address.checked_add_signed(offset)?;
        if rows == 0 || cols == 0 {
            return Some((address, 0));
        }
        let elements = (cols - 1).checked_mul(self.leading)?.checked_add(rows)?;
        Some((address, (elements as u64).checked_mul(size)?))
    }

    fn load<T: Sum>(
        &self,
        memory: &Memory,
        number: i64,
        rows: i64,
        cols: i64,
        rounding: Rounding,
    ) -> Result<Vec<T>> {
        let range = self.range(number, rows, cols);
        let (address, bytes) =
            range.ok_or_else(|| Error::Argument("a factor is larger than any memory".into()))?;
        let mut values = self.element.widen::<T>(memory.bytes(address, bytes)?);
        if self.element == Element::F32 {
            T::round(&mut values, rounding);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn value(seed: u64, index: usize) -> f64 {
        // Sixteenths between -4 and 4: each kind of number holds them exactly.
        (crate::scrambled(seed << 32 | index as u64) % 128) as f64 / 16.0 - 4.0
    }

    fn filled(memory: &mut Memory, element: Element, seed: u64, count: usize) -> u64 {
        let size = element.size();
        let address = memory.allocate(count as u64 * size).unwrap();
        let bytes = memory.bytes_mut(address, count as u64 * size).unwrap();
        for (index, bytes) in bytes.chunks_exact_mut(size as usize).enumerate() {
            element.write(value(seed, index), bytes);
        }
        address
    }

    fn number(memory: &Memory, element: Element, address: u64, index: usize) -> f64 {
        let at = address + index as u64 * element.size();
        element.read(memory.bytes(at, element.size()).unwrap())
    }

    /// One product of every kind of numbers with both transpositions, gaps between columns and matrices, against sums in
    /// double precision by the definition.
    #[test]
    fn products_of_all_kinds_are_what_cublas_defines() {
        use Element::{Bf16, F16, F32, F64};
        let (m, n, k, batch) = (19i64, 7i64, 13i64, 3i64);
        for (factors, result) in [(F32, F32), (F64, F64), (F16, F16), (F16, F32), (Bf16, Bf16), (Bf16, F32)] {
            for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
                let mut memory = Memory::new(1 << 20, 0);
                let mut matrix = |element, seed, rows: i64, cols: i64, transposed: bool| {
                    let (stored, columns) = if transposed { (cols, rows) } else { (rows, cols) };
                    let (leading, stride) = (stored + 3, (stored + 3) * columns + 5);
                    let address = filled(&mut memory, element, seed, (stride * batch) as usize);
                    Matrix { address, element, leading, stride, transposed }
                };
                let a = matrix(factors, 1, m, k, ta);
                let b = matrix(factors, 2, k, n, tb);
                let c = matrix(result, 3, m, n, false);
                let (alpha, beta, double) = (0.5, -1.5, factors == F64);
                let rounding = Rounding::None;
                let product =
                    Product { function: "", a, b, c, m, n, k, batch, alpha, beta, rounding, double };
                product.check().unwrap();
                let (read, written) = product.execute(&mut memory, 2).unwrap();
                let (small, large) = (factors.size(), result.size());
                assert_eq!(written, (m * n * batch) as u64 * large);
                assert_eq!(read, ((m * k + k * n) * batch) as u64 * small + written);
                let at = |matrix: &Matrix, row: i64, col: i64, number: i64| {
                    let (row, col) = if matrix.transposed { (col, row) } else { (row, col) };
                    (number * matrix.stride + row + col * matrix.leading) as usize
                };
                for q in 0..batch {
                    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                        let terms = (0..k).map(|p| value(1, at(&a, i, p, q)) * value(2, at(&b, p, j, q)));
                        let wanted = alpha * terms.sum::<f64>() + beta * value(3, at(&c, i, j, q));
                        let got = number(&memory, result, c.address, at(&c, i, j, q));
                        let step = match result {
                            F16 => 2f64.powi(-11),
                            Bf16 => 2f64.powi(-8),
                            _ => 1e-6,
                        };
                        assert!(
                            (got - wanted).abs() <= step * wanted.abs() + 1e-6,
                            "{result:?} {got} {wanted}"
                        );
                    }
                    // What lies between the columns stays as it was.
                    let gap = at(&c, m, 0, q);
                    assert_eq!(number(&memory, result, c.address, gap), value(3, gap));
                }
            }
        }
    }

    #[test]
    fn roundings_of_the_inputs_show_in_the_product() {
        let mut memory = Memory::new(1 << 16, 0);
        let mut one = |x: f32, rounding| {
            let [a, b, c] = [0; 3].map(|_| memory.allocate(4).unwrap());
            memory.bytes_mut(a, 4).unwrap().copy_from_slice(&x.to_le_bytes());
            memory.bytes_mut(b, 4).unwrap().copy_from_slice(&1f32.to_le_bytes());
            let matrix =
                |address| Matrix { address, element: Element::F32, leading: 1, stride: 0, transposed: false };
            let (a, b, c) = (matrix(a), matrix(b), matrix(c));
            let (m, n, k, batch, alpha, beta, double) = (1, 1, 1, 1, 1.0, 0.0, false);
            let product = Product { function: "", a, b, c, m, n, k, batch, alpha, beta, rounding, double };
            product.execute(&mut memory, 1).unwrap();
            number(&memory, Element::F32, c.address, 0) as f32
        };
        let x = 1.0 + 2f32.powi(-7) + 2f32.powi(-10) + 2f32.powi(-20);
        assert_eq!(one(x, Rounding::None), x);
        assert_eq!(one(x, Rounding::Tf32), 1.0 + 2f32.powi(-7) + 2f32.powi(-10));
        assert_eq!(one(x, Rounding::F16), 1.0 + 2f32.powi(-7) + 2f32.powi(-10));
        assert_eq!(one(x, Rounding::Bf16), 1.0 + 2f32.powi(-7));
    }

    #[test]
    fn sums_of_no_terms_scale_the_result_alone() {
        let mut memory = Memory::new(1 << 16, 0);
        let c = filled(&mut memory, Element::F32, 3, 4);
        let matrix =
            |address| Matrix { address, element: Element::F32, leading: 2, stride: 0, transposed: false };
        let (a, b, c) = (matrix(0), matrix(0), matrix(c));
        let (m, n, k, batch, alpha, beta) = (2, 2, 0, 1, 1.0, 2.0);
        let (rounding, double) = (Rounding::None, false);
        let product = Product { function: "", a, b, c, m, n, k, batch, alpha, beta, rounding, double };
        product.execute(&mut memory, 1).unwrap();
        for index in 0..4 {
            assert_eq!(number(&memory, Element::F32, c.address, index), 2.0 * value(3, index));
        }
    }
}
