//! Each opcode against its definition in PTX ISA: short programs run through the parser and the executor, and what they
//! compute is held to values that the tests work out by other means.
#![allow(clippy::unwrap_used, clippy::panic)]

mod compare;
mod control;
mod convert;
mod faults;
mod float;
mod integer;
mod matrix;
mod memory;
mod moves;
mod races;
mod warp;

use super::{Counts, Launch, Order, Settings, launch};
use crate::fault::{Fault, FaultKind};
use crate::memory::{Find, Where};
use crate::ptx::{self, Module};
use std::ops::Range;

/// Allocations that a test has made.
#[derive(Default)]
pub struct Memory {
    blocks: Vec<(Box<[u64]>, usize, State)>,
    globals: Vec<(Range<u64>, bool)>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Live,
    Freed,
}

impl Memory {
    /// Allocates, and says where.
    pub fn put<T: Copy + Into<Bits>>(&mut self, values: &[T]) -> u64 {
        let bytes: Vec<u8> = values.iter().flat_map(|value| (*value).into().0).collect();
        let mut words = vec![0u64; bytes.len().div_ceil(8) + 1].into_boxed_slice();
        for (word, bytes) in words.iter_mut().zip(bytes.chunks(8)) {
            let mut full = [0; 8];
            full[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(full);
        }
        let mut address = words.as_mut_ptr() as u64;
        let mut offset = 0;
        if !address.is_multiple_of(16) {
            // Vectors of 16 bytes are aligned to 16.
            words.rotate_right(1);
            address += 8;
            offset = 8;
        }
        self.blocks.push((words, offset, State::Live));
        self.globals.push((address..address + bytes.len() as u64, false));
        address
    }

    pub fn free(&mut self, address: u64) {
        for ((_, _, state), (range, _)) in self.blocks.iter_mut().zip(&self.globals) {
            if range.start == address {
                *state = State::Freed;
            }
        }
    }

    /// The words of 32 bits at an address.
    pub fn words(&self, address: u64) -> Vec<u32> {
        self.bytes(address).chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
    }

    pub fn bytes(&self, address: u64) -> Vec<u8> {
        let index = self.globals.iter().position(|(range, _)| range.start == address).unwrap();
        let (words, offset, _) = &self.blocks[index];
        let length = (self.globals[index].0.end - address) as usize;
        // What a kernel has written, it has written behind the compiler's back.
        let words = std::hint::black_box(words);
        words.iter().flat_map(|word| word.to_le_bytes()).skip(*offset).take(length).collect()
    }

    pub fn module(&mut self, module: &Module) {
        for global in &module.globals {
            let range = global.address()..global.address() + global.size as u64;
            self.globals.push((range, global.constant));
        }
    }
}

impl Find for Memory {
    fn find(&self, address: u64) -> Where {
        for (index, (range, constant)) in self.globals.iter().enumerate() {
            if range.contains(&address) {
                return match self.blocks.get(index) {
                    Some((_, _, State::Freed)) => Where::Freed(range.clone()),
                    _ if *constant => Where::Constant(range.clone()),
                    _ => Where::Live(range.clone()),
                };
            }
        }
        Where::Nowhere
    }
}

/// A value as its bytes.
pub struct Bits(Vec<u8>);

macro_rules! bits {
    ($($ty:ty),*) => { $(impl From<$ty> for Bits { fn from(value: $ty) -> Bits { Bits(value.to_le_bytes().to_vec()) } })* };
}

bits!(u8, u16, u32, i32, u64, f32, f64);

pub const SERIAL: Settings =
    Settings { order: Order::Forward, races: false, threads: 1, instruction_limit: 1 << 20 };
pub const RACES: Settings = Settings { races: true, ..SERIAL };

const REGISTERS: &str =
    ".reg .pred %p<16>; .reg .b16 %h<16>; .reg .b32 %r<32>; .reg .b64 %d<32>; .reg .f32 %f<16>;";

/// A module with one kernel of so many 64-bit parameters, and the declarations before it.
pub fn text(before: &str, params: usize, body: &str) -> String {
    let params: Vec<String> = (0..params).map(|index| format!(".param .u64 p{index}")).collect();
    format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n{before}\n.visible .entry kernel({})\n{{\n{REGISTERS}\n{body}\nret;\n}}\n",
        params.join(", ")
    )
}

