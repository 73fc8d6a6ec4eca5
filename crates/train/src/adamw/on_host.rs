//! The tensors of the file of a state, read from the states where they lie and written to them.

use std::{borrow::Cow, cell::RefCell};

use compute::Backend;
use model::Weights;
use safetensors::{Dtype, View};

use super::{AdamW, Kept, Moments, State};

/// Numbers that share a scale, in 8 bits.
const BLOCK: usize = 256;

/// One tensor of the file.
pub(super) struct Part {
    pub(super) shape: Vec<usize>,
    pub(super) dtype: Dtype,
    /// The parameter whose state it is of, and which of its [`values`].
    place: usize,
    which: usize,
}

/// Everything that the file holds, in the order in which [`slots`] goes through it.
pub(super) fn parts<B: Backend>(optimizer: &AdamW<B>, weights: &Weights) -> Vec<(String, Part)> {
    let mut parts = Vec::new();
    for (place, (kind, parameter)) in optimizer.kinds.iter().zip(&weights.parameters).enumerate() {
        let shape = parameter.var.dims();
        let blocks = &[kind.count.div_ceil(BLOCK)][..];
        let mut of_state = match kind.moments {
            Moments::F32 => vec![("first", shape, Dtype::F32), ("second", shape, Dtype::F32)],
            Moments::Blocks8 => vec![
                ("first", shape, Dtype::U8),
                ("first_scale", blocks, Dtype::F32),
                ("second", shape, Dtype::U8),
                ("second_scale", blocks, Dtype::F32),
            ],
        };
        if kind.halved {
            of_state.push(("remainder", shape, Dtype::I16));
        }
        parts.extend(of_state.into_iter().enumerate().map(|(which, (ending, shape, dtype))| {
            let name = format!("{}.{ending}", parameter.name);
            (name, Part { shape: shape.to_vec(), dtype, place, which })
        }));
    }
    parts
}

enum Values<'a> {
    U8(&'a [u8]),
    I16(&'a [i16]),
    F32(&'a [f32]),
}

/// Those of one state, in the order of [`slots`].
fn values(state: &State) -> Vec<Values<'_>> {
    let mut values = match &state.moments {
        Kept::F32 { first, second } => vec![Values::F32(first), Values::F32(second)],
        Kept::Blocks8 { first, second } => vec![
            Values::U8(&first.codes),
            Values::F32(&first.scales),
            Values::U8(&second.codes),
            Values::F32(&second.scales),
        ],
    };
    if !state.remainder.is_empty() {
        values.push(Values::I16(&state.remainder));
    }
    values
}

impl Values<'_> {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Values::U8(values) => values.to_vec(),
            Values::I16(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Values::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }
}

/// States on the host, one at a time.
pub(super) struct OnHost<'a, B: Backend> {
    optimizer: &'a AdamW<B>,
    /// The one that was looked at last, as several tensors of it are written one after another.
    last: RefCell<Option<(usize, Cow<'a, State>)>>,
    /// Why one could not be had; a view of the file cannot say so.
    failure: RefCell<Option<candle_core::Error>>,
}

impl<'a, B: Backend> OnHost<'a, B> {
    pub(super) fn of(optimizer: &'a AdamW<B>) -> OnHost<'a, B> {
        OnHost { optimizer, last: RefCell::new(None), failure: RefCell::new(None) }
    }

    /// The bytes of a part; zeros where the device does not give them.
    pub(super) fn bytes(&self, part: &Part) -> Vec<u8> {
        match self.try_bytes(part) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.failure.borrow_mut().get_or_insert(error);
                vec![0; part.len()]
            }
        }
    }

    fn try_bytes(&self, part: &Part) -> candle_core::Result<Vec<u8>> {
        let mut last = self.last.borrow_mut();
        let state = match last.take() {
            Some((place, state)) if place == part.place => state,
            before => {
                drop(before);
                self.optimizer.backend.state_to_host(&self.optimizer.states[part.place])?
            }
        };
        let bytes = values(&state).get(part.which).map(Values::bytes);
        *last = Some((part.place, state));
        let found = bytes.as_ref().map_or(0, Vec::len);
        let fits = bytes.filter(|bytes| bytes.len() == part.len());
        fits.ok_or_else(|| candle_core::Error::Msg(format!("a state has {found} bytes for {}", part.len())))
    }

    pub(super) fn failure(&self) -> Option<candle_core::Error> {
        self.failure.take()
    }
}

impl Part {
    fn len(&self) -> usize {
        let bytes = match self.dtype {
            Dtype::U8 => 1,
            Dtype::I16 => 2,
            _ => 4,
        };
        self.shape.iter().product::<usize>() * bytes
    }
}

/// One tensor of the file with where its bytes come from.
pub(super) struct Tensor<'a, B: Backend> {
    pub(super) part: Part,
    pub(super) host: &'a OnHost<'a, B>,
}

impl<B: Backend> View for Tensor<'_, B> {
    fn dtype(&self) -> Dtype {
        self.part.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.part.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.host.bytes(&self.part).into()
    }

    fn data_len(&self) -> usize {
        self.part.len()
    }
}

/// Where one tensor of the file is read to.
pub(super) enum Slot<'a> {
    U8(&'a mut [u8]),
    I16(&'a mut [i16]),
    F32(&'a mut [f32]),
}

/// Those of one state.
pub(super) fn slots(state: &mut State) -> Vec<Slot<'_>> {
    let mut slots = match &mut state.moments {
        Kept::F32 { first, second } => vec![Slot::F32(first), Slot::F32(second)],
        Kept::Blocks8 { first, second } => vec![
            Slot::U8(&mut first.codes),
            Slot::F32(&mut first.scales),
            Slot::U8(&mut second.codes),
            Slot::F32(&mut second.scales),
        ],
    };
    if !state.remainder.is_empty() {
        slots.push(Slot::I16(&mut state.remainder));
    }
    slots
}

impl Slot<'_> {
    /// Takes bytes, of whole elements, from this one on.
    pub(super) fn put(&mut self, from: usize, bytes: &[u8]) {
        match self {
            Slot::U8(values) => values[from..from + bytes.len()].copy_from_slice(bytes),
            Slot::I16(values) => {
                let (elements, _) = bytes.as_chunks();
                values[from / 2..].iter_mut().zip(elements).for_each(|(v, &b)| *v = i16::from_le_bytes(b));
            }
            Slot::F32(values) => {
                let (elements, _) = bytes.as_chunks();
                values[from / 4..].iter_mut().zip(elements).for_each(|(v, &b)| *v = f32::from_le_bytes(b));
            }
        }
    }
}
