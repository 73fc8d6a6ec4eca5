use std::sync::LazyLock;

/// The 256 numbers in [−1, 1] that one byte can stand for.
///
/// The dynamic data type of Dettmers et al., "8-bit Optimizers via Block-wise Quantization" (arXiv
/// 2110.02861, section 1.3): after the sign come zeros, which count powers of ten, then a one,
/// and what is left of the byte cuts [0.1, 1] evenly, each part standing for its middle. So small
/// numbers are finely resolved and large ones precisely. A byte of a second moment has no sign
/// and cuts twice as finely. Two bytes are left over, for 0 and for 1; −1 has none. As in
/// bitsandbytes the numbers are in ascending order, so that a code is the place of its number.
pub struct CodeBook {
    pub values: [f32; 256],
    /// The largest `f32` that code `n` is taken for, at place `n`.
    limits: [f32; 256],
    /// The code of the least `f32` of each cell; a cell is all that have the upper 16 bits in
    /// common, which is so little that at most one limit lies in it.
    cells: [u8; 2 * CELLS],
    /// The code of 0.
    pub zero: u8,
}

/// Room for the cells of one sign: one for all below 2⁻²², where no limit is but 0, then 128 for
/// each power of two, and one for 1 and all above.
const CELLS: usize = 4096;
/// The upper 16 bits of 2⁻²² and of 1.
const FIRST_CELL: u32 = 0x3480;
const LAST_CELL: u32 = 0x3f80;

/// The powers of ten from the largest, 1, down.
const POWERS: u32 = 7;

impl CodeBook {
    /// The largest `f32` that code `n` is taken for, at place `n`.
    pub fn limits(&self) -> &[f32; 256] {
        &self.limits
    }

    /// That of first moments.
    pub fn signed() -> &'static CodeBook {
        static BOOK: LazyLock<CodeBook> = LazyLock::new(|| {
            let positive = middles(1);
            let negative = positive.iter().map(|value| -value);
            CodeBook::new(negative.chain(positive.iter().copied()).chain([0.0, 1.0]))
        });
        &BOOK
    }

    /// That of second moments, of which none above 0 becomes 0. The paper rounds those to 0 that
    /// are less than 1.6e-7 of the largest in their block. There the step is the first moment
    /// divided by epsilon, thousands of learning rates long, when the gradient of such a weight
    /// is 0 for once (tests/reference/adamw_8bit.py --compare-to-paper). Taken for the least number
    /// above 0 it is shorter than it should be, which does no harm.
    pub fn unsigned() -> &'static CodeBook {
        static BOOK: LazyLock<CodeBook> = LazyLock::new(|| {
            let mut book = CodeBook::new(middles(2).into_iter().chain([0.0, 1.0]));
            book.limits[usize::from(book.zero)] = 0.0;
            book.fill_cells();
            book
        });
        &BOOK
    }

    fn new(values: impl Iterator<Item = f32>) -> CodeBook {
        let mut sorted = [0.0; 256];
        sorted.iter_mut().zip(values).for_each(|(place, value)| *place = value);
        sorted.sort_by(f32::total_cmp);
        let mut limits = [f32::INFINITY; 256];
        for (limit, pair) in limits.iter_mut().zip(sorted.windows(2)) {
            *limit = rounded_down(f64::midpoint(f64::from(pair[0]), f64::from(pair[1])));
        }
        let zero = sorted.partition_point(|&value| value < 0.0) as u8;
        let mut book = CodeBook { values: sorted, limits, cells: [0; 2 * CELLS], zero };
        book.fill_cells();
        book
    }

    fn fill_cells(&mut self) {
        let code = |least: f32| self.limits.partition_point(|&limit| least > limit) as u8;
        let below = (FIRST_CELL << 16) - 1;
        let all =
            std::iter::once((0, below)).chain((FIRST_CELL..=LAST_CELL).map(|c| (c << 16, c << 16 | 0xffff)));
        for (smallest, largest) in all {
            self.cells[cell(smallest)] = code(f32::from_bits(smallest));
            self.cells[cell(largest | 1 << 31)] = code(-f32::from_bits(largest));
        }
    }

    /// The code of the number nearest to `x`, exactly; of two equally near the lower one.
    #[inline(always)]
    pub fn nearest(&self, x: f32) -> u8 {
        let code = self.cells[cell(x.to_bits())];
        code.wrapping_add(u8::from(x > self.limits[usize::from(code)]))
    }
}

