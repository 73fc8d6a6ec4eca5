//! What keeps a hostile or damaged file from filling memory or disk.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// The most bytes that one row may have. A book has one or two million.
pub(crate) const ROW_BYTES: u64 = 16 << 20;
/// The most columns that a table may have.
pub(crate) const COLUMNS: usize = 10_000;
/// No text is packed to less than a two-hundredth, where a bomb of zeros comes to a thousandth.
const MOST_RATIO: u64 = 200;
/// What may come out of any file before the ratio is looked at: room for a small file in which one text stands
/// hundreds of thousands of times.
const ALLOWANCE: u64 = 64 << 20;

/// Why reading was ended, wrapped in an [`io::Error`] on its way through other crates' readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it unpacks to more than {MOST_RATIO} times its size, as no text does")]
    Bomb,
    #[error("a row has more than {} MiB", ROW_BYTES >> 20)]
    LongRow,
    #[error("it was stopped")]
    Stopped,
}

impl Refusal {
    pub(crate) fn of(error: &io::Error) -> Option<Refusal> {
        error.get_ref().and_then(|inner| inner.downcast_ref()).copied()
    }
}

/// The one rule for whatever comes out of a file, of each format: it may be [`ALLOWANCE`], or [`MOST_RATIO`] times
/// what the file has. It holds for the bytes of an unpacked file, for the pages of a Parquet file, for its cells
/// (a text in a dictionary costs a bit for each row that has it), and for the texts and names that are handed on
/// and written (a name may stand for all the posts of its row).
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Produced(u64);

impl Produced {
    /// Counts more bytes out of a file of this size.
    pub(crate) fn add(&mut self, bytes: u64, size: u64) -> Result<(), Refusal> {
        self.0 = self.0.saturating_add(bytes);
        if self.0 > ALLOWANCE.max(size.saturating_mul(MOST_RATIO)) { Err(Refusal::Bomb) } else { Ok(()) }
    }
}

/// How far the reading is, for the one who shows it, and whether it is to go on.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Bytes of all files that were read.
    pub(crate) read: AtomicU64,
    stopped: AtomicBool,
}

impl Progress {
    pub(crate) fn advance(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn so_far(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Ends whoever asks once it was stopped, also where no row ever comes.
    pub(crate) fn goes_on(&self) -> Result<(), Refusal> {
        if self.stopped.load(Ordering::Relaxed) { Err(Refusal::Stopped) } else { Ok(()) }
    }
}

/// Counts the bytes that are read.
pub(crate) struct Counted<R> {
    pub(crate) inner: R,
    pub(crate) progress: Arc<Progress>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.progress.goes_on().map_err(io::Error::other)?;
        let read = self.inner.read(buffer)?;
        self.progress.advance(read as u64);
        Ok(read)
    }
}

/// What comes out of a packed file, whose own bytes are counted in `packed` from `before` on.
pub(crate) struct Unpacked<R> {
    pub(crate) inner: R,
    pub(crate) packed: Arc<Progress>,
    pub(crate) before: u64,
    pub(crate) unpacked: Produced,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let packed = self.packed.so_far().saturating_sub(self.before);
        self.unpacked.add(read as u64, packed).map_err(io::Error::other)?;
        Ok(read)
    }
}

/// Ends with [`Refusal::LongRow`] where too much is read without a row coming to its end, which the one
/// who counts rows tells by setting `since` to 0.
pub(crate) struct ByRows<R> {
    pub(crate) inner: R,
    pub(crate) since: Arc<AtomicU64>,
}

impl<R: Read> Read for ByRows<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since.load(Ordering::Relaxed) > ROW_BYTES {
            return Err(io::Error::other(Refusal::LongRow));
        }
        let read = self.inner.read(buffer)?;
        self.since.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_may_give_the_allowance_and_a_large_one_two_hundred_times_its_size() {
        for (size, most) in [(0, ALLOWANCE), (1000, ALLOWANCE), (1 << 30, 200 << 30)] {
            let mut produced = Produced::default();
            assert_eq!(produced.add(most, size), Ok(()), "{size}");
            assert_eq!(produced.add(1, size), Err(Refusal::Bomb), "{size}");
        }
        assert_eq!(Produced(u64::MAX).add(u64::MAX, u64::MAX), Ok(()));
    }
}
