//! PTX: from the text that a program loads to instructions that can be executed.
//!
//! `lex` makes tokens of the text, `syntax` declarations and statements of these, `build` kernels, asking `decode` for
//! each instruction; both add to the kernel in `builder`. What is executed is in `instruction`. Forms and their meaning
//! are those of NVIDIA's PTX ISA.

mod build;
mod builder;
mod decode;
mod error;
pub(crate) mod instruction;
mod lex;
mod syntax;
pub(crate) mod types;

pub use decode::opcodes;
pub use error::Error;
use instruction::{Instruction, Predicate, Register};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What a PTX text defines.
#[derive(Debug)]
pub struct Module {
    /// Kernels (`.entry`), in the order of the text.
    pub kernels: Vec<Arc<Kernel>>,
    /// Variables in global and constant memory.
    pub globals: Vec<Global>,
}

impl Module {
    /// The kernel of that name.
    pub fn kernel(&self, name: &str) -> Option<&Arc<Kernel>> {
        self.kernels.iter().find(|kernel| kernel.name == name)
    }

    /// The variable of that name.
    pub fn global(&self, name: &str) -> Option<&Global> {
        self.globals.iter().find(|global| global.name == name)
    }
}

/// A variable of a module. It lives as long as the module, and its bytes must be known to [`crate::memory::Find`]:
/// `Constant` where [`Global::constant`] is set, else `Live`.
#[derive(Debug)]
pub struct Global {
    /// Its name in the text.
    pub name: String,
    /// Its length in bytes.
    pub size: usize,
    /// Whether it is in constant memory, which kernels only read.
    pub constant: bool,
    memory: Box<[AtomicU64]>,
    /// Bytes of `memory` before the first one that is aligned as the variable wants it.
    before: usize,
}

impl Global {
    fn new(variable: &syntax::Variable) -> Global {
        let words = (variable.size + variable.align).div_ceil(8).max(1);
        let memory: Box<[AtomicU64]> = (0..words).map(|_| AtomicU64::new(0)).collect();
        let address = memory.as_ptr() as usize;
        let before = address.next_multiple_of(variable.align) - address;
        let element = variable.ty.bytes();
        for (index, value) in variable.values.iter().enumerate() {
            // Byte by byte: an element need not lie within one word.
            for (byte, bits) in value.to_le_bytes().into_iter().take(element).enumerate() {
                let at = before + index * element + byte;
                let shifted = u64::from_le_bytes([bits, 0, 0, 0, 0, 0, 0, 0]) << (at % 8 * 8);
                memory[at / 8].fetch_or(shifted.to_le(), std::sync::atomic::Ordering::Relaxed);
            }
        }
        let constant = variable.space == syntax::Space::Const;
        Global { name: variable.name.clone(), size: variable.size, constant, memory, before }
    }

    /// Its address on the device.
    pub fn address(&self) -> u64 {
        self.memory.as_ptr() as u64 + self.before as u64
    }
}

/// Where a parameter lies in the bytes that a launch takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// From their start.
    pub offset: usize,
    /// In bytes.
    pub size: usize,
}

/// A kernel, ready to be launched.
#[derive(Debug)]
pub struct Kernel {
    /// Its name in the text.
    pub name: String,
    /// Its parameters in order.
    pub params: Vec<Parameter>,
    /// Length of all parameters together, in bytes.
    pub param_size: usize,
    /// Static shared memory in bytes.
    pub shared: usize,
    /// Local memory of each thread in bytes.
    pub local: usize,
    /// `.maxntid` or `.reqntid`, as a product: the threads that a block may have.
    pub max_threads: Option<u32>,
    /// `.maxnreg`: the registers that a thread may have.
    pub max_registers: Option<u32>,
    pub(crate) code: Vec<Instruction>,
    pub(crate) texts: Vec<Text>,
    /// Lines of the register file.
    pub(crate) lines: u32,
    pub(crate) predicates: u32,
    pub(crate) constants: Vec<Constant>,
    pub(crate) predicate_constants: Vec<(Predicate, bool)>,
    pub(crate) specials: Vec<SpecialRegister>,
    /// To what dynamic shared memory is aligned.
    pub(crate) dynamic_align: usize,
}

/// The text of an instruction.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A register that has the same value in all lanes, always.
#[derive(Debug)]
pub(crate) struct Constant {
    pub(crate) register: Register,
    pub(crate) value: u64,
    pub(crate) wide: bool,
}

/// A register that a block's start fills.
#[derive(Debug)]
pub(crate) struct SpecialRegister {
    pub(crate) register: Register,
    pub(crate) special: Special,
}

/// PTX ISA, Special Registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Special {
    Tid(usize),
    Ntid(usize),
    Ctaid(usize),
    Nctaid(usize),
    Lane,
    Warp,
    Warps,
    MaskEq,
    MaskLt,
    MaskLe,
    MaskGt,
    MaskGe,
    DynamicSize,
    TotalSize,
    /// Where dynamic shared memory begins: no special register of PTX, but known as late as one.
    DynamicStart,
}

/// Reads PTX.
///
/// # Errors
/// Where the text is no PTX, or has an opcode, a form or a type that is not emulated; the error names it.
pub fn parse(text: &str) -> Result<Module, Error> {
    let unit = syntax::unit(text, lex::tokens(text)?)?;
    let in_memory = |space| matches!(space, syntax::Space::Global | syntax::Space::Const);
    let variables = unit.variables.iter().filter(|variable| in_memory(variable.space));
    let mut globals: Vec<Global> = Vec::new();
    for variable in variables {
        if variable.external {
            let (line, declaration) = (variable.line, variable.name.clone());
            return Err(Error::Declaration { line, declaration, why: "a variable of another module".into() });
        }
        globals.push(Global::new(variable));
    }
    let kernels = build::kernels(&unit, &globals)?;
    Ok(Module { kernels, globals })
}

#[cfg(test)]
mod tests;
