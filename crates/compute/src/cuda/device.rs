//! A GPU: its stream, its kernels, and launching them.
#![allow(unsafe_code)]

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use candle_core::{
    Device, Result, bail,
    cuda_backend::{
        CudaDevice, WrapErr,
        cudarc::driver::{CudaFunction, CudaSlice, CudaStream, LaunchConfig, PushKernelArg, sys},
    },
};

use super::{
    books::Books,
    memory,
    profile::{Profile, Spent},
};

/// The kernels by the file that they are in, as PTX.
const MODULES: [(&str, &str); 14] = [
    ("activation", include_str!(concat!(env!("OUT_DIR"), "/activation.ptx"))),
    ("adamw", include_str!(concat!(env!("OUT_DIR"), "/adamw.ptx"))),
    ("attention", include_str!(concat!(env!("OUT_DIR"), "/attention.ptx"))),
    ("attention_bf16", include_str!(concat!(env!("OUT_DIR"), "/attention_bf16.ptx"))),
    ("cross_entropy", include_str!(concat!(env!("OUT_DIR"), "/cross_entropy.ptx"))),
    ("gather", include_str!(concat!(env!("OUT_DIR"), "/gather.ptx"))),
    ("held", include_str!(concat!(env!("OUT_DIR"), "/held.ptx"))),
    ("norm", include_str!(concat!(env!("OUT_DIR"), "/norm.ptx"))),
    ("pool", include_str!(concat!(env!("OUT_DIR"), "/pool.ptx"))),
    ("product_held", include_str!(concat!(env!("OUT_DIR"), "/product_held.ptx"))),
    ("rotate", include_str!(concat!(env!("OUT_DIR"), "/rotate.ptx"))),
    ("rows", include_str!(concat!(env!("OUT_DIR"), "/rows.ptx"))),
    ("turned", include_str!(concat!(env!("OUT_DIR"), "/turned.ptx"))),
    ("squares", include_str!(concat!(env!("OUT_DIR"), "/squares.ptx"))),
];

/// Threads of a block where the kernel asks for no other number.
pub(super) const THREADS: u32 = 256;

/// The oldest cards that our PTX runs on: Ampere.
pub(super) const LEAST_CAPABILITY: (i32, i32) = (8, 0);

/// One NVIDIA GPU, by candle's device. All work goes to one stream, in order.
#[derive(Clone)]
pub struct Cuda {
    inner: Arc<Inner>,
}

struct Inner {
    device: Device,
    candle: CudaDevice,
    stream: Arc<CudaStream>,
    kernels: HashMap<&'static str, CudaFunction>,
    books: Books,
    profile: Profile,
}

impl std::fmt::Debug for Cuda {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cuda({:?})", self.inner.device.location())
    }
}

/// One argument of a kernel.
#[derive(Debug, Clone, Copy)]
pub(super) enum Arg {
    /// An address, or a number of 64 bits.
    U64(u64),
    U32(u32),
    F32(f32),
    /// Structures of kernels, by their bits.
    U32x7([u32; 7]),
    U64x2([u64; 2]),
    U64x4([u64; 4]),
    U64x5([u64; 5]),
    U64x7([u64; 7]),
    F32x9([f32; 9]),
}

/// Blocks, and threads of each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub blocks: [u32; 3],
    pub threads: u32,
    /// Bytes of shared memory that are asked for at the launch.
    pub shared: u32,
}

impl Grid {
    /// A thread for each of so many numbers.
    pub fn of(count: usize) -> Grid {
        Grid::blocks(count.div_ceil(THREADS as usize) as u32, 1)
    }

    pub fn blocks(x: u32, y: u32) -> Grid {
        Grid { blocks: [x, y, 1], threads: THREADS, shared: 0 }
    }
}

impl Cuda {
    /// Opens a GPU by its number and loads the kernels.
    ///
    /// Errors: no driver, no such GPU, or one older than Ampere.
    pub fn new(ordinal: usize) -> Result<Cuda> {
        let device = Device::new_cuda_with_stream(ordinal)?;
        let candle = device.as_cuda_device()?.clone();
        let stream = candle.cuda_stream();
        let context = stream.context();
        let (major, minor) = context.compute_capability().w()?;
        if (major, minor) < LEAST_CAPABILITY {
            let name = context.name().w()?;
            bail!(
                "{name} has compute capability {major}.{minor}; training needs 8.0 or newer (NVIDIA's cards since 2020)"
            );
        }
        // SAFETY: candle's tensors, our buffers and cuBLAS use the one stream, whose order is enough.
        unsafe { candle.disable_event_tracking() };
        memory::keep_what_is_freed(context)?;
        let mut kernels = HashMap::new();
        for (module, ptx) in MODULES {
            for name in entries(ptx) {
                kernels.insert(name, candle.get_or_load_custom_func(name, module, ptx)?.into_cuda_function());
            }
        }
        let books = Books::new(&stream)?;
        Ok(Cuda {
            inner: Arc::new(Inner { device, candle, stream, kernels, books, profile: Profile::default() }),
        })
    }

