//! Makes kernels of statements: names become places, calls become the called function's own instructions.

use super::instruction::{Instruction, Operation, Predicate, Register};
use super::syntax::{Function, Operand, Space, Statement, Unit, Variable, Written};
use super::types::{Type, Width};
use super::{Constant, Error, Global, Kernel, Parameter, Special, SpecialRegister, Text, decode};
use std::collections::HashMap;
use std::sync::Arc;

/// Instructions that a kernel may have, its calls written out.
const INSTRUCTIONS: usize = 1 << 20;
/// Registers of 32 bits that a kernel may declare: each warp has 128 bytes for each.
const LINES: u32 = 1 << 17;
/// Calls that may be written out in a kernel.
const CALLS: usize = 1 << 16;
/// How deeply they may be nested.
const DEPTH: usize = 32;

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
struct Scope {
    names: HashMap<String, Symbol>,
    /// `%r<10>`: the name without its number → how many, the first, and how wide (none of predicates).
    numbered: HashMap<String, (u32, u32, Option<Width>)>,
    /// A function's outermost scope hides what calls it.
    function: bool,
}

/// A kernel under construction.
pub struct Builder<'a> {
    functions: &'a HashMap<&'a str, &'a Function>,
    globals: &'a HashMap<&'a str, u64>,
    shared: &'a [Variable],
    kernel: Kernel,
    scopes: Vec<Scope>,
    /// Labels of the functions that are being written out, the innermost last.
    labels: Vec<HashMap<String, u32>>,
    /// Branches whose label is not known yet: the instruction, the label, its line.
    open: Vec<Vec<(usize, String, usize)>>,
    /// Where `ret` goes in a called function.
    returns: Vec<Vec<usize>>,
    constants: HashMap<(u64, bool), Register>,
    specials: HashMap<Special, Register>,
    predicate_constants: [Option<Predicate>; 2],
    calls: Vec<String>,
    written_out: usize,
    /// Shared variables of the module that the kernel has named.
    placed: HashMap<&'a str, Symbol>,
    text: u32,
}

/// The kernels of a unit.
pub fn kernels(unit: &Unit, globals: &[Global]) -> Result<Vec<Arc<Kernel>>, Error> {
    let functions: HashMap<&str, &Function> = unit
        .functions
        .iter()
        .filter(|function| function.body.is_some())
        .map(|function| (function.name.as_str(), function))
        .collect();
    let addresses: HashMap<&str, u64> =
        globals.iter().map(|global| (global.name.as_str(), global.address())).collect();
    let shared: Vec<Variable> =
        unit.variables.iter().filter(|variable| variable.space == Space::Shared).cloned().collect();
    let entries = unit.functions.iter().filter(|function| function.kernel);
    entries.map(|function| Builder::kernel(function, &functions, &addresses, &shared).map(Arc::new)).collect()
}