/// Parses and launches the kernel.
pub fn run(
    text: &str,
    memory: &mut Memory,
    (blocks, threads): (u32, u32),
    params: &[u64],
    settings: &Settings,
) -> Result<Counts, Fault> {
    let module = ptx::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    memory.module(&module);
    let params: Vec<u8> = params.iter().flat_map(|param| param.to_le_bytes()).collect();
    let kernel = module.kernel("kernel").unwrap();
    let of = Launch {
        kernel,
        grid: [blocks, 1, 1],
        block: [threads, 1, 1],
        dynamic_shared: 0,
        shared_limit: 48 << 10,
        params: &params,
    };
    launch(&of, memory, settings)
}

/// A value in a register.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// 16 bits.
    H(u16),
    /// 32 bits.
    R(u32),
    /// 64 bits.
    D(u64),
    /// A predicate.
    P(bool),
}
pub use Value::{D, H, P, R};

/// A number in single precision as its register.
pub fn f(value: f32) -> Value {
    R(value.to_bits())
}

/// One in double precision.
pub fn d(value: f64) -> Value {
    D(value.to_bits())
}

/// Runs instructions on one thread. Arguments are in `%h1`, `%r1`, `%d1` or `%p1` by their kind, and so on by their
/// place; the result is what is then in `result`, a register of that kind, in its low bits.
pub fn eval(code: &str, arguments: &[Value], result: &str) -> u64 {
    let mut load = String::new();
    let mut params = vec![0];
    for (index, argument) in arguments.iter().enumerate() {
        let n = index + 1;
        let (bits, line) = match argument {
            H(bits) => (u64::from(*bits), format!("ld.param.b16 %h{n}, [p{n}];\n")),
            R(bits) => (u64::from(*bits), format!("ld.param.b32 %r{n}, [p{n}];\n")),
            D(bits) => (*bits, format!("ld.param.b64 %d{n}, [p{n}];\n")),
            P(set) => (u64::from(*set), format!("ld.param.b32 %r31, [p{n}];\nsetp.ne.s32 %p{n}, %r31, 0;\n")),
        };
        load += &line;
        params.push(bits);
    }
    let store = match result.chars().nth(1) {
        Some('h') => format!("st.global.b16 [%d31], {result};"),
        Some('r') => format!("st.global.b32 [%d31], {result};"),
        Some('d') => format!("st.global.b64 [%d31], {result};"),
        _ => format!("selp.b32 %r31, 1, 0, {result};\nst.global.b32 [%d31], %r31;"),
    };
    let body = format!("{load}{code}\nld.param.u64 %d31, [p0];\n{store}");
    let mut memory = Memory::default();
    params[0] = memory.put(&[0u64]);
    let text = text("", params.len(), &body);
    run(&text, &mut memory, (1, 1), &params, &SERIAL).unwrap_or_else(|fault| panic!("{fault}\n{code}"));
    u64::from_le_bytes(memory.bytes(params[0]).try_into().unwrap())
}

/// The result in 32 bits.
pub fn r(code: &str, arguments: &[Value]) -> u32 {
    eval(code, arguments, "%r0") as u32
}

/// The result in single precision.
pub fn single(code: &str, arguments: &[Value]) -> f32 {
    f32::from_bits(r(code, arguments))
}

/// The result in double precision.
pub fn double(code: &str, arguments: &[Value]) -> f64 {
    f64::from_bits(eval(code, arguments, "%d0"))
}

/// The result in 16 bits.
pub fn h(code: &str, arguments: &[Value]) -> u16 {
    eval(code, arguments, "%h0") as u16
}

/// The result as a predicate.
pub fn p(code: &str, arguments: &[Value]) -> bool {
    eval(code, arguments, "%p0") == 1
}

/// Runs instructions on the first so many lanes of one warp: each has its number in `%r1` and the inputs' element of that
/// number in `%r2` and on. Returns what is then in `%r0`, and the lanes in which `%p0` is true.
pub fn lanes(code: &str, threads: u32, inputs: &[[u32; 32]]) -> Result<(Vec<u32>, u32), Fault> {
    let mut memory = Memory::default();
    let out = memory.put(&[0u32; 64]);
    let mut params = vec![out];
    let mut body = "mov.u32 %r1, %tid.x;\nmul.wide.u32 %d30, %r1, 4;\n".to_owned();
    for (index, input) in inputs.iter().enumerate() {
        params.push(memory.put(input));
        let n = index + 1;
        body += &format!(
            "ld.param.u64 %d31, [p{n}];\nadd.s64 %d31, %d31, %d30;\nld.global.b32 %r{}, [%d31];\n",
            n + 1
        );
    }
    body += &format!(
        "mov.u32 %r0, 0;\nsetp.ne.s32 %p0, 0, 0;\n{code}\nld.param.u64 %d31, [p0];\nadd.s64 %d31, %d31, %d30;\n\
         st.global.b32 [%d31], %r0;\nselp.b32 %r31, 1, 0, %p0;\nst.global.b32 [%d31+128], %r31;"
    );
    let text = text("", params.len(), &body);
    run(&text, &mut memory, (1, threads), &params, &SERIAL)?;
    let words = memory.words(out);
    let set = (0..32).fold(0, |found, lane| found | words[32 + lane] << lane);
    Ok((words[..32].to_vec(), set))
}

