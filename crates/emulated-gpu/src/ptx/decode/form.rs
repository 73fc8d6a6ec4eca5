//! One written instruction while it is decoded: its modifiers are ticked off, its operands become registers.

use super::super::Error;
use super::super::Special;
use super::super::builder::{Builder, Symbol};
use super::super::instruction::{Address, Int, Predicate, Register, Rounding, Space};
use super::super::syntax::{self, Operand, Written};
use super::super::types::{Type, Width};

/// An instruction being decoded.
pub struct Form<'w, 'b> {
    written: &'w Written,
    builder: &'w mut Builder<'b>,
    /// Modifiers that nobody has taken yet.
    modifiers: Vec<&'w str>,
    /// Operands that have been looked at: all must be.
    operands: usize,
}

impl<'w, 'b> Form<'w, 'b> {
    pub fn new(written: &'w Written, builder: &'w mut Builder<'b>) -> Form<'w, 'b> {
        let modifiers = written.modifiers.iter().map(String::as_str).collect();
        Form { written, builder, modifiers, operands: 0 }
    }

    pub fn opcode(&self) -> &'w str {
        &self.written.opcode
    }

    /// Whether everything that was written has been taken.
    pub fn finish(self) -> Result<(), Error> {
        if let Some(modifier) = self.modifiers.first() {
            return self.refuse(&format!("the modifier .{modifier}"));
        }
        if self.operands != self.written.operands.len() {
            return self.refuse(&format!("{} operands", self.written.operands.len()));
        }
        Ok(())
    }

    pub fn refuse<T>(&self, why: &str) -> Result<T, Error> {
        super::refuse(self.written, why)
    }

    /// Whether the modifier is there; it counts as taken.
    pub fn take(&mut self, modifier: &str) -> bool {
        match self.modifiers.iter().position(|found| *found == modifier) {
            Some(at) => {
                self.modifiers.remove(at);
                true
            }
            None => false,
        }
    }

    /// The first of these modifiers that is there.
    pub fn choice<T: Copy>(&mut self, of: &[(&str, T)]) -> Option<T> {
        of.iter().find(|(name, _)| self.take(name)).map(|(_, value)| *value)
    }

    /// One of these modifiers, which must be there.
    pub fn chosen<T: Copy>(&mut self, of: &[(&str, T)]) -> Result<T, Error> {
        match self.choice(of) {
            Some(value) => Ok(value),
            None => self.refuse("a modifier is missing"),
        }
    }

    /// The first type among the modifiers.
    pub fn ty(&mut self) -> Result<Type, Error> {
        let found = self.modifiers.iter().enumerate().find_map(|(at, name)| Some((at, Type::named(name)?)));
        match found {
            Some((at, ty)) => {
                self.modifiers.remove(at);
                Ok(ty)
            }
            None => self.refuse("no type that is known"),
        }
    }

    /// Whether a type is left among the modifiers.
    pub fn has_type(&self) -> bool {
        self.modifiers.iter().any(|name| Type::named(name).is_some())
    }

    /// The type, which must be one of these.
    pub fn ty_of(&mut self, of: &[Type]) -> Result<Type, Error> {
        let ty = self.ty()?;
        if of.contains(&ty) { Ok(ty) } else { self.refuse("that type") }
    }

    /// The type, an integer of 16 bits or more; plain bits count as unsigned.
    pub fn int_of(&mut self, of: &[Type]) -> Result<(Type, Int), Error> {
        let ty = self.ty_of(of)?;
        match int(ty) {
            Some(int) => Ok((ty, int)),
            None => self.refuse("that type"),
        }
    }

    /// A rounding to a floating-point number, where one is written.
    pub fn rounding(&mut self) -> Option<Rounding> {
        self.choice(&[
            ("rn", Rounding::Nearest),
            ("rna", Rounding::NearestAway),
            ("rz", Rounding::Zero),
            ("rm", Rounding::Down),
            ("rp", Rounding::Up),
        ])
    }

    /// How many operands are written.
    pub fn count(&self) -> usize {
        self.written.operands.len()
    }

    /// An operand as it is written.
    pub fn operand(&mut self, index: usize) -> Result<&'w Operand, Error> {
        self.operands = self.operands.max(index + 1);
        match self.written.operands.get(index) {
            Some(operand) => Ok(operand),
            None => self.refuse(&format!("{} operands", self.written.operands.len())),
        }
    }

    fn symbol(&mut self, name: &str) -> Result<Symbol, Error> {
        match self.builder.lookup(name) {
            Some(symbol) => Ok(symbol),
            None => Err(Error::Undeclared { line: self.written.line, name: name.to_owned() }),
        }
    }

    /// A register that is read as `ty`; it has exactly its width.
    pub fn source(&mut self, index: usize, ty: Type) -> Result<Register, Error> {
        let operand = self.operand(index)?;
        self.source_of(operand, ty)
    }

    pub fn source_of(&mut self, operand: &Operand, ty: Type) -> Result<Register, Error> {
        let (register, width) = self.read(operand, ty)?;
        if Some(width) == ty.width() {
            Ok(register)
        } else {
            self.refuse("a register of another width than the type")
        }
    }

    /// A register that is read as `ty`; it may be wider.
    pub fn wide_source(&mut self, index: usize, ty: Type) -> Result<Register, Error> {
        let operand = self.operand(index)?;
        self.wide_source_of(operand, ty)
    }

    pub fn wide_source_of(&mut self, operand: &Operand, ty: Type) -> Result<Register, Error> {
        let (register, width) = self.read(operand, ty)?;
        if width.bits() >= ty.bits() {
            Ok(register)
        } else {
            self.refuse("a register narrower than the type")
        }
    }

    fn read(&mut self, operand: &Operand, ty: Type) -> Result<(Register, Width), Error> {
        let width = ty.width().unwrap_or(Width::W16);
        let constant = match operand {
            Operand::Name(name) if name.starts_with('%') => {
                if let Some(special) = special(name) {
                    return Ok((self.builder.special(special)?, Width::W32));
                }
                return match self.symbol(name)? {
                    Symbol::Register(register, width) => Ok((register, width)),
                    _ => self.refuse("a predicate where a register belongs"),
                };
            }
            Operand::Name(name) if name == "WARP_SZ" => 32,
            Operand::Name(name) => match self.symbol(name)? {
                Symbol::Register(register, width) => return Ok((register, width)),
                Symbol::Place(_, at) => at,
                Symbol::Dynamic => return self.dynamic(width),
                Symbol::Predicate(_) => return self.refuse("a predicate where a register belongs"),
            },
            Operand::Offset(name, offset) => match self.symbol(name)? {
                Symbol::Place(_, at) => at.wrapping_add_signed(*offset),
                _ => return self.refuse("a sum with a register"),
            },
            Operand::Integer(_) if ty.float() => {
                return self.refuse("an integer where a number with a point belongs");
            }
            Operand::Integer(value) => *value as u64,
            Operand::Single(bits) if ty.bits() == 32 => u64::from(*bits),
            Operand::Double(bits) if ty.bits() == 64 => *bits,
            Operand::Double(bits) if ty == Type::F32 => u64::from((f64::from_bits(*bits) as f32).to_bits()),
            _ => return self.refuse("an operand of that kind"),
        };
        Ok((self.builder.constant(constant, width)?, width))
    }

    fn dynamic(&mut self, width: Width) -> Result<(Register, Width), Error> {
        if width == Width::W16 {
            return self.refuse("an address in 16 bits");
        }
        // A register of 64 bits has a second line, the upper half, which is zero of every address in shared memory:
        // the special register is one of two lines.
        Ok((self.builder.dynamic_start()?, width))
    }

    /// A register that is written as `ty`; it has exactly its width.
    pub fn target(&mut self, index: usize, ty: Type) -> Result<Register, Error> {
        let operand = self.operand(index)?;
        self.target_of(operand, ty)
    }

    pub fn target_of(&mut self, operand: &Operand, ty: Type) -> Result<Register, Error> {
        match (self.written_to(operand)?, ty.width()) {
            (Some((register, width)), Some(wanted)) if width == wanted => Ok(register),
            (None, Some(wanted)) => self.builder.dropped(wanted),
            _ => self.refuse("a register of another width than the type"),
        }
    }

    /// A register that is written as `ty`; it may be wider.
    pub fn wide_target(&mut self, index: usize, ty: Type) -> Result<(Register, Width), Error> {
        let operand = self.operand(index)?;
        match self.wide_target_of(operand, ty)? {
            Some(found) => Ok(found),
            None => self.refuse("a result that is dropped"),
        }
    }

    /// The same; `None` where the value is dropped.
    pub fn wide_target_of(
        &mut self,
        operand: &Operand,
        ty: Type,
    ) -> Result<Option<(Register, Width)>, Error> {
        let found = self.written_to(operand)?;
        if found.is_some_and(|(_, width)| width.bits() < ty.bits()) {
            return self.refuse("a register narrower than the type");
        }
        Ok(found)
    }

    fn written_to(&mut self, operand: &Operand) -> Result<Option<(Register, Width)>, Error> {
        match operand {
            Operand::Name(name) if name == "_" => Ok(None),
            Operand::Name(name) => match self.symbol(name)? {
                Symbol::Register(register, width) => Ok(Some((register, width))),
                _ => self.refuse("a result that is no register"),
            },
            _ => self.refuse("a result that is no register"),
        }
    }

    /// A predicate that is read, and whether it is negated.
    pub fn predicate(&mut self, index: usize) -> Result<(Predicate, bool), Error> {
        let operand = self.operand(index)?;
        let (operand, negated) = match operand {
            Operand::Not(inner) => (&**inner, true),
            _ => (operand, false),
        };
        match operand {
            Operand::Name(name) => match self.symbol(name)? {
                Symbol::Predicate(predicate) => Ok((predicate, negated)),
                _ => self.refuse("a register where a predicate belongs"),
            },
            Operand::Integer(value) => Ok((self.builder.predicate_constant(*value != 0)?, negated)),
            _ => self.refuse("an operand that is no predicate"),
        }
    }

    /// A predicate that is written.
    pub fn predicate_target(&mut self, index: usize) -> Result<Predicate, Error> {
        let operand = self.operand(index)?;
        match self.predicate_target_of(operand)? {
            Some(predicate) => Ok(predicate),
            None => self.refuse("a result that is dropped"),
        }
    }

    pub fn predicate_target_of(&mut self, operand: &Operand) -> Result<Option<Predicate>, Error> {
        match operand {
            Operand::Name(name) if name == "_" => Ok(None),
            Operand::Name(name) => match self.symbol(name)? {
                Symbol::Predicate(predicate) => Ok(Some(predicate)),
                _ => self.refuse("a register where a predicate belongs"),
            },
            _ => self.refuse("a result that is no predicate"),
        }
    }

    /// A number that must be written out.
    pub fn immediate(&mut self, index: usize) -> Result<u64, Error> {
        match self.operand(index)? {
            Operand::Integer(value) => Ok(*value as u64),
            _ => self.refuse("an operand that must be a number"),
        }
    }

    /// A constant in a register, for an operand that is left out.
    pub fn constant(&mut self, value: u64, width: Width) -> Result<Register, Error> {
        self.builder.constant(value, width)
    }

    /// `{a, b}`, or one operand alone.
    pub fn vector(&mut self, index: usize) -> Result<&'w [Operand], Error> {
        match self.operand(index)? {
            Operand::Vector(parts) => Ok(parts),
            single => Ok(std::slice::from_ref(single)),
        }
    }

    /// `[a+4]` in a state space. A `.param` of a call lies in local memory, which the space returned says.
    pub fn address(&mut self, index: usize, space: Space) -> Result<(Address, Space), Error> {
        let Operand::Address(inner) = self.operand(index)? else {
            return self.refuse("an operand that is no address");
        };
        let (name, offset) = match &**inner {
            Operand::Name(name) => (name, 0),
            Operand::Offset(name, offset) => (name, *offset),
            Operand::Integer(at) => {
                let base = self.builder.constant(*at as u64, Width::W64)?;
                return Ok((Address { base, width: Width::W64, offset: 0 }, space));
            }
            _ => return self.refuse("an address of that form"),
        };
        match self.symbol(name)? {
            Symbol::Register(_, Width::W16) => self.refuse("an address in 16 bits"),
            Symbol::Register(base, width) => Ok((Address { base, width, offset }, space)),
            Symbol::Predicate(_) => self.refuse("a predicate as an address"),
            Symbol::Dynamic => {
                let space = self.named_space(space, Space::Shared)?;
                let base = self.builder.dynamic_start()?;
                Ok((Address { base, width: Width::W64, offset }, space))
            }
            Symbol::Place(of, at) => {
                let of = match of {
                    syntax::Space::Global | syntax::Space::Const => Space::Global,
                    syntax::Space::Shared => Space::Shared,
                    syntax::Space::Local => Space::Local,
                    syntax::Space::Param => Space::Param,
                };
                let space = self.named_space(space, of)?;
                let base = self.builder.constant(at, Width::W64)?;
                Ok((Address { base, width: Width::W64, offset }, space))
            }
        }
    }

    /// The space of a variable that is accessed by name, against the one that the instruction names.
    fn named_space(&self, space: Space, of: Space) -> Result<Space, Error> {
        match (space, of) {
            (Space::Const, Space::Global) => Ok(Space::Const),
            (Space::Param, Space::Local) | (Space::Generic, _) => Ok(of),
            (space, of) if space == of => Ok(of),
            _ => self.refuse("a variable of another state space"),
        }
    }
}