    /// The device of candle's that weights lie on.
    pub fn candle_device(&self) -> &Device {
        &self.inner.device
    }

    /// What its maker calls it, where the driver still tells.
    pub fn name(&self) -> Option<String> {
        self.stream().context().name().ok()
    }

    pub(super) fn candle(&self) -> &CudaDevice {
        &self.inner.candle
    }

    pub(super) fn stream(&self) -> &Arc<CudaStream> {
        &self.inner.stream
    }

    /// Begins to record our kernels and products, which are all that a step launches.
    pub fn begin_profile(&self) {
        self.inner.profile.begin();
    }

    /// Ends it and waits for the device: what has been spent, by kernel. Nothing if it was not begun.
    pub fn end_profile(&self) -> Result<BTreeMap<String, Spent>> {
        self.inner.profile.end()
    }

    /// Launches something, between two events if that is recorded.
    pub(super) fn profiled(
        &self,
        name: impl FnOnce() -> String,
        launch: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        self.inner.profile.around(&self.inner.stream, name, launch)
    }

    pub(super) fn books(&self) -> &Books {
        &self.inner.books
    }

    /// Memory for so many numbers, whatever they are.
    pub(super) fn alloc<T: candle_core::cuda_backend::cudarc::driver::DeviceRepr>(
        &self,
        len: usize,
    ) -> Result<CudaSlice<T>> {
        // SAFETY: a result is written whole before it is read, which the emulated GPU holds every kernel to.
        unsafe { self.inner.stream.alloc::<T>(len.max(1)) }.w()
    }

    /// Starts a kernel, unless there is nothing to do.
    pub(super) fn launch(&self, name: &str, grid: Grid, args: &[Arg]) -> Result<()> {
        if grid.blocks.contains(&0) || grid.threads == 0 {
            return Ok(());
        }
        let Some(function) = self.inner.kernels.get(name) else { bail!("there is no kernel {name}") };
        if grid.shared > 48 * 1024 {
            use sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES as MOST;
            function.set_attribute(MOST, grid.shared as i32).w()?;
        }
        let mut builder = self.inner.stream.launch_builder(function);
        for arg in args {
            match arg {
                Arg::U64(value) => builder.arg(value),
                Arg::U32(value) => builder.arg(value),
                Arg::F32(value) => builder.arg(value),
                Arg::U32x7(value) => builder.arg(value),
                Arg::U64x2(value) => builder.arg(value),
                Arg::U64x4(value) => builder.arg(value),
                Arg::U64x5(value) => builder.arg(value),
                Arg::U64x7(value) => builder.arg(value),
                Arg::F32x9(value) => builder.arg(value),
            };
        }
        let [x, y, z] = grid.blocks;
        let config = LaunchConfig {
            grid_dim: (x, y, z),
            block_dim: (grid.threads, 1, 1),
            shared_mem_bytes: grid.shared,
        };
        self.profiled(
            || name.to_owned(),
            || {
                // SAFETY: each caller in this folder passes what its kernel's signature asks for, and memory of the sizes
                // that the contract gives, which it has checked; the conformance suite runs each on a GPU that checks
                // every access.
                unsafe { builder.launch(config) }.w()?;
                Ok(())
            },
        )
    }
}

/// The names of a module's kernels.
fn entries(ptx: &'static str) -> impl Iterator<Item = &'static str> {
    ptx.split(".entry ").skip(1).filter_map(|after| after.split(['(', '\n', ' ']).next())
}

impl From<u32> for Arg {
    fn from(value: u32) -> Arg {
        Arg::U32(value)
    }
}

impl From<u64> for Arg {
    fn from(value: u64) -> Arg {
        Arg::U64(value)
    }
}

impl From<usize> for Arg {
    fn from(value: usize) -> Arg {
        Arg::U64(value as u64)
    }
}

impl From<f32> for Arg {
    fn from(value: f32) -> Arg {
        Arg::F32(value)
    }
}

impl From<bool> for Arg {
    fn from(value: bool) -> Arg {
        Arg::U32(value.into())
    }
}

/// The arguments of a launch, in order.
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::cuda::device::Arg::from($value)),*] };
}
pub(super) use args;
