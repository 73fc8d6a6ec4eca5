//! Matrices in a device's memory, of which parts are read and written.

use std::ops::Range;

use candle_core::{Result, bail};

use super::{Backend, Dropout, Products, same};
use crate::Held;

/// A matrix of `f32` that its owner alone writes, its rows one after another.
pub struct Matrix<B: Backend> {
    pub buffer: B::Buffer,
    pub rows: usize,
    pub cols: usize,
}

impl<B: Backend> Matrix<B> {
    /// One whose numbers are whatever the memory holds: for a result that is written whole.
    pub fn new(backend: &B, rows: usize, cols: usize) -> Result<Matrix<B>> {
        Ok(Matrix { buffer: backend.buffer(rows * cols)?, rows, cols })
    }

    pub fn all(&self) -> In<'_, B> {
        In::rows(B::read(&self.buffer, 0..self.rows * self.cols), self.cols)
    }

    pub fn all_mut(&mut self) -> Out<'_, B> {
        Out::rows(B::write(&mut self.buffer, 0..self.rows * self.cols), self.cols)
    }

    /// Some of the columns; none past the last.
    pub fn columns(&self, range: Range<usize>) -> In<'_, B> {
        self.all().columns(range)
    }

    pub fn columns_mut(&mut self, range: Range<usize>) -> Out<'_, B> {
        self.all_mut().columns(range)
    }
}

/// Where a matrix lies in the memory that it is in: each row begins `stride` numbers after the one before it, and of each
/// row `cols` numbers belong to it, from number `from` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub rows: usize,
    pub cols: usize,
    pub stride: usize,
    pub from: usize,
}

impl Place {
    fn of(len: usize, cols: usize) -> Place {
        Place { rows: len.checked_div(cols).unwrap_or(0), cols, stride: cols, from: 0 }
    }

    fn columns(self, range: Range<usize>) -> Place {
        let start = range.start.min(self.cols);
        Place { from: self.from + start, cols: range.end.clamp(start, self.cols) - start, ..self }
    }
}

/// A matrix to read.
pub struct In<'a, B: Backend> {
    pub values: B::Ref<'a>,
    pub place: Place,
    /// Whether its rows are read as columns.
    pub turned: bool,
}

impl<B: Backend> Clone for In<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: Backend> Copy for In<'_, B> {}

impl<'a, B: Backend> In<'a, B> {
    /// All of some memory, as rows of `cols` numbers.
    pub fn rows(values: B::Ref<'a>, cols: usize) -> In<'a, B> {
        In { values, place: Place::of(B::len(values), cols), turned: false }
    }

    #[must_use]
    pub fn columns(self, range: Range<usize>) -> In<'a, B> {
        In { place: self.place.columns(range), ..self }
    }

    #[must_use]
    pub fn turned(self) -> In<'a, B> {
        In { turned: !self.turned, ..self }
    }

    /// Rows and columns as they are read.
    pub fn shape(&self) -> (usize, usize) {
        let Place { rows, cols, .. } = self.place;
        if self.turned { (cols, rows) } else { (rows, cols) }
    }

    /// The numbers, where its rows follow one another.
    pub fn contiguous(&self) -> Result<B::Ref<'a>> {
        let Place { rows, cols, stride, from } = self.place;
        if self.turned || from != 0 || (rows > 1 && stride != cols) || rows * cols != B::len(self.values) {
            bail!("a matrix is read as a whole, and is a part of one: {:?}", self.place);
        }
        Ok(self.values)
    }
}

/// A matrix to write.
pub struct Out<'a, B: Backend> {
    pub values: B::Mut<'a>,
    pub place: Place,
}

impl<'a, B: Backend> Out<'a, B> {
    pub fn rows(values: B::Mut<'a>, cols: usize) -> Out<'a, B> {
        let place = Place::of(B::len_mut(&values), cols);
        Out { values, place }
    }

    #[must_use]
    pub fn columns(self, range: Range<usize>) -> Out<'a, B> {
        Out { place: self.place.columns(range), ..self }
    }

    /// The numbers, where its rows follow one another.
    pub fn contiguous(self) -> Result<B::Mut<'a>> {
        let Place { rows, cols, stride, from } = self.place;
        if from != 0 || (rows > 1 && stride != cols) || rows * cols != B::len_mut(&self.values) {
            bail!("a matrix is written as a whole, and is a part of one: {:?}", self.place);
        }
        Ok(self.values)
    }
}

/// What LoRA adds to a layer's result: low wᵀ, for low `[n, r]` and w `[out, r]`, or with `turned` low w for w `[r, out]`. A
/// device may add it where the result is read next.
pub struct LowRank<'a, B: Backend> {
    pub low: In<'a, B>,
    pub weight: &'a Held,
    pub turned: bool,
    pub products: Products,
}

impl<B: Backend> Clone for LowRank<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: Backend> Copy for LowRank<'_, B> {}

impl<B: Backend> LowRank<'_, B> {
    /// out += low wᵀ
    pub fn add_to(self, backend: &B, out: Out<B>) -> Result<()> {
        backend.product_held(out, self.low, self.weight, self.turned, 1.0, true, self.products)
    }
}

/// A product of what a norm gives with a thin matrix, as LoRA begins with one: out = s · dropout(y) aᵀ, for y `[n, d]`,
/// a `[r, d]` and out `[n, r]`.
pub struct Thin<'out, 'a, B: Backend> {
    pub out: B::Mut<'out>,
    pub a: &'a Held,
    pub scale: f32,
    pub dropout: Option<Dropout>,
    pub products: Products,
}

impl<B: Backend> Thin<'_, '_, B> {
    /// The product by itself; with dropout y has to be whole.
    pub fn of(self, backend: &B, y: In<B>) -> Result<()> {
        let Thin { out, a, scale, dropout, products } = self;
        let rank = a.dims()?.0;
        same(B::len_mut(&out), y.shape().0 * rank)?;
        let out = Out::rows(out, rank);
        let Some(dropout) = dropout else {
            return backend.product_held(out, y, a, false, scale, false, products);
        };
        let (rows, cols) = y.shape();
        let mut dropped = Matrix::new(backend, rows, cols)?;
        backend.drop(dropped.all_mut().values, y.contiguous()?, dropout)?;
        backend.product_held(out, dropped.all(), a, false, scale, false, products)
    }
}