/// The place of the cell that an `f32` of these bits is in.
#[inline(always)]
fn cell(bits: u32) -> usize {
    let magnitude = (bits >> 16 & 0x7fff).clamp(FIRST_CELL - 1, LAST_CELL) - (FIRST_CELL - 1);
    (magnitude | bits >> 31 << CELLS.ilog2()) as usize % (2 * CELLS)
}

/// The middles of the parts into which [0.1, 1] and what is a tenth of it, a hundredth and so on
/// are cut: the least in as many as are given, each next in twice as many.
fn middles(parts_of_the_least: u64) -> Vec<f32> {
    let mut middles = Vec::with_capacity(254);
    for power in 0..POWERS {
        let parts = parts_of_the_least << power;
        // (1/10 + 9/10 (part + 1/2) / parts) / 10^(POWERS − 1 − power), in whole numbers.
        let denominator = 20 * parts * 10u64.pow(POWERS - 1 - power);
        middles.extend((0..parts).map(|part| {
            let numerator = 2 * parts + 9 * (2 * part + 1);
            (numerator as f64 / denominator as f64) as f32
        }));
    }
    middles
}

/// The largest `f32` that is no more than `x`, so that an `f32` is above one where it is above
/// the other.
fn rounded_down(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) > x { near.next_down() } else { near }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_book_has_256_different_numbers_with_0_and_1_and_no_minus_1() {
        for (book, zero, least) in [(CodeBook::signed(), 127, -0.992_968_74), (CodeBook::unsigned(), 0, 0.0)]
        {
            assert!(book.values.windows(2).all(|pair| pair[0] < pair[1]));
            assert_eq!((book.zero, book.values[usize::from(book.zero)]), (zero, 0.0));
            assert_eq!((book.values[0], book.values[255]), (least, 1.0));
        }
        assert_eq!(CodeBook::unsigned().values[1], 3.25e-7);
        assert_eq!(CodeBook::signed().values[128], 5.5e-7);
    }

    #[test]
    fn the_nearest_number_is_found_also_beside_every_middle_and_at_it_the_lower() {
        for (book, guarded) in [(CodeBook::signed(), false), (CodeBook::unsigned(), true)] {
            let slowly = |x: f32| {
                let distance = |value: f32| (f64::from(value) - f64::from(x)).abs();
                let skip = usize::from(guarded && x > 0.0);
                let codes = (skip..256).map(|code| (code, distance(book.values[code])));
                codes.fold((0, f64::INFINITY), |best, next| if next.1 < best.1 { next } else { best }).0 as u8
            };
            let middles = book.values.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
            let beside = middles.flat_map(|x| [x.next_down().next_down(), x.next_down(), x, x.next_up()]);
            let even = (-10_000..=10_000).map(|x| x as f32 / 10_000.0);
            let tiny = (0..300).map(|power| 0.9f32.powi(power));
            let edges = (FIRST_CELL - 2..LAST_CELL).map(|cell| cell << 16);
            let edges = edges.flat_map(|bits| [bits, bits | 0xffff, bits | 1 << 31, bits | 0x8000_ffff]);
            let edges = edges.map(f32::from_bits);
            let all = beside.chain(even).chain(tiny).chain(book.values).chain(edges);
            for x in all.filter(|&x| !guarded || x >= 0.0) {
                assert_eq!(book.nearest(x), slowly(x), "{x:e}");
            }
        }
    }

    #[test]
    fn a_second_moment_above_0_is_never_taken_for_0() {
        let book = CodeBook::unsigned();
        assert_eq!([0.0, f32::from_bits(1), 1e-20, 1e-7].map(|x| book.nearest(x)), [0, 1, 1, 1]);
    }
}
