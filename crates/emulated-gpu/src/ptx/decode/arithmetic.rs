//! Integers and bits, and what they share their opcodes with: `add`, `mul`, `min` … of floating-point numbers go on to
//! [`super::float`] (PTX ISA, Integer Arithmetic, Extended-Precision Arithmetic, Logic and Shift Instructions).

use super::super::Error;
use super::super::instruction::{
    Carry, CarryOp, Combine, Int, Integer, IntegerOp, Logic, Operation, PermuteMode, Predicate, Register,
};
use super::super::types::Type;
use super::form::{Form, int};
use super::{Table, float};

pub const TABLE: Table = &[
    ("add", add),
    ("sub", add),
    ("addc", carry),
    ("subc", carry),
    ("mul", mul),
    ("mad", mad),
    ("madc", carry),
    ("mul24", mul24),
    ("mad24", mul24),
    ("sad", sad),
    ("div", div),
    ("rem", rem),
    ("abs", abs),
    ("neg", abs),
    ("min", min),
    ("max", min),
    ("and", logic),
    ("or", logic),
    ("xor", logic),
    ("not", not),
    ("cnot", cnot),
    ("lop3", lop3),
    ("shl", shift),
    ("shr", shift),
    ("shf", funnel),
    ("popc", count),
    ("clz", count),
    ("bfind", bfind),
    ("brev", brev),
    ("bfe", bfe),
    ("bfi", bfi),
    ("fns", fns),
    ("prmt", prmt),
    ("dp4a", dp4a),
    ("dp2a", dp2a),
];

const SIGNED: [Type; 3] = [Type::S16, Type::S32, Type::S64];
const INTEGERS: [Type; 6] = [Type::U16, Type::S16, Type::U32, Type::S32, Type::U64, Type::S64];
const WORDS: [Type; 4] = [Type::U32, Type::S32, Type::U64, Type::S64];
const BITS: [Type; 3] = [Type::B16, Type::B32, Type::B64];
const BITS_WIDE: [Type; 2] = [Type::B32, Type::B64];

/// An operation whose operands all have its type.
fn plain(form: &mut Form<'_, '_>, op: IntegerOp, ty: Type, sources: usize) -> Result<Operation, Error> {
    typed(form, op, ty, ty, &[ty; 4][..sources])
}

/// An operation with the types of its result and operands.
fn typed(
    form: &mut Form<'_, '_>,
    op: IntegerOp,
    ty: Type,
    result: Type,
    sources: &[Type],
) -> Result<Operation, Error> {
    let Some(int) = int(ty) else { return form.refuse("that type") };
    let d = form.target(0, result)?;
    let mut s = [d; 4];
    for (index, (register, ty)) in s.iter_mut().zip(sources).enumerate() {
        *register = form.source(index + 1, *ty)?;
    }
    Ok(Operation::Integer(Integer { op, ty: int, d, s }))
}

fn add(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    if form.take("cc") {
        let op = if form.opcode() == "add" { CarryOp::Add } else { CarryOp::Sub };
        return carried(form, op, false, true, 2);
    }
    let sat = form.take("sat");
    let ty = form.ty()?;
    let op = match (form.opcode(), sat) {
        ("add", false) => IntegerOp::Add,
        ("add", true) => IntegerOp::AddSat,
        (_, false) => IntegerOp::Sub,
        (_, true) => IntegerOp::SubSat,
    };
    if !ty.integer() {
        return float::add(form, ty, sat);
    }
    if !INTEGERS.contains(&ty) || (sat && ty != Type::S32) {
        return form.refuse("that type");
    }
    plain(form, op, ty, 2)
}

fn carry(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let carry_out = form.take("cc");
    match form.opcode() {
        "addc" => carried(form, CarryOp::Add, true, carry_out, 2),
        "subc" => carried(form, CarryOp::Sub, true, carry_out, 2),
        _ => {
            let op = form.chosen(&[("lo", CarryOp::MadLow), ("hi", CarryOp::MadHigh)])?;
            carried(form, op, true, carry_out, 3)
        }
    }
}

fn carried(
    form: &mut Form<'_, '_>,
    op: CarryOp,
    carry_in: bool,
    carry_out: bool,
    sources: usize,
) -> Result<Operation, Error> {
    let (ty, int) = form.int_of(&WORDS)?;
    let d = form.target(0, ty)?;
    let mut s = [d; 3];
    for (index, register) in s.iter_mut().enumerate().take(sources) {
        *register = form.source(index + 1, ty)?;
    }
    Ok(Operation::Carry(Carry { op, carry_in, carry_out, ty: int, d, s }))
}

