//! Tokens to declarations, functions and statements. What names and opcodes mean is not looked at here.

use super::Error;
use super::lex::{Kind, Token};
use super::types::Type;

/// The state space of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    Global,
    Const,
    Shared,
    Local,
    Param,
}

/// A declared variable.
#[derive(Clone, Debug)]
pub struct Variable {
    pub space: Space,
    pub name: String,
    pub ty: Type,
    /// Bytes; 0 of an array whose length the launch decides.
    pub size: usize,
    pub align: usize,
    /// The first values, by element; what they leave is zero.
    pub values: Vec<u64>,
    pub external: bool,
    pub line: usize,
}

/// An operand as it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    Name(String),
    /// A name and a distance from it in bytes.
    Offset(String, i64),
    Integer(i128),
    Single(u32),
    Double(u64),
    /// `[base+offset]`.
    Address(Box<Operand>),
    /// `{a, b}`.
    Vector(Vec<Operand>),
    /// `(a, b)`.
    List(Vec<Operand>),
    /// `a|b`.
    Pair(Box<Operand>, Box<Operand>),
    /// `!a`.
    Not(Box<Operand>),
}

/// An instruction as it is written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The predicate before it, and whether it is negated.
    pub guard: Option<(String, bool)>,
    /// The opcode, without modifiers.
    pub opcode: String,
    pub modifiers: Vec<String>,
    pub operands: Vec<Operand>,
    pub line: usize,
    pub text: String,
}

/// One statement of a body.
#[derive(Clone, Debug)]
pub enum Statement {
    Open,
    Close,
    Label(String, usize),
    /// `.reg`: names, each with its count where it stands for numbered ones.
    Registers(Type, Vec<(String, Option<u32>)>, usize),
    Variable(Variable),
    Instruction(Written),
}

/// A kernel or a device function.
#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    pub kernel: bool,
    pub returns: Vec<Variable>,
    pub params: Vec<Variable>,
    pub max_threads: Option<u32>,
    pub max_registers: Option<u32>,
    /// None of a declaration.
    pub body: Option<Vec<Statement>>,
    pub line: usize,
}

/// What a text declares.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    pub variables: Vec<Variable>,
    pub functions: Vec<Function>,
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token<'a>>,
    at: usize,
}

