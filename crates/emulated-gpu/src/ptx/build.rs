//! Makes kernels of statements: calls become the called function's own instructions, labels the places of instructions.

use super::builder::{Builder, Scope, Symbol};
use super::instruction::{Operation, Predicate};
use super::syntax::{Function, Operand, Space, Statement, Unit, Variable, Written};
use super::types::Width;
use super::{Error, Global, Kernel, decode};
use std::collections::HashMap;
use std::sync::Arc;

/// Calls that may be written out in a kernel.
const CALLS: usize = 1 << 16;
/// How deeply they may be nested.
const DEPTH: usize = 32;

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
    entries.map(|function| kernel(function, &functions, &addresses, &shared).map(Arc::new)).collect()
}

fn kernel<'a>(
    function: &Function,
    functions: &'a HashMap<&'a str, &'a Function>,
    globals: &'a HashMap<&'a str, u64>,
    shared: &'a [Variable],
) -> Result<Kernel, Error> {
    let mut flow = Flow {
        builder: Builder::new(function, globals, shared),
        functions,
        labels: vec![HashMap::new()],
        open: vec![Vec::new()],
        returns: Vec::new(),
        calls: vec![function.name.clone()],
        written_out: 0,
    };
    flow.body(function.body.as_deref().unwrap_or_default())?;
    flow.builder.note("the end of the kernel".into(), function.line);
    flow.builder.push(None, Operation::Exit)?;
    flow.close_labels()?;
    Ok(flow.builder.kernel)
}

/// A kernel under construction, and where its branches and calls go.
struct Flow<'a> {
    builder: Builder<'a>,
    functions: &'a HashMap<&'a str, &'a Function>,
    /// Labels of the functions that are being written out, the innermost last.
    labels: Vec<HashMap<String, u32>>,
    /// Branches whose label is not known yet: the instruction, the label, its line.
    open: Vec<Vec<(usize, String, usize)>>,
    /// Where `ret` goes in a called function.
    returns: Vec<Vec<usize>>,
    /// The kernel and the functions that are being written out, the innermost last.
    calls: Vec<String>,
    /// How many calls were written out.
    written_out: usize,
}

impl Flow<'_> {
    fn body(&mut self, statements: &[Statement]) -> Result<(), Error> {
        for statement in statements {
            match statement {
                Statement::Open => self.builder.scopes.push(Scope::default()),
                Statement::Close => drop(self.builder.scopes.pop()),
                Statement::Label(name, line) => {
                    let here = self.builder.kernel.code.len() as u32;
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
                Statement::Registers(ty, names, line) => self.builder.registers(*ty, names, *line)?,
                Statement::Variable(variable) => self.builder.variable(variable)?,
                Statement::Instruction(written) => self.instruction(written)?,
            }
        }
        Ok(())
    }

    fn instruction(&mut self, written: &Written) -> Result<(), Error> {
        self.builder.note(written.text.clone(), written.line);
        let guard = match &written.guard {
            None => None,
            Some((name, negated)) => match self.builder.lookup(name) {
                Some(Symbol::Predicate(predicate)) => Some((predicate, *negated)),
                _ => return Err(Error::Undeclared { line: written.line, name: name.clone() }),
            },
        };
        match (written.opcode.as_str(), self.returns.is_empty()) {
            ("call", _) => self.call(written, guard),
            ("ret", false) => {
                decode::no_operands(written)?;
                let here = self.builder.kernel.code.len();
                if let Some(returns) = self.returns.last_mut() {
                    returns.push(here);
                }
                self.builder.push(guard, Operation::Branch(0))
            }
            ("bra", _) => {
                let label = decode::branch_label(written)?;
                let here = self.builder.kernel.code.len();
                if let Some(open) = self.open.last_mut() {
                    open.push((here, label, written.line));
                }
                self.builder.push(guard, Operation::Branch(0))
            }
            _ => {
                let operation = decode::operation(written, &mut self.builder)?;
                self.builder.push(guard, operation)
            }
        }
    }

    fn close_labels(&mut self) -> Result<(), Error> {
        let (labels, open) = (self.labels.pop().unwrap_or_default(), self.open.pop().unwrap_or_default());
        for (at, label, line) in open {
            let Some(target) = labels.get(&label) else {
                return Err(Error::Undeclared { line, name: label });
            };
            self.builder.kernel.code[at].operation = Operation::Branch(*target);
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
                Operand::Name(argument) => match self.builder.lookup(argument) {
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
                    let message = self.builder.constant(*message, Width::W64)?;
                    self.builder.push(guard, Operation::Assert { message })
                }
                ("vprintf" | "malloc" | "free", _) => {
                    self.builder.push(guard, Operation::Unsupported(name.as_str().into()))
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
        let around = self.builder.kernel.code.len();
        if let Some((predicate, negated)) = guard {
            self.builder.push(Some((predicate, !negated)), Operation::Branch(0))?;
        }
        let mut scope = Scope::of_function();
        for (variable, place) in function.returns.iter().chain(&function.params).zip(places) {
            scope.names.insert(variable.name.clone(), place);
        }
        self.calls.push(name.clone());
        self.builder.scopes.push(scope);
        self.labels.push(HashMap::new());
        self.open.push(Vec::new());
        self.returns.push(Vec::new());
        self.body(function.body.as_deref().unwrap_or_default())?;
        self.close_labels()?;
        self.builder.scopes.pop();
        self.calls.pop();
        let after = self.builder.kernel.code.len() as u32;
        for at in self.returns.pop().unwrap_or_default() {
            self.builder.kernel.code[at].operation = Operation::Branch(after);
        }
        if guard.is_some() {
            self.builder.kernel.code[around].operation = Operation::Branch(after);
        }
        Ok(())
    }
}