impl<'a> Builder<'a> {
    fn kernel(
        function: &Function,
        functions: &'a HashMap<&'a str, &'a Function>,
        globals: &'a HashMap<&'a str, u64>,
        shared: &'a [Variable],
    ) -> Result<Kernel, Error> {
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
            functions,
            globals,
            shared,
            kernel,
            scopes: vec![Scope { function: true, ..Scope::default() }],
            labels: vec![HashMap::new()],
            open: vec![Vec::new()],
            returns: Vec::new(),
            constants: HashMap::new(),
            specials: HashMap::new(),
            predicate_constants: [None; 2],
            calls: vec![function.name.clone()],
            written_out: 0,
            placed: HashMap::new(),
            text: 0,
        };
        for param in &function.params {
            let offset = builder.kernel.param_size.next_multiple_of(param.align);
            builder.kernel.params.push(Parameter { offset, size: param.size });
            builder.kernel.param_size = offset + param.size;
            builder.name(&param.name, Symbol::Place(Space::Param, offset as u64));
        }
        builder.body(function.body.as_deref().unwrap_or_default())?;
        builder.note("the end of the kernel".into(), function.line);
        builder.push(None, Operation::Exit)?;
        builder.close_labels()?;
        Ok(builder.kernel)
    }

    fn name(&mut self, name: &str, symbol: Symbol) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.names.insert(name.to_owned(), symbol);
        }
    }

    fn note(&mut self, text: String, line: usize) {
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

    fn body(&mut self, statements: &[Statement]) -> Result<(), Error> {
        for statement in statements {
            match statement {
                Statement::Open => self.scopes.push(Scope::default()),
                Statement::Close => drop(self.scopes.pop()),
                Statement::Label(name, line) => {
                    let here = self.kernel.code.len() as u32;
                    let labels = self.labels.last_mut();
                    if labels.is_some_and(|labels| labels.insert(name.clone(), here).is_some()) {
                        let (line, declaration) = (*line, name.clone());
                        return Err(Error::Declaration {
                            line,
                            declaration,
                            why: "a second label of that name".into(),
                        });
                    }
                }
                Statement::Registers(ty, names, line) => self.registers(*ty, names, *line)?,
                Statement::Variable(variable) => self.variable(variable)?,
                Statement::Instruction(written) => self.instruction(written)?,
            }
        }
        Ok(())
    }

    fn registers(&mut self, ty: Type, names: &[(String, Option<u32>)], line: usize) -> Result<(), Error> {
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

    fn variable(&mut self, variable: &Variable) -> Result<(), Error> {
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

    fn instruction(&mut self, written: &Written) -> Result<(), Error> {
        self.note(written.text.clone(), written.line);
        let guard = match &written.guard {
            None => None,
            Some((name, negated)) => match self.lookup(name) {
                Some(Symbol::Predicate(predicate)) => Some((predicate, *negated)),
                _ => return Err(Error::Undeclared { line: written.line, name: name.clone() }),
            },
        };
        match (written.opcode.as_str(), self.returns.is_empty()) {
            ("call", _) => self.call(written, guard),
            ("ret", false) => {
                decode::no_operands(written)?;
                let here = self.kernel.code.len();
                if let Some(returns) = self.returns.last_mut() {
                    returns.push(here);
                }
                self.push(guard, Operation::Branch(0))
            }
            ("bra", _) => {
                let label = decode::branch_label(written)?;
                let here = self.kernel.code.len();
                if let Some(open) = self.open.last_mut() {
                    open.push((here, label, written.line));
                }
                self.push(guard, Operation::Branch(0))
            }
            _ => {
                let operation = decode::operation(written, self)?;
                self.push(guard, operation)
            }
        }
    }

    fn close_labels(&mut self) -> Result<(), Error> {
        let (labels, open) = (self.labels.pop().unwrap_or_default(), self.open.pop().unwrap_or_default());
        for (at, label, line) in open {
            let Some(target) = labels.get(&label) else {
                return Err(Error::Undeclared { line, name: label });
            };
            self.kernel.code[at].operation = Operation::Branch(*target);
        }
        Ok(())
    }

    /// Writes a called function out where it is called. Arguments are places in local memory that caller and function
    /// share, as `.param` variables of a call are.
    fn call(&mut self, written: &Written, guard: Option<(Predicate, bool)>) -> Result<(), Error> {
        let refuse = |why: &str| {
            let (line, instruction) = (written.line, written.text.clone());
            Err(Error::Instruction { line, instruction, why: why.into() })
        };
        if written.modifiers.iter().any(|modifier| modifier != "uni") {
            return refuse("an unknown modifier");
        }
        let (results, name, arguments): (&[Operand], _, &[Operand]) = match written.operands.as_slice() {
            [Operand::Name(name)] => (&[], name, &[]),
            [Operand::Name(name), Operand::List(arguments)] => (&[], name, arguments),
            [Operand::List(results), Operand::Name(name)] => (results, name, &[]),
            [Operand::List(results), Operand::Name(name), Operand::List(arguments)] => {
                (results, name, arguments)
            }
            _ => return refuse("a call through a pointer, or of an unknown form"),
        };
        let mut places = Vec::new();
        for argument in results.iter().chain(arguments) {
            match argument {
                Operand::Name(argument) => match self.lookup(argument) {
                    Some(symbol @ Symbol::Place(Space::Local, _)) => places.push(symbol),
                    Some(_) => return refuse("an argument that is no .param variable"),
                    None => return Err(Error::Undeclared { line: written.line, name: argument.clone() }),
                },
                _ => return refuse("an argument that is no .param variable"),
            }
        }
        let Some(function) = self.functions.get(name.as_str()).copied() else {
            return match (name.as_str(), places.get(results.len())) {
                ("__assertfail", Some(Symbol::Place(_, message))) => {
                    let message = self.constant(*message, Width::W64)?;
                    self.push(guard, Operation::Assert { message })
                }
                ("vprintf" | "malloc" | "free", _) => {
                    self.push(guard, Operation::Unsupported(name.as_str().into()))
                }
                _ => refuse("the function is not defined in the text"),
            };
        };
        if function.kernel
            || function.returns.len() != results.len()
            || function.params.len() != arguments.len()
        {
            return refuse("other arguments than the function has");
        }
        self.written_out += 1;
        if self.calls.contains(name) || self.calls.len() >= DEPTH || self.written_out > CALLS {
            return refuse("recursion, calls nested too deeply or too many of them");
        }
        // Lanes that do not call go on after it.
        let around = self.kernel.code.len();
        if let Some((predicate, negated)) = guard {
            self.push(Some((predicate, !negated)), Operation::Branch(0))?;
        }
        let mut scope = Scope { function: true, ..Scope::default() };
        for (variable, place) in function.returns.iter().chain(&function.params).zip(places) {
            scope.names.insert(variable.name.clone(), place);
        }
        self.calls.push(name.clone());
        self.scopes.push(scope);
        self.labels.push(HashMap::new());
        self.open.push(Vec::new());
        self.returns.push(Vec::new());
        self.body(function.body.as_deref().unwrap_or_default())?;
        self.close_labels()?;
        self.scopes.pop();
        self.calls.pop();
        let after = self.kernel.code.len() as u32;
        for at in self.returns.pop().unwrap_or_default() {
            self.kernel.code[at].operation = Operation::Branch(after);
        }
        if guard.is_some() {
            self.kernel.code[around].operation = Operation::Branch(after);
        }
        Ok(())
    }
}

fn lines_of(width: Width) -> u32 {
    if width == Width::W64 { 2 } else { 1 }
}