/// The fault of a kernel that makes one.
pub fn fault(
    text: &str,
    memory: &mut Memory,
    shape: (u32, u32),
    params: &[u64],
    settings: &Settings,
) -> Fault {
    match run(text, memory, shape, params, settings) {
        Err(fault) => fault,
        Ok(counts) => panic!("no fault, but {counts:?}"),
    }
}

/// What the fault of a kernel was.
pub fn kind(
    text: &str,
    memory: &mut Memory,
    shape: (u32, u32),
    params: &[u64],
    settings: &Settings,
) -> FaultKind {
    fault(text, memory, shape, params, settings).kind
}

/// Why a text is not loaded.
pub fn refused(before: &str, body: &str) -> String {
    match ptx::parse(&text(before, 1, body)) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("{body} was loaded"),
    }
}

#[test]
fn every_opcode_has_a_test() {
    let tests = [
        include_str!("compare.rs"),
        include_str!("control.rs"),
        include_str!("convert.rs"),
        include_str!("faults.rs"),
        include_str!("float.rs"),
        include_str!("integer.rs"),
        include_str!("matrix.rs"),
        include_str!("memory.rs"),
        include_str!("moves.rs"),
        include_str!("races.rs"),
        include_str!("warp.rs"),
    ]
    .concat();
    let words: std::collections::HashSet<&str> = tests
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'))
        .map(|word| word.split('.').next().unwrap_or_default())
        .collect();
    let missing: Vec<&str> = ptx::opcodes().filter(|opcode| !words.contains(opcode)).collect();
    assert!(missing.is_empty(), "no test for {missing:?}");
}

#[test]
fn what_is_unknown_is_refused_by_its_name() {
    for (instruction, why) in [
        ("frobnicate.b32 %r0, %r1;", "an unknown opcode"),
        ("add.ftz.s32 %r0, %r1, %r2;", ".ftz"),
        ("add.s32 %r0, %r1;", "2 operands"),
        ("add.s32 %r0, %r1, %r2, %r3;", "4 operands"),
        ("add.s32 %d0, %r1, %r2;", "width"),
        ("add.s32 %r0, %r1, %d2;", "width"),
        ("add.b32 %r0, %r1, %r2;", "that type"),
        ("add.rna.f32 %f0, %f1, %f2;", ".rna"),
        ("mul.s32 %r0, %r1, %r2;", "that type"),
        ("fma.f32 %f0, %f1, %f2, %f3;", "its rounding"),
        ("min.relu.s32 %r0, %r1, %r2;", ".relu"),
        ("shfl.up.b32 %r0, %r1, 1, 0;", ".sync"),
        ("cvt.f32.s32 %f0, %r1;", "its rounding"),
        ("cvt.rn.e4m3x2.f32 %h0, %f1, %f2;", "no type that is known"),
        ("ld.global.b8 %p0, [%d0];", "no register"),
        ("st.const.b32 [%d0], %r0;", "only be read"),
        ("atom.global.add.b32 %r0, [%d0], %r1;", "that operation on that type"),
        (
            "mma.sync.aligned.m16n8k64.row.col.s32.s4.s4.s32 {%r0}, {%r1}, {%r2}, {%r3};",
            "modifier is missing",
        ),
        ("brx.idx %r0, targets;", "an unknown opcode"),
        ("createpolicy.fractional.L2::evict_last.b64 %d0, 1.0;", "an unknown opcode"),
        ("call (%r0), somewhere, (%r1);", "no .param variable"),
        ("mov.u32 %r0, %clock;", "«%clock» is not declared"),
        ("bra nowhere;", "«nowhere» is not declared"),
        ("mov.u32 %r0, %r99;", "«%r99» is not declared"),
    ] {
        let error = refused("", instruction);
        assert!(error.contains(why), "{instruction}: {error}");
        assert!(error.contains("line 8"), "{instruction}: {error}");
    }
}