/// The integer type of that width and sign.
pub fn int(ty: Type) -> Option<Int> {
    Some(match ty {
        Type::U16 | Type::B16 => Int::U16,
        Type::S16 => Int::S16,
        Type::U32 | Type::B32 => Int::U32,
        Type::S32 => Int::S32,
        Type::U64 | Type::B64 => Int::U64,
        Type::S64 => Int::S64,
        _ => return None,
    })
}

/// A special register by its name; clocks and counters of the hardware have no value here.
fn special(name: &str) -> Option<Special> {
    let axis = |name: &str| ["x", "y", "z"].iter().position(|axis| *axis == name);
    if let Some((base, end)) = name.rsplit_once('.') {
        let axis = axis(end)?;
        return Some(match base {
            "%tid" => Special::Tid(axis),
            "%ntid" => Special::Ntid(axis),
            "%ctaid" => Special::Ctaid(axis),
            "%nctaid" => Special::Nctaid(axis),
            _ => return None,
        });
    }
    Some(match name {
        "%laneid" => Special::Lane,
        "%warpid" => Special::Warp,
        "%nwarpid" => Special::Warps,
        "%lanemask_eq" => Special::MaskEq,
        "%lanemask_lt" => Special::MaskLt,
        "%lanemask_le" => Special::MaskLe,
        "%lanemask_gt" => Special::MaskGt,
        "%lanemask_ge" => Special::MaskGe,
        "%dynamic_smem_size" => Special::DynamicSize,
        "%total_smem_size" => Special::TotalSize,
        _ => return None,
    })
}
