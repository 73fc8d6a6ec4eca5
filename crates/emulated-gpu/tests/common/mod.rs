//! A device of the test's own with a module of the kernels beside, and numbers to put into it.
#![allow(dead_code, clippy::unwrap_used)] // Not every test uses all of it.

use emulated_gpu::{
    driver::{Driver, Error, Handle, Source, StreamKey},
    settings::Settings,
};
use half::bf16;

pub const RIGHT: &str = include_str!("../kernels/right.ptx");
pub const WRONG: &str = include_str!("../kernels/wrong.ptx");

/// A device, a context on it, and a module.
pub struct Gpu {
    pub driver: Driver,
    pub context: Handle,
    pub stream: StreamKey,
    pub module: Handle,
}

/// A parameter of a kernel.
#[derive(Clone, Copy)]
pub enum Arg {
    Pointer(u64),
    I32(i32),
    U32(u32),
    F32(f32),
}

use Arg::{F32, I32, Pointer, U32};

/// A kind of numbers that is copied to and from the device.
pub trait Number: Copy {
    fn put(self, to: &mut Vec<u8>);
    fn take(from: &[u8]) -> Self;
}

macro_rules! numbers {
    ($($kind:ty)*) => {$(
        impl Number for $kind {
            fn put(self, to: &mut Vec<u8>) {
                to.extend(self.to_le_bytes());
            }
            fn take(from: &[u8]) -> $kind {
                <$kind>::from_le_bytes(from.try_into().unwrap())
            }
        }
    )*};
}

numbers! { u8 i8 u16 i16 u32 i32 u64 f32 f64 bf16 }

impl Gpu {
    pub fn new(settings: Settings, ptx: &str) -> Gpu {
        let mut driver = Driver::new(settings);
        driver.initialise().unwrap();
        let context = driver.retain_primary(0).unwrap();
        let stream = driver.stream(context, 0).unwrap();
        let module = driver.load(context, ptx).unwrap();
        Gpu { driver, context, stream, module }
    }

    /// New memory with these numbers.
    pub fn upload<T: Number>(&mut self, numbers: &[T]) -> u64 {
        let bytes = bytes(numbers);
        let address = self.driver.allocate(self.context, bytes.len() as u64).unwrap();
        self.driver.upload(self.stream, address, Source::Taken(bytes)).unwrap();
        address
    }

    /// New memory full of zero bytes.
    pub fn zeros<T: Number>(&mut self, count: usize) -> u64 {
        let bytes = (count * size_of::<T>()) as u64;
        let address = self.driver.allocate(self.context, bytes).unwrap();
        self.driver.fill(self.stream, address, &[0], bytes).unwrap();
        address
    }

    /// New memory with nothing in it.
    pub fn room<T: Number>(&mut self, count: usize) -> u64 {
        self.driver.allocate(self.context, (count * size_of::<T>()) as u64).unwrap()
    }

    pub fn download<T: Number>(&mut self, from: u64, count: usize) -> Vec<T> {
        let bytes = self.driver.read(self.stream, from, (count * size_of::<T>()) as u64).unwrap();
        bytes.chunks_exact(size_of::<T>()).map(T::take).collect()
    }

    pub fn try_launch(
        &mut self,
        kernel: &str,
        grid: [u32; 3],
        block: [u32; 3],
        dynamic_shared: u32,
        args: &[Arg],
    ) -> Result<(), Error> {
        let function = self.driver.function(self.module, kernel).unwrap();
        let mut params = Vec::new();
        for arg in args {
            if matches!(arg, Pointer(_)) {
                params.resize(params.len().next_multiple_of(8), 0);
            }
            match *arg {
                Pointer(address) => address.put(&mut params),
                I32(number) => number.put(&mut params),
                U32(number) => number.put(&mut params),
                F32(number) => number.put(&mut params),
            }
        }
        self.driver.launch(function, grid, block, dynamic_shared, self.stream, params).map(drop)
    }

    /// Launches `blocks` × `threads` in one direction and expects no fault at the call.
    pub fn launch(&mut self, kernel: &str, blocks: u32, threads: u32, args: &[Arg]) {
        self.try_launch(kernel, [blocks, 1, 1], [threads, 1, 1], 0, args).unwrap();
    }
}

pub fn bytes<T: Number>(numbers: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    numbers.iter().for_each(|number| number.put(&mut bytes));
    bytes
}

/// Sixty-four bits that follow from the number (SplitMix64).
pub fn bits(number: u64) -> u64 {
    let mut x = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Numbers between -2 and 2.
pub fn floats(seed: u64, count: usize) -> Vec<f32> {
    let float = |i| (bits(seed << 32 | i as u64) >> 40) as f32 / (1 << 22) as f32 - 2.0;
    (0..count).map(float).collect()
}

pub fn bf16s(seed: u64, count: usize) -> Vec<bf16> {
    floats(seed, count).into_iter().map(bf16::from_f32).collect()
}

pub fn doubles(numbers: &[impl Into<f64> + Copy]) -> Vec<f64> {
    numbers.iter().map(|&number| number.into()).collect()
}

/// Asserts that each number is what double precision makes it, up to `relative` of its size and `absolute`.
#[track_caller]
pub fn assert_near(got: &[impl Into<f64> + Copy], wanted: &[f64], relative: f64, absolute: f64) {
    assert_eq!(got.len(), wanted.len());
    for (index, (&got, &wanted)) in got.iter().zip(wanted).enumerate() {
        let got: f64 = got.into();
        let allowed = relative * wanted.abs() + absolute;
        assert!((got - wanted).abs() <= allowed, "number {index} is {got} and should be {wanted}");
    }
}
