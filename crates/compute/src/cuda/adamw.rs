//! AdamW on weights of the device, with moments in 32 bits or in blocks of 8.

use candle_core::{
    DType, Result, Tensor, bail,
    cuda_backend::{WrapErr, cudarc::driver::CudaSlice},
};

use super::{
    buffer::{Part, address, tensor, upload},
    device::{Arg, Cuda, Grid},
};
use crate::{
    Moments, Step,
    cpu::adamw::{Blocks, CodeBook, Kept},
};

pub(super) use crate::cpu::adamw::State as HostState;

/// What AdamW keeps of one weight, on the device.
#[derive(Debug)]
pub struct State {
    moments: OnDevice,
    /// Of a weight in bf16.
    remainder: Option<CudaSlice<i16>>,
    count: usize,
}

#[derive(Debug)]
enum OnDevice {
    F32([CudaSlice<f32>; 2]),
    Blocks8 { codes: [CudaSlice<u8>; 2], scales: [CudaSlice<f32>; 2] },
}

impl State {
    pub(super) fn new(cuda: &Cuda, count: usize, moments: Moments, remainder: Vec<i16>) -> Result<State> {
        if moments == Moments::F32 {
            let zeros = || cuda.candle().alloc_zeros::<f32>(count.max(1));
            let remainder = (!remainder.is_empty()).then(|| upload(cuda, &remainder)).transpose()?;
            return Ok(State { moments: OnDevice::F32([zeros()?, zeros()?]), remainder, count });
        }
        State::load(cuda, &HostState::new(count, moments, remainder))
    }

    /// What the host has of it, such as out of a checkpoint.
    pub(super) fn load(cuda: &Cuda, state: &HostState) -> Result<State> {
        let moments = match &state.moments {
            Kept::F32 { first, second } => OnDevice::F32([upload(cuda, first)?, upload(cuda, second)?]),
            Kept::Blocks8 { first, second } => OnDevice::Blocks8 {
                codes: [upload(cuda, &first.codes)?, upload(cuda, &second.codes)?],
                scales: [upload(cuda, &first.scales)?, upload(cuda, &second.scales)?],
            },
        };
        let remainder = (!state.remainder.is_empty()).then(|| upload(cuda, &state.remainder)).transpose()?;
        Ok(State { moments, remainder, count: state.count() })
    }

    /// Bytes of the device's memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        let moments: usize = match &self.moments {
            OnDevice::F32(moments) => moments.iter().map(CudaSlice::num_bytes).sum(),
            OnDevice::Blocks8 { codes, scales } => {
                let codes: usize = codes.iter().map(CudaSlice::num_bytes).sum();
                codes + scales.iter().map(CudaSlice::num_bytes).sum::<usize>()
            }
        };
        moments + self.remainder.as_ref().map_or(0, CudaSlice::num_bytes)
    }

    /// The same numbers on the host, such as for a checkpoint.
    pub(super) fn save(&self, cuda: &Cuda) -> Result<HostState> {
        let stream = cuda.stream();
        // Memory of nothing has one place, which no number of ours is in.
        let cut = |mut values: Vec<f32>, len: usize| {
            values.truncate(len);
            values
        };
        let moments = match &self.moments {
            OnDevice::F32([first, second]) => Kept::F32 {
                first: cut(stream.clone_dtoh(first).w()?, self.count),
                second: cut(stream.clone_dtoh(second).w()?, self.count),
            },
            OnDevice::Blocks8 { codes, scales } => {
                let blocks = |at: usize| -> Result<Blocks> {
                    let mut bytes = stream.clone_dtoh(&codes[at]).w()?;
                    bytes.truncate(self.count);
                    let scales = stream.clone_dtoh(&scales[at]).w()?;
                    Ok(Blocks { codes: bytes, scales: cut(scales, self.count.div_ceil(BLOCK)) })
                };
                Kept::Blocks8 { first: blocks(0)?, second: blocks(1)? }
            }
        };
        let remainder = match &self.remainder {
            Some(remainder) => stream.clone_dtoh(remainder).w()?,
            None => Vec::new(),
        };
        Ok(HostState { moments, remainder })
    }
}

/// Numbers that share a scale; a block of threads works on one.
const BLOCK: usize = 256;

pub(super) fn step(cuda: &Cuda, weight: &Tensor, g: Part, state: &mut State, step: &Step) -> Result<()> {
    let count = state.count;
    if weight.elem_count() != count || g.len != count {
        bail!("AdamW has moments for {count} elements and a gradient for {}", g.len);
    }
    let stream = cuda.stream();
    let halved = match (weight.dtype(), &state.remainder) {
        (DType::F32, None) => false,
        (DType::BF16, Some(_)) => true,
        (dtype, _) => {
            bail!("AdamW updates weights in f32, or in bf16 with their remainders; not in {dtype:?}")
        }
    };
    let weight = tensor(cuda, weight, if halved { DType::BF16 } else { DType::F32 })?;
    let rest = state.remainder.as_ref().map_or(0, |rest| address(rest, stream));
    let numbers = Arg::F32x9([
        step.clip,
        step.beta1,
        step.beta2,
        step.rest1,
        step.rest2,
        step.step_size,
        step.root_correction,
        step.epsilon,
        step.keep,
    ]);
    let before = [weight, rest, g.address].map(Arg::U64);
    match &state.moments {
        OnDevice::F32(moments) => {
            let moments = [0, 1].map(|at: usize| Arg::U64(address(&moments[at], stream)));
            let after = [Arg::U64(count as u64), numbers];
            cuda.launch("adamw_f32", Grid::of(count), &[&before[..], &moments[..], &after[..]].concat())
        }
        OnDevice::Blocks8 { codes, scales } => {
            let of = |at: usize| [address(&codes[at], stream), address(&scales[at], stream)].map(Arg::U64);
            let book = Arg::U64(address(&cuda.books().moments, stream));
            let zeros =
                [CodeBook::signed().zero, CodeBook::unsigned().zero].map(|zero| Arg::U32(zero.into()));
            let after = [book, zeros[0], zeros[1], Arg::U64(count as u64), numbers];
            let args = [&before[..], &of(0), &of(1), &after[..]].concat();
            cuda.launch("adamw_blocks8", Grid::blocks(count.div_ceil(BLOCK) as u32, 1), &args)
        }
    }
}