/// A type of twice the width.
fn double(form: &Form<'_, '_>, ty: Type) -> Result<Type, Error> {
    match ty {
        Type::U16 => Ok(Type::U32),
        Type::S16 => Ok(Type::S32),
        Type::U32 => Ok(Type::U64),
        Type::S32 => Ok(Type::S64),
        _ => form.refuse("that type"),
    }
}

fn mul(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let part =
        form.choice(&[("lo", IntegerOp::MulLow), ("hi", IntegerOp::MulHigh), ("wide", IntegerOp::MulWide)]);
    let Some(op) = part else { return float::mul(form) };
    let ty = form.ty_of(&INTEGERS)?;
    let result = if op == IntegerOp::MulWide { double(form, ty)? } else { ty };
    typed(form, op, ty, result, &[ty, ty])
}

fn mad(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let part =
        form.choice(&[("lo", IntegerOp::MadLow), ("hi", IntegerOp::MadHigh), ("wide", IntegerOp::MadWide)]);
    let Some(op) = part else { return float::fma(form) };
    if form.take("cc") {
        let op = match op {
            IntegerOp::MadLow => CarryOp::MadLow,
            IntegerOp::MadHigh => CarryOp::MadHigh,
            _ => return form.refuse("that form"),
        };
        return carried(form, op, false, true, 3);
    }
    let sat = form.take("sat");
    let ty = form.ty_of(&INTEGERS)?;
    let op = match (op, sat, ty) {
        (_, false, _) => op,
        (IntegerOp::MadHigh, true, Type::S32) => IntegerOp::MadHighSat,
        _ => return form.refuse("that form"),
    };
    let result = if op == IntegerOp::MadWide { double(form, ty)? } else { ty };
    typed(form, op, ty, result, &[ty, ty, result])
}

fn mul24(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let high = form.chosen(&[("lo", false), ("hi", true)])?;
    let sat = form.take("sat");
    let ty = form.ty_of(&[Type::U32, Type::S32])?;
    let (op, sources) = match (form.opcode(), high, sat) {
        ("mul24", false, false) => (IntegerOp::Mul24Low, 2),
        ("mul24", true, false) => (IntegerOp::Mul24High, 2),
        ("mad24", false, false) => (IntegerOp::Mad24Low, 3),
        ("mad24", true, false) => (IntegerOp::Mad24High, 3),
        ("mad24", true, true) if ty == Type::S32 => (IntegerOp::Mad24HighSat, 3),
        _ => return form.refuse("that form"),
    };
    plain(form, op, ty, sources)
}

fn sad(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let ty = form.ty_of(&INTEGERS)?;
    let unsigned = match ty {
        Type::S16 => Type::U16,
        Type::S32 => Type::U32,
        Type::S64 => Type::U64,
        other => other,
    };
    typed(form, IntegerOp::Sad, ty, unsigned, &[ty, ty, unsigned])
}

fn div(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let ty = form.ty()?;
    if !ty.integer() {
        return float::div(form, ty);
    }
    if !INTEGERS.contains(&ty) {
        return form.refuse("that type");
    }
    plain(form, IntegerOp::Div, ty, 2)
}

fn rem(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let ty = form.ty_of(&INTEGERS)?;
    plain(form, IntegerOp::Rem, ty, 2)
}

fn abs(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let ty = form.ty()?;
    if !ty.integer() {
        return float::sign(form, ty);
    }
    if !SIGNED.contains(&ty) {
        return form.refuse("that type");
    }
    plain(form, if form.opcode() == "abs" { IntegerOp::Abs } else { IntegerOp::Neg }, ty, 1)
}

fn min(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let ty = form.ty()?;
    if !ty.integer() {
        return float::min(form, ty);
    }
    if !INTEGERS.contains(&ty) {
        return form.refuse("that type");
    }
    plain(form, if form.opcode() == "min" { IntegerOp::Min } else { IntegerOp::Max }, ty, 2)
}

fn logic(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let (op, combine) = match form.opcode() {
        "and" => (IntegerOp::And, Combine::And),
        "or" => (IntegerOp::Or, Combine::Or),
        _ => (IntegerOp::Xor, Combine::Xor),
    };
    let ty = form.ty_of(&[Type::B16, Type::B32, Type::B64, Type::Pred])?;
    if ty != Type::Pred {
        return plain(form, op, ty, 2);
    }
    let d = form.predicate_target(0)?;
    let ((a, a_negated), (b, b_negated)) = (form.predicate(1)?, form.predicate(2)?);
    Ok(Operation::Logic(Logic { op: combine, d, a, a_negated, b, b_negated }))
}

