use super::View;

crate::vectorised! {
    /// Writes the rows of a matrix, which are contiguous, as columns of `turned` `[columns, width]`, with
    /// zeros behind the last; the width is a multiple of eight and no less than the number of rows.
    pub fn turn<'a>(matrix: View<'a>, turned: &'a mut [f32], width: usize) {
        let zeros = vec![0f32; matrix.cols];
        let of = |row: usize| if row < matrix.rows { matrix.row(row) } else { &zeros };
        for first in (0..width).step_by(8) {
            let rows = [0, 1, 2, 3, 4, 5, 6, 7].map(|row| of(first + row));
            turn_eight(rows, turned, width, first);
        }
    }
}

/// Eight at once, since a processor reads single numbers faster than it writes them.
#[inline(always)]
fn turn_eight(rows: [&[f32]; 8], turned: &mut [f32], width: usize, first: usize) {
    let columns = rows[0].len();
    // Slices that are seen to be of one length, so that no element is asked for its place.
    let [a, b, c, d] = [&rows[0][..columns], &rows[1][..columns], &rows[2][..columns], &rows[3][..columns]];
    let [e, f, g, h] = [&rows[4][..columns], &rows[5][..columns], &rows[6][..columns], &rows[7][..columns]];
    for (k, turned) in turned.chunks_exact_mut(width).enumerate().take(columns) {
        if let Some(turned) = turned[first..].first_chunk_mut() {
            *turned = [a[k], b[k], c[k], d[k], e[k], f[k], g[k], h[k]];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_the_rows_with_zeros_behind() {
        for (rows, columns) in (0..20usize).flat_map(|rows| (1..20usize).map(move |columns| (rows, columns)))
        {
            let values: Vec<f32> = (0..rows * (columns + 3)).map(|at| at as f32 + 1.0).collect();
            let matrix = View::new(&values, columns + 3).columns(2..2 + columns);
            let width = rows.next_multiple_of(8) + 8;
            let mut turned = vec![-1f32; columns * width];
            turn(matrix, &mut turned, width);
            for (at, x) in turned.into_iter().enumerate() {
                let (column, row) = (at / width, at % width);
                let exact = if row < rows { values[row * (columns + 3) + 2 + column] } else { 0.0 };
                assert_eq!(x, exact, "{rows}×{columns}, {row} {column}");
            }
        }
    }
}
