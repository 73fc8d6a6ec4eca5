//! Memory that has a size and no numbers.

use std::{
    marker::PhantomData,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use half::bf16;

use super::{Ledger, account::Room};
use crate::Moments;

/// As much as [a GPU's buffer](crate::Backend::Buffer) takes.
#[derive(Debug)]
pub struct Buffer {
    len: usize,
    rounded: Option<Rounded>,
    _room: Arc<Room>,
}

/// A buffer's numbers rounded to bf16, which stand beside them where products read them so.
#[derive(Debug)]
struct Rounded {
    /// Whether they are those that the buffer would have now.
    holds: AtomicBool,
    _room: Room,
}

/// Some of a buffer's numbers, to read.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    pub(super) len: usize,
    /// Whether the same numbers stand beside rounded to bf16.
    pub(super) rounded: bool,
    buffer: PhantomData<&'a Buffer>,
}

/// Some of a buffer's numbers, to write.
#[derive(Debug)]
pub struct PartMut<'a> {
    pub(super) len: usize,
    /// Of a whole buffer that has room for its numbers rounded.
    rounded: Option<&'a Rounded>,
    buffer: PhantomData<&'a mut Buffer>,
}

impl Buffer {
    pub(super) fn new(ledger: &Ledger, len: usize) -> Buffer {
        Buffer::within(&Arc::new(ledger.room::<f32>(len)), len)
    }

    /// A part of what is taken at once.
    pub(super) fn within(room: &Arc<Room>, len: usize) -> Buffer {
        Buffer { len, rounded: None, _room: room.clone() }
    }

    pub(super) fn round_beside(&mut self, ledger: &Ledger) {
        let len = self.len;
        let rounded = || Rounded { holds: AtomicBool::new(false), _room: ledger.room::<bf16>(len) };
        self.rounded.get_or_insert_with(rounded);
    }

    pub(super) fn round_no_more(&mut self) {
        self.rounded = None;
    }

    fn len_of(&self, range: &Range<usize>) -> usize {
        range.end.min(self.len).saturating_sub(range.start.min(self.len))
    }

    pub(super) fn part(&self, range: &Range<usize>) -> Part<'_> {
        let rounded = self.rounded.as_ref().is_some_and(|rounded| rounded.holds.load(Relaxed));
        Part { len: self.len_of(range), rounded, buffer: PhantomData }
    }

    /// What is rounded beside the numbers counts no more, until somebody writes that, too.
    pub(super) fn part_mut(&mut self, range: &Range<usize>) -> PartMut<'_> {
        let len = self.len_of(range);
        let rounded = self.rounded.as_ref();
        rounded.inspect(|rounded| rounded.holds.store(false, Relaxed));
        PartMut { len, rounded: rounded.filter(|_| len == self.len), buffer: PhantomData }
    }
}

impl<'a> PartMut<'a> {
    /// An operation writes the numbers rounded to bf16, too, where there is room for that.
    pub(super) fn rounds_beside(&self) {
        self.rounded.inspect(|rounded| rounded.holds.store(true, Relaxed));
    }

    /// The numbers to read, after an operation has written them.
    pub(super) fn written(&self) -> Part<'_> {
        let rounded = self.rounded.is_some_and(|rounded| rounded.holds.load(Relaxed));
        Part { len: self.len, rounded, buffer: PhantomData }
    }

    /// The first `at` numbers, and the others.
    pub(super) fn split(self, at: usize) -> (PartMut<'a>, PartMut<'a>) {
        let at = at.min(self.len);
        let part = |len| PartMut { len, rounded: None, buffer: PhantomData };
        (part(at), part(self.len - at))
    }
}

/// Ids on the host, with the room that they take on the device.
#[derive(Debug, Clone)]
pub struct Ids {
    pub(super) host: Arc<[u32]>,
    _room: Arc<Room>,
}

impl Ids {
    pub(super) fn new(ledger: &Ledger, ids: &[u32]) -> Ids {
        Ids::within(&Arc::new(ledger.room::<u32>(ids.len())), ids)
    }

    /// A part of what is taken at once.
    pub(super) fn within(room: &Arc<Room>, ids: &[u32]) -> Ids {
        Ids { host: ids.into(), _room: room.clone() }
    }
}

/// What AdamW keeps of one weight.
#[derive(Debug)]
pub struct State {
    pub(super) bytes: usize,
    _rooms: Vec<Room>,
}

/// Numbers that share a scale.
const BLOCK: usize = 256;

impl State {
    pub(super) fn new(ledger: &Ledger, count: usize, moments: Moments, halved: bool) -> State {
        let (mut bytes, mut rooms) = match moments {
            Moments::F32 => (8 * count, vec![ledger.room::<f32>(count), ledger.room::<f32>(count)]),
            Moments::Blocks8 => {
                let scales = count.div_ceil(BLOCK);
                let codes = [ledger.room::<u8>(count), ledger.room::<u8>(count)];
                let scales_of_codes = [ledger.room::<f32>(scales), ledger.room::<f32>(scales)];
                (2 * count + 8 * scales, codes.into_iter().chain(scales_of_codes).collect())
            }
        };
        if halved {
            bytes += 2 * count;
            rooms.push(ledger.room::<i16>(count));
        }
        State { bytes, _rooms: rooms }
    }
}

/// Sums of squares of some matrices.
#[derive(Debug)]
pub struct Sums {
    pub(super) matrices: usize,
    /// Parts of all of them, in double precision.
    pub(super) parts: usize,
    _room: Room,
}

impl Sums {
    pub(super) fn new(ledger: &Ledger, matrices: usize, parts: usize) -> Sums {
        Sums { matrices, parts, _room: ledger.room::<f64>(parts) }
    }
}