/// A predicate moved or negated: its `and` with itself.
pub fn predicate_move(d: Predicate, (a, negated): (Predicate, bool)) -> Operation {
    Operation::Logic(Logic { op: Combine::And, d, a, a_negated: negated, b: a, b_negated: negated })
}

fn not(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let ty = form.ty_of(&[Type::B16, Type::B32, Type::B64, Type::Pred])?;
    if ty != Type::Pred {
        return plain(form, IntegerOp::Not, ty, 1);
    }
    let d = form.predicate_target(0)?;
    let (a, negated) = form.predicate(1)?;
    Ok(predicate_move(d, (a, !negated)))
}

fn cnot(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let ty = form.ty_of(&BITS)?;
    plain(form, IntegerOp::Cnot, ty, 1)
}

fn lop3(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    form.ty_of(&[Type::B32])?;
    let d = form.target(0, Type::B32)?;
    let mut s = [d; 4];
    for (index, register) in s.iter_mut().enumerate().take(3) {
        *register = form.source(index + 1, Type::B32)?;
    }
    let table = form.immediate(4)?;
    let Ok(table) = u8::try_from(table) else { return form.refuse("a table of more than 8 bits") };
    Ok(Operation::Integer(Integer { op: IntegerOp::Logic3(table), ty: Int::U32, d, s }))
}

fn shift(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let left = form.opcode() == "shl";
    let ty = form.ty()?;
    if ty.bits() == 8 || !ty.integer() || (left && !ty.plain()) {
        return form.refuse("that type");
    }
    typed(form, if left { IntegerOp::Shl } else { IntegerOp::Shr }, ty, ty, &[ty, Type::U32])
}

fn funnel(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let left = form.chosen(&[("l", true), ("r", false)])?;
    let wrap = form.chosen(&[("clamp", false), ("wrap", true)])?;
    let ty = form.ty_of(&[Type::B32])?;
    plain(form, if left { IntegerOp::FunnelLeft { wrap } } else { IntegerOp::FunnelRight { wrap } }, ty, 3)
}

fn count(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let ty = form.ty_of(&BITS_WIDE)?;
    typed(form, if form.opcode() == "popc" { IntegerOp::Popc } else { IntegerOp::Clz }, ty, Type::U32, &[ty])
}

fn bfind(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let shift = form.take("shiftamt");
    let ty = form.ty_of(&WORDS)?;
    typed(form, IntegerOp::Bfind { shift }, ty, Type::U32, &[ty])
}

fn brev(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let ty = form.ty_of(&BITS_WIDE)?;
    plain(form, IntegerOp::Brev, ty, 1)
}

fn bfe(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let ty = form.ty_of(&WORDS)?;
    typed(form, IntegerOp::Bfe, ty, ty, &[ty, Type::U32, Type::U32])
}

fn bfi(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let ty = form.ty_of(&BITS_WIDE)?;
    typed(form, IntegerOp::Bfi, ty, ty, &[ty, ty, Type::U32, Type::U32])
}

fn fns(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    form.ty_of(&[Type::B32])?;
    typed(form, IntegerOp::Fns, Type::B32, Type::B32, &[Type::B32, Type::U32, Type::S32])
}

fn prmt(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let ty = form.ty_of(&[Type::B32])?;
    let modes = [
        ("f4e", PermuteMode::Forward4),
        ("b4e", PermuteMode::Backward4),
        ("rc8", PermuteMode::Replicate8),
        ("ecl", PermuteMode::EdgeLeft),
        ("ecr", PermuteMode::EdgeRight),
        ("rc16", PermuteMode::Replicate16),
    ];
    let mode = form.choice(&modes).unwrap_or(PermuteMode::Default);
    plain(form, IntegerOp::Permute(mode), ty, 3)
}

/// The types of two operands of packed parts.
fn packed(form: &mut Form<'_, '_>) -> Result<(bool, bool), Error> {
    let of = [Type::U32, Type::S32];
    Ok((form.ty_of(&of)? == Type::S32, form.ty_of(&of)? == Type::S32))
}

fn dp4a(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let (a_signed, b_signed) = packed(form)?;
    plain(form, IntegerOp::Dp4a { a_signed, b_signed }, Type::U32, 3)
}

fn dp2a(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let high = form.chosen(&[("lo", false), ("hi", true)])?;
    let (a_signed, b_signed) = packed(form)?;
    plain(form, IntegerOp::Dp2a { a_signed, b_signed, high }, Type::U32, 3)
}

/// Registers of a vector, all of one type.
pub fn registers(form: &mut Form<'_, '_>, index: usize, ty: Type) -> Result<Vec<Register>, Error> {
    let parts = form.vector(index)?;
    parts.iter().map(|part| form.source_of(part, ty)).collect()
}
