//! A kernel under construction: its instructions, its registers and constants, and what its names stand for.

use super::instruction::{Instruction, Operation, Predicate, Register};
use super::syntax::{Function, Space, Variable};
use super::types::{Type, Width};
use super::{Constant, Error, Kernel, Parameter, Special, SpecialRegister, Text};
use std::collections::HashMap;

/// Instructions that a kernel may have, its calls written out.
const INSTRUCTIONS: usize = 1 << 20;
/// Registers of 32 bits that a kernel may declare: each warp has 128 bytes for each.
const LINES: u32 = 1 << 17;

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub enum Symbol {
    Register(Register, Width),
    Predicate(Predicate),
    /// A place in a state space.
    Place(Space, u64),
    /// Where dynamic shared memory begins.
    Dynamic,
}

/// Names of one pair of braces.
#[derive(Default)]
pub struct Scope {
    pub names: HashMap<String, Symbol>,
    /// `%r<10>`: the name without its number → how many, the first, and how wide (none of predicates).
    numbered: HashMap<String, (u32, u32, Option<Width>)>,
    /// A function's outermost scope hides what calls it.
    function: bool,
}

impl Scope {
    /// The outermost names of a function.
    pub fn of_function() -> Scope {
        Scope { function: true, ..Scope::default() }
    }
}

/// A kernel under construction, with what its names stand for.
pub struct Builder<'a> {
    globals: &'a HashMap<&'a str, u64>,
    shared: &'a [Variable],
    pub kernel: Kernel,
    /// Names, those of the innermost braces last.
    pub scopes: Vec<Scope>,
    constants: HashMap<(u64, bool), Register>,
    specials: HashMap<Special, Register>,
    predicate_constants: [Option<Predicate>; 2],
    /// Shared variables of the module that the kernel has named.
    placed: HashMap<&'a str, Symbol>,
    /// The text that was noted last, by its number in the kernel.
    text: u32,
}