/// The declarations of a text.
pub fn unit<'a>(text: &'a str, tokens: Vec<Token<'a>>) -> Result<Unit, Error> {
    let mut parser = Parser { text, tokens, at: 0 };
    let mut unit = Unit::default();
    while let Some(token) = parser.peek() {
        let Kind::Word(word) = token.kind else { return Err(parser.wanted("a directive")) };
        match word {
            ".version" | ".target" | ".address_size" | ".file" => parser.skip_line(token.line),
            ".pragma" | ".alias" => parser.skip_past(';')?,
            ".section" => {
                parser.skip_past('{')?;
                parser.skip_past('}')?;
            }
            _ => parser.declaration(&mut unit)?,
        }
    }
    Ok(unit)
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).copied()
    }

    fn line(&self) -> usize {
        self.peek().or_else(|| self.tokens.last().copied()).map_or(1, |token| token.line)
    }

    fn wanted(&self, wanted: &'static str) -> Error {
        let found = self.peek().and_then(|token| self.text.get(token.start..token.end)).unwrap_or("the end");
        Error::Syntax { line: self.line(), found: found.to_owned(), wanted }
    }

    fn skip_line(&mut self, line: usize) {
        while self.peek().is_some_and(|token| token.line == line) {
            self.at += 1;
        }
    }

    fn skip_past(&mut self, sign: char) -> Result<(), Error> {
        while !self.take(sign) {
            if self.peek().is_none() {
                return Err(self.wanted("the end of a directive"));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn take(&mut self, sign: char) -> bool {
        let found = self.peek().is_some_and(|token| token.kind == Kind::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn sign(&mut self, sign: char, wanted: &'static str) -> Result<(), Error> {
        if self.take(sign) { Ok(()) } else { Err(self.wanted(wanted)) }
    }

    fn word(&mut self, wanted: &'static str) -> Result<&'a str, Error> {
        match self.peek().map(|token| token.kind) {
            Some(Kind::Word(word)) => {
                self.at += 1;
                Ok(word)
            }
            _ => Err(self.wanted(wanted)),
        }
    }

    fn count(&mut self) -> Result<usize, Error> {
        match self.peek().map(|token| token.kind) {
            Some(Kind::Integer(value)) if value <= 1 << 32 => {
                self.at += 1;
                Ok(value as usize)
            }
            _ => Err(self.wanted("a count")),
        }
    }

    fn declaration(&mut self, unit: &mut Unit) -> Result<(), Error> {
        let mut external = false;
        loop {
            let line = self.line();
            match self.word("a declaration")? {
                ".visible" | ".weak" | ".common" => {}
                ".extern" => external = true,
                ".entry" => {
                    let function = self.function(true, line)?;
                    unit.functions.push(function);
                    return Ok(());
                }
                ".func" => {
                    let function = self.function(false, line)?;
                    unit.functions.push(function);
                    return Ok(());
                }
                word => {
                    let Some(space) = space(word) else {
                        let declaration = word.to_owned();
                        return Err(Error::Declaration {
                            line,
                            declaration,
                            why: "an unknown directive".into(),
                        });
                    };
                    self.variables(space, external, &mut |variable| unit.variables.push(variable))?;
                    return Ok(());
                }
            }
        }
    }

    /// The variables of one declaration, up to and with its semicolon.
    fn variables(
        &mut self,
        space: Space,
        external: bool,
        keep: &mut dyn FnMut(Variable),
    ) -> Result<(), Error> {
        let mut next = self.variable(space, external)?;
        loop {
            let (ty, align) = (next.ty, next.align);
            keep(next);
            if self.take(';') {
                return Ok(());
            }
            self.sign(',', "a semicolon")?;
            next = self.named(space, external, ty, align, 1)?;
        }
    }

    /// `.align 4 .b8 name[16] = {…}`, after its state space.
    fn variable(&mut self, space: Space, external: bool) -> Result<Variable, Error> {
        let (mut ty, mut align, mut lanes) = (None, 0, 1);
        while let Some(Token { kind: Kind::Word(word), .. }) = self.peek() {
            let Some(directive) = word.strip_prefix('.') else { break };
            self.at += 1;
            match directive {
                "align" => align = align.max(self.count()?),
                // What a pointer points at is no property of the parameter that holds it.
                "ptr" => {
                    while let Some(Token { kind: Kind::Word(word), .. }) = self.peek() {
                        if space_of_pointer(word) {
                            self.at += 1;
                        } else if word == ".align" {
                            self.at += 1;
                            self.count()?;
                        } else {
                            break;
                        }
                    }
                }
                "v2" => lanes = 2,
                "v4" => lanes = 4,
                _ => match Type::named(directive) {
                    Some(found) if ty.is_none() && found != Type::Pred => ty = Some(found),
                    _ => {
                        let (line, declaration) = (self.line(), word.to_owned());
                        return Err(Error::Declaration { line, declaration, why: "unknown here".into() });
                    }
                },
            }
        }
        let ty = ty.ok_or_else(|| self.wanted("a type"))?;
        let align = align.max(ty.bytes() * lanes);
        if !align.is_power_of_two() || align > 4096 {
            return Err(self.wanted("an alignment"));
        }
        self.named(space, external, ty, align, lanes)
    }

    fn named(
        &mut self,
        space: Space,
        external: bool,
        ty: Type,
        align: usize,
        lanes: usize,
    ) -> Result<Variable, Error> {
        let line = self.line();
        let name = self.word("a name")?.to_owned();
        let mut count = lanes;
        while self.take('[') {
            if self.take(']') {
                count = 0;
            } else {
                count = count.saturating_mul(self.count()?);
                self.sign(']', "a closing bracket")?;
            }
        }
        let size = count.saturating_mul(ty.bytes());
        if size > 1 << 30 {
            return Err(Error::Declaration { line, declaration: name, why: "larger than 1 GiB".into() });
        }
        let mut values = Vec::new();
        if self.take('=') {
            self.values(ty, &mut values)?;
            if values.len() > count {
                return Err(Error::Declaration {
                    line,
                    declaration: name,
                    why: "more values than elements".into(),
                });
            }
        }
        Ok(Variable { space, name, ty, size, align, values, external, line })
    }

    fn values(&mut self, ty: Type, values: &mut Vec<u64>) -> Result<(), Error> {
        if self.take('{') {
            while !self.take('}') {
                self.values(ty, values)?;
                if !self.take(',') && self.peek().is_none_or(|token| token.kind != Kind::Sign('}')) {
                    return Err(self.wanted("a closing brace"));
                }
            }
            return Ok(());
        }
        let value = match self.operand(0)? {
            Operand::Integer(value) if ty.integer() => value as u64,
            Operand::Single(bits) if ty.bits() == 32 => u64::from(bits),
            Operand::Single(bits) if ty == Type::F64 => f64::from(f32::from_bits(bits)).to_bits(),
            Operand::Double(bits) if ty.bits() == 64 => bits,
            Operand::Double(bits) if ty == Type::F32 => u64::from((f64::from_bits(bits) as f32).to_bits()),
            _ => return Err(self.wanted("a constant of the variable's type")),
        };
        values.push(value);
        Ok(())
    }

    fn function(&mut self, kernel: bool, line: usize) -> Result<Function, Error> {
        let returns = self.parameters()?;
        let name = self.word("a function's name")?.to_owned();
        let params = self.parameters()?;
        let (mut max_threads, mut max_registers) = (None, None);
        while let Some(Token { kind: Kind::Word(word), line, .. }) = self.peek() {
            self.at += 1;
            match word {
                ".maxntid" | ".reqntid" => {
                    let mut product = 1u64;
                    loop {
                        product = product.saturating_mul(self.count()? as u64);
                        if !self.take(',') {
                            break;
                        }
                    }
                    max_threads = Some(u32::try_from(product).unwrap_or(u32::MAX));
                }
                ".maxnreg" => max_registers = Some(u32::try_from(self.count()?).unwrap_or(u32::MAX)),
                // They bear on how ptxas compiles, not on what is computed.
                ".minnctapersm" => drop(self.count()?),
                ".noreturn" => {}
                ".pragma" => self.skip_past(';')?,
                _ => {
                    let declaration = word.to_owned();
                    return Err(Error::Declaration {
                        line,
                        declaration,
                        why: "unknown after a function".into(),
                    });
                }
            }
        }
        let body = if self.take(';') {
            None
        } else {
            self.sign('{', "a function's body")?;
            Some(self.body()?)
        };
        Ok(Function { name, kernel, returns, params, max_threads, max_registers, body, line })
    }

    fn parameters(&mut self) -> Result<Vec<Variable>, Error> {
        let mut found = Vec::new();
        if !self.take('(') {
            return Ok(found);
        }
        while !self.take(')') {
            let line = self.line();
            match self.word("a parameter")? {
                ".param" => found.push(self.variable(Space::Param, false)?),
                word => {
                    let declaration = word.to_owned();
                    return Err(Error::Declaration { line, declaration, why: "no .param".into() });
                }
            }
            if !self.take(',') && self.peek().is_none_or(|token| token.kind != Kind::Sign(')')) {
                return Err(self.wanted("a closing parenthesis"));
            }
        }
        Ok(found)
    }

    fn body(&mut self) -> Result<Vec<Statement>, Error> {
        let mut found = Vec::new();
        let mut depth = 0;
        loop {
            let Some(token) = self.peek() else { return Err(self.wanted("the end of a body")) };
            match token.kind {
                Kind::Sign('{') => {
                    self.at += 1;
                    depth += 1;
                    found.push(Statement::Open);
                }
                Kind::Sign('}') => {
                    self.at += 1;
                    if depth == 0 {
                        return Ok(found);
                    }
                    depth -= 1;
                    found.push(Statement::Close);
                }
                Kind::Sign(';') => self.at += 1,
                Kind::Sign('@') => found.push(self.instruction()?),
                Kind::Word(".loc" | ".file") => self.skip_line(token.line),
                Kind::Word(".pragma") => self.skip_past(';')?,
                Kind::Word(".reg") => found.push(self.registers(token.line)?),
                Kind::Word(word) if word.starts_with('.') => {
                    self.at += 1;
                    let external = word == ".extern";
                    let word = if external { self.word("a state space")? } else { word };
                    let Some(space) = space(word) else {
                        let (line, declaration) = (token.line, word.to_owned());
                        return Err(Error::Declaration {
                            line,
                            declaration,
                            why: "unknown in a function".into(),
                        });
                    };
                    self.variables(space, external, &mut |variable| {
                        found.push(Statement::Variable(variable))
                    })?;
                }
                Kind::Word(word)
                    if self.tokens.get(self.at + 1).is_some_and(|next| next.kind == Kind::Sign(':')) =>
                {
                    self.at += 2;
                    found.push(Statement::Label(word.to_owned(), token.line));
                }
                Kind::Word(_) => found.push(self.instruction()?),
                _ => return Err(self.wanted("a statement")),
            }
        }
    }

    fn registers(&mut self, line: usize) -> Result<Statement, Error> {
        self.at += 1;
        let ty = self.word("a type")?;
        let ty = ty.strip_prefix('.').and_then(Type::named).ok_or_else(|| Error::Declaration {
            line,
            declaration: format!(".reg {ty}"),
            why: "registers of that type".into(),
        })?;
        let mut names = Vec::new();
        loop {
            let name = self.word("a register's name")?.to_owned();
            let mut count = None;
            if self.take('<') {
                count = Some(u32::try_from(self.count()?).unwrap_or(u32::MAX));
                self.sign('>', "a closing angle bracket")?;
            }
            names.push((name, count));
            if self.take(';') {
                return Ok(Statement::Registers(ty, names, line));
            }
            self.sign(',', "a semicolon")?;
        }
    }

    fn instruction(&mut self) -> Result<Statement, Error> {
        let first = self.at;
        let mut guard = None;
        if self.take('@') {
            let negated = self.take('!');
            guard = Some((self.word("a predicate")?.to_owned(), negated));
        }
        let line = self.line();
        let mut parts = self.word("an opcode")?.split('.').map(str::to_owned);
        let opcode = parts.next().unwrap_or_default();
        let modifiers = parts.collect();
        let mut operands = Vec::new();
        while !self.take(';') {
            operands.push(self.operand(0)?);
            if !self.take(',') && self.peek().is_none_or(|token| token.kind != Kind::Sign(';')) {
                return Err(self.wanted("a semicolon"));
            }
        }
        let text = match (self.tokens.get(first), self.tokens.get(self.at.wrapping_sub(2))) {
            (Some(from), Some(to)) => self.text.get(from.start..to.end).unwrap_or_default(),
            _ => "",
        };
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Statement::Instruction(Written { guard, opcode, modifiers, operands, line, text }))
    }

    fn operand(&mut self, depth: usize) -> Result<Operand, Error> {
        if depth > 4 {
            return Err(self.wanted("an operand that is nested less deeply"));
        }
        let Some(token) = self.peek() else { return Err(self.wanted("an operand")) };
        self.at += 1;
        let found = match token.kind {
            Kind::Word(name) => self.offset(name)?,
            Kind::Integer(value) => Operand::Integer(i128::from(value)),
            Kind::Single(bits) => Operand::Single(bits),
            Kind::Double(bits) => Operand::Double(bits),
            Kind::Sign('-') => match self.operand(depth + 1)? {
                Operand::Integer(value) => Operand::Integer(-value),
                Operand::Single(bits) => Operand::Single(bits ^ 1 << 31),
                Operand::Double(bits) => Operand::Double(bits ^ 1 << 63),
                _ => return Err(self.wanted("a number")),
            },
            Kind::Sign('!') => Operand::Not(Box::new(self.operand(depth + 1)?)),
            Kind::Sign('[') => {
                let inner = self.operand(depth + 1)?;
                self.sign(']', "a closing bracket")?;
                Operand::Address(Box::new(inner))
            }
            Kind::Sign('{') => Operand::Vector(self.list('}', depth)?),
            Kind::Sign('(') => Operand::List(self.list(')', depth)?),
            _ => {
                self.at -= 1;
                return Err(self.wanted("an operand"));
            }
        };
        if self.take('|') {
            return Ok(Operand::Pair(Box::new(found), Box::new(self.operand(depth + 1)?)));
        }
        Ok(found)
    }

    fn offset(&mut self, name: &str) -> Result<Operand, Error> {
        let plus = self.take('+');
        let minus = self.take('-');
        if !plus && !minus {
            return Ok(Operand::Name(name.to_owned()));
        }
        match self.peek().map(|token| token.kind) {
            Some(Kind::Integer(value)) => {
                self.at += 1;
                let offset = value as i64;
                Ok(Operand::Offset(name.to_owned(), if minus { offset.wrapping_neg() } else { offset }))
            }
            _ => Err(self.wanted("an offset")),
        }
    }

    fn list(&mut self, end: char, depth: usize) -> Result<Vec<Operand>, Error> {
        let mut found = Vec::new();
        while !self.take(end) {
            found.push(self.operand(depth + 1)?);
            if !self.take(',') && self.peek().is_none_or(|token| token.kind != Kind::Sign(end)) {
                return Err(self.wanted("the end of a list"));
            }
        }
        Ok(found)
    }
}

fn space(word: &str) -> Option<Space> {
    Some(match word {
        ".global" => Space::Global,
        ".const" => Space::Const,
        ".shared" => Space::Shared,
        ".local" => Space::Local,
        ".param" => Space::Param,
        _ => return None,
    })
}

fn space_of_pointer(word: &str) -> bool {
    matches!(word, ".global" | ".const" | ".shared" | ".local" | ".param")
}
