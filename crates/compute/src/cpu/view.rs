//! Matrices in memory that others own: of a packed tensor some rows and some columns, or turned.
#![allow(unsafe_code)]

use std::{marker::PhantomData, ops::Range};

use candle_core::{Result, bail};
use rayon::prelude::*;

/// A matrix to read, whose rows and columns may be apart in memory.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// From the first element on.
    pub(super) values: &'a [f32],
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) row_stride: usize,
    pub(super) col_stride: usize,
}

impl<'a> View<'a> {
    /// Contiguous rows of `cols` elements.
    pub fn new(values: &'a [f32], cols: usize) -> View<'a> {
        let rows = values.len().checked_div(cols).unwrap_or(0);
        View { values, rows, cols, row_stride: cols, col_stride: 1 }
    }

    fn from(self, first: usize, rows: usize, cols: usize) -> View<'a> {
        View { values: self.values.get(first..).unwrap_or_default(), rows, cols, ..self }
    }

    /// Some of the rows.
    pub fn rows(self, range: Range<usize>) -> View<'a> {
        let rows = range.end.min(self.rows).saturating_sub(range.start);
        self.from(range.start * self.row_stride, rows, self.cols)
    }

    /// Some of the columns.
    pub fn columns(self, range: Range<usize>) -> View<'a> {
        let cols = range.end.min(self.cols).saturating_sub(range.start);
        self.from(range.start * self.col_stride, self.rows, cols)
    }

    pub fn row_count(&self) -> usize {
        self.rows
    }

    pub fn column_count(&self) -> usize {
        self.cols
    }

    /// One row, of a view with contiguous rows; none past the last.
    pub fn row(&self, row: usize) -> &'a [f32] {
        let from = row * self.row_stride;
        self.values
            .get(from..from + self.cols)
            .filter(|_| row < self.rows && self.col_stride == 1)
            .unwrap_or_default()
    }

    /// Rows as columns.
    pub fn turned(self) -> View<'a> {
        View {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// Whether every element lies in memory that is lent.
    pub(super) fn is_inside(&self) -> bool {
        self.rows == 0
            || self.cols == 0
            || (self.rows - 1) * self.row_stride + (self.cols - 1) * self.col_stride < self.values.len()
    }
}

/// A matrix to write, with contiguous rows that may be apart in memory: those of one of several
/// blocks of columns, which different threads may write at once.
pub struct ViewMut<'a> {
    /// The first element. That and `(rows − 1) · stride + cols` elements from it on are borrowed for
    /// `'a`, of which this view alone touches the first `cols` of every `stride`.
    pub(super) first: *mut f32,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) stride: usize,
    borrowed: PhantomData<&'a mut [f32]>,
}

/// The first element of a view whose rows are given out to threads, each to one.
struct Pointer(*mut f32);

// SAFETY: what it leads to is reached by one thread only, as `par_rows` gives it out.
unsafe impl Send for Pointer {}
// SAFETY: the same.
unsafe impl Sync for Pointer {}

// SAFETY: a view is the only one that reaches its elements, as a mutable slice would be.
unsafe impl Send for ViewMut<'_> {}

impl<'a> ViewMut<'a> {
    /// Contiguous rows of `cols` elements.
    pub fn new(values: &'a mut [f32], cols: usize) -> ViewMut<'a> {
        let rows = values.len().checked_div(cols).unwrap_or(0);
        ViewMut { first: values.as_mut_ptr(), rows, cols, stride: cols, borrowed: PhantomData }
    }

    /// Cuts into the first `at` columns and the others.
    pub fn split_columns(self, at: usize) -> (ViewMut<'a>, ViewMut<'a>) {
        let at = at.min(self.cols);
        let first = if at < self.cols && self.rows > 0 {
            // SAFETY: column `at` of row 0 is one of the elements that are borrowed.
            unsafe { self.first.add(at) }
        } else {
            self.first
        };
        (ViewMut { cols: at, ..self }, ViewMut { first, cols: self.cols - at, ..self })
    }

    /// Cuts into the first `at` rows and the others.
    pub fn split_rows(self, at: usize) -> (ViewMut<'a>, ViewMut<'a>) {
        let at = at.min(self.rows);
        let first = if at < self.rows {
            // SAFETY: row `at` begins at one of the elements that are borrowed.
            unsafe { self.first.add(at * self.stride) }
        } else {
            self.first
        };
        (ViewMut { rows: at, ..self }, ViewMut { first, rows: self.rows - at, ..self })
    }

    /// Cuts into pieces of `width` columns.
    pub fn by_columns(self, width: usize) -> Result<Vec<ViewMut<'a>>> {
        if width == 0 || !self.cols.is_multiple_of(width) {
            bail!("{} columns cannot be cut into pieces of {width}", self.cols)
        }
        let mut pieces = Vec::with_capacity(self.cols / width);
        let mut rest = self;
        while rest.cols > 0 {
            let (piece, after) = rest.split_columns(width);
            pieces.push(piece);
            rest = after;
        }
        Ok(pieces)
    }