impl<'a> Builder<'a> {
    /// A kernel that has its parameters and no instruction yet. `globals` are the addresses of the module's variables,
    /// `shared` its shared variables.
    pub fn new(
        function: &Function,
        globals: &'a HashMap<&'a str, u64>,
        shared: &'a [Variable],
    ) -> Builder<'a> {
        let kernel = Kernel {
            name: function.name.clone(),
            params: Vec::new(),
            param_size: 0,
            shared: 0,
            local: 0,
            max_threads: function.max_threads,
            max_registers: function.max_registers,
            code: Vec::new(),
            texts: Vec::new(),
            lines: 0,
            predicates: 0,
            constants: Vec::new(),
            predicate_constants: Vec::new(),
            specials: Vec::new(),
            dynamic_align: 16,
        };
        let mut builder = Builder {
            globals,
            shared,
            kernel,
            scopes: vec![Scope::of_function()],
            constants: HashMap::new(),
            specials: HashMap::new(),
            predicate_constants: [None; 2],
            placed: HashMap::new(),
            text: 0,
        };
        for param in &function.params {
            let offset = builder.kernel.param_size.next_multiple_of(param.align);
            builder.kernel.params.push(Parameter { offset, size: param.size });
            builder.kernel.param_size = offset + param.size;
            builder.name(&param.name, Symbol::Place(Space::Param, offset as u64));
        }
        builder
    }

    fn name(&mut self, name: &str, symbol: Symbol) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.names.insert(name.to_owned(), symbol);
        }
    }

    /// Notes the text of the instructions to come.
    pub fn note(&mut self, text: String, line: usize) {
        self.text = self.kernel.texts.len() as u32;
        self.kernel.texts.push(Text { text, line });
    }

    /// Adds an instruction with the text that was noted last.
    pub fn push(&mut self, guard: Option<(Predicate, bool)>, operation: Operation) -> Result<(), Error> {
        if self.kernel.code.len() >= INSTRUCTIONS {
            let why = "the kernel has more than 2^20 instructions, its calls written out".to_owned();
            return Err(Error::Declaration { line: 0, declaration: self.kernel.name.clone(), why });
        }
        self.kernel.code.push(Instruction { guard, operation, text: self.text });
        Ok(())
    }

    fn lines(&mut self, count: u32) -> Result<u32, Error> {
        let first = self.kernel.lines;
        let after = first.checked_add(count).filter(|&after| after <= LINES).ok_or_else(|| {
            let why = "the kernel has more than 2^17 registers".to_owned();
            Error::Declaration { line: 0, declaration: self.kernel.name.clone(), why }
        })?;
        self.kernel.lines = after;
        Ok(first)
    }

    fn predicates(&mut self, count: u32) -> Result<u32, Error> {
        let first = self.kernel.predicates;
        let after = first.checked_add(count).filter(|&after| after <= LINES).ok_or_else(|| {
            let why = "the kernel has more than 2^17 predicates".to_owned();
            Error::Declaration { line: 0, declaration: self.kernel.name.clone(), why }
        })?;
        self.kernel.predicates = after;
        Ok(first)
    }

    /// Declares registers: `.reg`.
    pub fn registers(&mut self, ty: Type, names: &[(String, Option<u32>)], line: usize) -> Result<(), Error> {
        if ty != Type::Pred && ty.width().is_none() {
            let declaration = format!(".reg {ty:?}");
            return Err(Error::Declaration { line, declaration, why: "registers of 8 bits".into() });
        }
        for (name, count) in names {
            let (Some(width), numbers) = (ty.width(), count.unwrap_or(1)) else {
                let first = self.predicates(count.unwrap_or(1))?;
                match count {
                    Some(count) => self.numbered(name, *count, first, None),
                    None => self.name(name, Symbol::Predicate(Predicate(first))),
                }
                continue;
            };
            let first = self.lines(numbers.saturating_mul(lines_of(width)))?;
            match count {
                Some(count) => self.numbered(name, *count, first, Some(width)),
                None => self.name(name, Symbol::Register(Register(first), width)),
            }
        }
        Ok(())
    }

    fn numbered(&mut self, name: &str, count: u32, first: u32, width: Option<Width>) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.numbered.insert(name.to_owned(), (count, first, width));
        }
    }

    /// Declares a variable of a function.
    pub fn variable(&mut self, variable: &Variable) -> Result<(), Error> {
        let refuse = |why: &str| {
            let (line, declaration) = (variable.line, variable.name.clone());
            Err(Error::Declaration { line, declaration, why: why.into() })
        };
        if !variable.values.is_empty() {
            return refuse("first values of a variable in a function");
        }
        let symbol = match variable.space {
            Space::Shared => self.shared_place(variable),
            Space::Local | Space::Param => {
                let offset = self.kernel.local.next_multiple_of(variable.align);
                self.kernel.local = offset + variable.size;
                if self.kernel.local > 512 << 10 {
                    return refuse("more than the 512 KiB of local memory that a thread may have");
                }
                Symbol::Place(Space::Local, offset as u64)
            }
            Space::Global | Space::Const => return refuse("a global variable within a function"),
        };
        self.name(&variable.name, symbol);
        Ok(())
    }

    fn shared_place(&mut self, variable: &Variable) -> Symbol {
        if variable.size == 0 {
            self.kernel.dynamic_align = self.kernel.dynamic_align.max(variable.align);
            return Symbol::Dynamic;
        }
        let offset = self.kernel.shared.next_multiple_of(variable.align);
        self.kernel.shared = offset + variable.size;
        Symbol::Place(Space::Shared, offset as u64)
    }

    /// What a name stands for. A module's shared variable gets its place in the kernel when it is first named.
    pub fn lookup(&mut self, name: &str) -> Option<Symbol> {
        let (stem, number) = name.split_at(name.trim_end_matches(|c: char| c.is_ascii_digit()).len());
        for scope in self.scopes.iter().rev() {
            if let Some(symbol) = scope.names.get(name) {
                return Some(*symbol);
            }
            if let (Some(&(count, first, width)), Ok(number)) =
                (scope.numbered.get(stem), number.parse::<u32>())
                && number < count
            {
                return Some(match width {
                    Some(width) => Symbol::Register(Register(first + number * lines_of(width)), width),
                    None => Symbol::Predicate(Predicate(first + number)),
                });
            }
            if scope.function {
                break;
            }
        }
        if let Some(address) = self.globals.get(name) {
            return Some(Symbol::Place(Space::Global, *address));
        }
        if let Some(symbol) = self.placed.get(name) {
            return Some(*symbol);
        }
        let variable = self.shared.iter().find(|variable| variable.name == name)?;
        let symbol = self.shared_place(variable);
        self.placed.insert(&variable.name, symbol);
        Some(symbol)
    }

    /// A register that holds `value` in all lanes.
    pub fn constant(&mut self, value: u64, width: Width) -> Result<Register, Error> {
        let wide = width == Width::W64;
        let value = if wide { value } else { value & (u64::MAX >> (64 - width.bits())) };
        if let Some(register) = self.constants.get(&(value, wide)) {
            return Ok(*register);
        }
        let register = Register(self.lines(lines_of(width))?);
        self.constants.insert((value, wide), register);
        self.kernel.constants.push(Constant { register, value, wide });
        Ok(register)
    }

    /// A predicate that is the same in all lanes.
    pub fn predicate_constant(&mut self, value: bool) -> Result<Predicate, Error> {
        if let Some(predicate) = self.predicate_constants[usize::from(value)] {
            return Ok(predicate);
        }
        let predicate = Predicate(self.predicates(1)?);
        self.predicate_constants[usize::from(value)] = Some(predicate);
        self.kernel.predicate_constants.push((predicate, value));
        Ok(predicate)
    }

    /// A register whose value nobody reads.
    pub fn dropped(&mut self, width: Width) -> Result<Register, Error> {
        self.lines(lines_of(width)).map(Register)
    }

    /// The register of a special register, which has 32 bits.
    pub fn special(&mut self, special: Special) -> Result<Register, Error> {
        if let Some(register) = self.specials.get(&special) {
            return Ok(*register);
        }
        let register = Register(self.lines(1)?);
        self.specials.insert(special, register);
        self.kernel.specials.push(SpecialRegister { register, special });
        Ok(register)
    }

    /// The register that holds where dynamic shared memory begins, in 64 bits or, its first line alone, in 32.
    pub fn dynamic_start(&mut self) -> Result<Register, Error> {
        if let Some(register) = self.specials.get(&Special::DynamicStart) {
            return Ok(*register);
        }
        let register = Register(self.lines(2)?);
        self.specials.insert(Special::DynamicStart, register);
        self.kernel.specials.push(SpecialRegister { register, special: Special::DynamicStart });
        Ok(register)
    }
}

fn lines_of(width: Width) -> u32 {
    if width == Width::W64 { 2 } else { 1 }
}
