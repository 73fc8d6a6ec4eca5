//! What keeps a hostile or damaged file from filling memory or disk.

use std::{
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The most bytes that one row may have. A book has one or two million.
pub(crate) const ROW_BYTES: u64 = 16 << 20;
/// No text is packed to less than a two-hundredth, where a bomb of zeros comes to a thousandth.
const MOST_RATIO: u64 = 200;
/// What may come out of a packed file before the ratio is looked at.
const UNPACKED_BYTES: u64 = 64 << 20;

/// Why reading was ended, wrapped in an [`io::Error`] on its way through other crates' readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it unpacks to more than {MOST_RATIO} times its size, as no text does")]
    Bomb,
    #[error("a row has more than {} MiB", ROW_BYTES >> 20)]
    LongRow,
}

impl Refusal {
    pub(crate) fn of(error: &io::Error) -> Option<Refusal> {
        error.get_ref().and_then(|inner| inner.downcast_ref()).copied()
    }
}

/// Counts the bytes that are read, for all who hold the counter.
pub(crate) struct Counted<R> {
    pub(crate) inner: R,
    pub(crate) read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// What comes out of a packed file, whose own bytes are counted in `packed` from `before` on.
pub(crate) struct Unpacked<R> {
    pub(crate) inner: R,
    pub(crate) packed: Arc<AtomicU64>,
    pub(crate) before: u64,
    pub(crate) unpacked: u64,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.unpacked += read as u64;
        let packed = self.packed.load(Ordering::Relaxed).saturating_sub(self.before);
        if self.unpacked > UNPACKED_BYTES && self.unpacked > packed.saturating_mul(MOST_RATIO) {
            return Err(io::Error::other(Refusal::Bomb));
        }
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
