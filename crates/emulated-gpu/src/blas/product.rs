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