    /// Some of the rows, for as long as this view is not used.
    pub fn rows_mut(&mut self, range: Range<usize>) -> ViewMut<'_> {
        let whole = ViewMut { borrowed: PhantomData, ..*self };
        whole.split_rows(range.end).0.split_rows(range.start).1
    }

    /// One row; none past the last.
    pub fn row(&mut self, row: usize) -> &mut [f32] {
        if row >= self.rows || self.cols == 0 {
            return &mut [];
        }
        // SAFETY: the elements of a row of this view lie one after another, are borrowed for it
        // alone, and are lent on for as long as the view itself is.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(row * self.stride), self.cols) }
    }

    /// Some of the columns, for as long as this view is not used.
    pub fn columns_mut(&mut self, range: Range<usize>) -> ViewMut<'_> {
        let whole = ViewMut { borrowed: PhantomData, ..*self };
        whole.split_columns(range.end).0.split_columns(range.start).1
    }

    pub fn row_count(&self) -> usize {
        self.rows
    }

    pub fn column_count(&self) -> usize {
        self.cols
    }

    /// All rows at once.
    pub fn par_rows(&mut self) -> impl IndexedParallelIterator<Item = &mut [f32]> {
        let (first, stride, cols) = (Pointer(self.first), self.stride, self.cols);
        (0..self.rows).into_par_iter().map(move |row| {
            let first = &first;
            if cols == 0 {
                return &mut [][..];
            }
            // SAFETY: rows are borrowed for this view alone, do not overlap, and each is given out once.
            unsafe { std::slice::from_raw_parts_mut(first.0.add(row * stride), cols) }
        })
    }

    pub fn fill(&mut self, value: f32) {
        (0..self.rows).for_each(|row| self.row(row).fill(value));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pieces_of_a_matrix_are_disjoint_and_together_all_of_it() {
        let mut values = vec![0f32; 5 * 6];
        let (above, below) = ViewMut::new(&mut values, 6).split_rows(2);
        let mut pieces = above.by_columns(3).unwrap();
        pieces.extend(below.by_columns(2).unwrap());
        std::thread::scope(|scope| {
            for (number, mut piece) in pieces.into_iter().enumerate() {
                scope.spawn(move || piece.fill(number as f32 + 1.0));
            }
        });
        let row = |at: usize| values[at * 6..(at + 1) * 6].to_vec();
        assert_eq!(row(1), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
        assert_eq!(row(4), [3.0, 3.0, 4.0, 4.0, 5.0, 5.0]);
    }

    #[test]
    fn rows_and_columns_past_the_end_are_empty_and_no_panic() {
        let mut values = vec![0f32; 6];
        let mut view = ViewMut::new(&mut values, 3);
        assert!(view.row(2).is_empty());
        assert_eq!(view.rows_mut(1..9).rows, 1);
        assert!(view.by_columns(2).is_err());
        let view = View::new(&values, 3);
        assert_eq!((view.rows(5..9).rows, view.columns(2..9).cols), (0, 1));
        assert!(view.rows(5..9).is_inside() && view.turned().columns(1..2).is_inside());
        let mut nothing = ViewMut::new(&mut [], 0);
        nothing.fill(1.0);
        assert!(nothing.split_columns(3).1.by_columns(1).unwrap().is_empty());
    }
}
