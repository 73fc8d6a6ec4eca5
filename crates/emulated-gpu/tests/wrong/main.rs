//! Kernels with one fault each: it is found, by its own kind, and the report names the kernel. Each runs in several orders
//! of warps and blocks, as a fault must not hide in any of them.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod launches;
mod memory;
mod threads;

use common::{Arg::Pointer, Gpu, WRONG, floats};
use emulated_gpu::{
    driver::Error,
    fault::{Fault, FaultKind},
    settings::Settings,
    vm::Order,
};

const ORDERS: [Order; 4] = [Order::Forward, Order::Reversed, Order::Random(1), Order::Random(2)];

/// The fault that a launch makes, in each order; the driver has it in its report, too.
fn faults(races: bool, kernel: &str, launch: impl Fn(&mut Gpu) -> Result<(), Error>) -> Vec<FaultKind> {
    let found = ORDERS.map(|order| {
        let settings = Settings { order, races, instructions: 1 << 20, ..Settings::default() };
        let mut gpu = Gpu::new(settings, WRONG);
        let Err(Error::Kernel(fault)) = launch(&mut gpu) else {
            panic!("{kernel}: nothing was found in {order:?}")
        };
        let Fault { kernel: name, kind, .. } = *fault;
        assert_eq!(name, kernel);
        kind
    });
    found.into()
}

/// `x` of 512 numbers and room for `y` of as many.
fn arrays(gpu: &mut Gpu) -> [u64; 2] {
    [gpu.upload(&floats(1, 512)), gpu.room::<f32>(512)]
}

/// Launches a kernel of `x` and `y` with one block.
fn xy(kernel: &'static str, threads: u32) -> impl Fn(&mut Gpu) -> Result<(), Error> {
    move |gpu| {
        let args = arrays(gpu).map(Pointer);
        gpu.try_launch(kernel, [1, 1, 1], [threads, 1, 1], 0, &args)
    }
}

/// Launches a kernel of `y` alone with one block.
fn y(kernel: &'static str, threads: u32) -> impl Fn(&mut Gpu) -> Result<(), Error> {
    move |gpu| {
        let y = Pointer(arrays(gpu)[1]);
        gpu.try_launch(kernel, [1, 1, 1], [threads, 1, 1], 0, &[y])
    }
}

/// Asserts that every fault is of one pattern.
macro_rules! assert_all {
    ($found:expr, $pattern:pat $(if $guard:expr)?) => {
        for kind in $found {
            assert!(matches!(&kind, $pattern $(if $guard)?), "found instead: {kind:?}");
        }
    };
}

use assert_all;
