//! Floating-point numbers (PTX ISA, Floating-Point and Half-Precision Floating-Point Instructions).

use super::super::Error;
use super::super::instruction::{Float, FloatOp, FloatType, Operation, Rounding};
use super::super::types::Type;
use super::Table;
use super::form::Form;

pub const TABLE: Table = &[
    ("fma", fma),
    ("rcp", reciprocal),
    ("sqrt", reciprocal),
    ("rsqrt", rsqrt),
    ("sin", approximate),
    ("cos", approximate),
    ("lg2", approximate),
    ("ex2", ex2),
    ("tanh", tanh),
    ("copysign", copysign),
];

const ALL: [Type; 6] = [Type::F16, Type::Bf16, Type::F16x2, Type::Bf16x2, Type::F32, Type::F64];
const PLAIN: [Type; 2] = [Type::F32, Type::F64];

fn kind(form: &Form<'_, '_>, ty: Type) -> Result<FloatType, Error> {
    Ok(match ty {
        Type::F16 => FloatType::F16,
        Type::Bf16 => FloatType::Bf16,
        Type::F16x2 => FloatType::F16x2,
        Type::Bf16x2 => FloatType::Bf16x2,
        Type::F32 => FloatType::F32,
        Type::F64 => FloatType::F64,
        _ => return form.refuse("that type"),
    })
}

/// `ftz` is a modifier of single precision and of halves in f16 alone.
fn ftz(form: &mut Form<'_, '_>, ty: Type) -> Result<bool, Error> {
    let ftz = form.take("ftz");
    if ftz && !matches!(ty, Type::F32 | Type::F16 | Type::F16x2) {
        return form.refuse("the modifier .ftz with that type");
    }
    Ok(ftz)
}

fn operation(form: &mut Form<'_, '_>, op: FloatOp, ty: Type, sources: usize) -> Result<Float, Error> {
    let kind = kind(form, ty)?;
    let d = form.target(0, ty)?;
    let mut s = [d; 3];
    for (index, register) in s.iter_mut().enumerate().take(sources) {
        *register = form.source(index + 1, ty)?;
    }
    let (rounding, ftz) = (Rounding::Nearest, ftz(form, ty)?);
    Ok(Float { op, ty: kind, rounding, ftz, sat: false, nan: false, xorsign_abs: false, relu: false, d, s })
}

/// A rounding other than to the nearest: halves have no other.
fn rounded(form: &mut Form<'_, '_>, ty: Type) -> Result<Rounding, Error> {
    match (form.rounding(), ty) {
        (None | Some(Rounding::Nearest), _) => Ok(Rounding::Nearest),
        (Some(Rounding::NearestAway), _) => form.refuse("the rounding .rna"),
        (Some(other), Type::F32 | Type::F64) => Ok(other),
        _ => form.refuse("a rounding other than .rn with that type"),
    }
}

/// `sat` is no modifier of double precision, nor of halves in bf16.
fn saturated(form: &Form<'_, '_>, sat: bool, ty: Type) -> Result<bool, Error> {
    if sat && matches!(ty, Type::F64 | Type::Bf16 | Type::Bf16x2) {
        return form.refuse("the modifier .sat with that type");
    }
    Ok(sat)
}

/// `add` and `sub`.
pub fn add(form: &mut Form<'_, '_>, ty: Type, sat: bool) -> Result<Operation, Error> {
    let op = if form.opcode() == "add" { FloatOp::Add } else { FloatOp::Sub };
    let rounding = rounded(form, ty)?;
    let sat = saturated(form, sat, ty)?;
    Ok(Operation::Float(Float { rounding, sat, ..operation(form, op, ty, 2)? }))
}

pub fn mul(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let sat = form.take("sat");
    let ty = form.ty_of(&ALL)?;
    let rounding = rounded(form, ty)?;
    let sat = saturated(form, sat, ty)?;
    Ok(Operation::Float(Float { rounding, sat, ..operation(form, FloatOp::Mul, ty, 2)? }))
}

/// `fma`, and `mad` of floating-point numbers, which is the same since sm_20.
pub fn fma(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let (sat, relu) = (form.take("sat"), form.take("relu"));
    let ty = form.ty_of(&ALL)?;
    let rounding = match (form.rounding(), ty) {
        (Some(Rounding::Nearest), _) => Rounding::Nearest,
        (Some(rounding), Type::F32) if rounding != Rounding::NearestAway => rounding,
        _ => return form.refuse("its rounding"),
    };
    let sat = saturated(form, sat, ty)?;
    if relu && PLAIN.contains(&ty) {
        return form.refuse("the modifier .relu with that type");
    }
    Ok(Operation::Float(Float { rounding, sat, relu, ..operation(form, FloatOp::Fma, ty, 3)? }))
}

/// `div`.
pub fn div(form: &mut Form<'_, '_>, ty: Type) -> Result<Operation, Error> {
    if !PLAIN.contains(&ty) {
        return form.refuse("that type");
    }
    if ty == Type::F32 && form.take("approx") {
        return Ok(Operation::Float(operation(form, FloatOp::DivApprox, ty, 2)?));
    }
    let full = ty == Type::F32 && form.take("full");
    let rounding = match form.rounding() {
        Some(rounding) if !full && rounding != Rounding::NearestAway => rounding,
        None if full => Rounding::Nearest,
        _ => return form.refuse("its rounding"),
    };
    Ok(Operation::Float(Float { rounding, ..operation(form, FloatOp::Div, ty, 2)? }))
}

/// `abs` and `neg`.
pub fn sign(form: &mut Form<'_, '_>, ty: Type) -> Result<Operation, Error> {
    let op = if form.opcode() == "abs" { FloatOp::Abs } else { FloatOp::Neg };
    Ok(Operation::Float(operation(form, op, ty, 1)?))
}

/// `min` and `max` of two.
pub fn min(form: &mut Form<'_, '_>, ty: Type) -> Result<Operation, Error> {
    let op = if form.opcode() == "min" { FloatOp::Min } else { FloatOp::Max };
    let (nan, xorsign) = (form.take("NaN"), form.take("xorsign"));
    if xorsign != form.take("abs") || ((nan || xorsign) && ty == Type::F64) {
        return form.refuse("its modifiers");
    }
    Ok(Operation::Float(Float { nan, xorsign_abs: xorsign, ..operation(form, op, ty, 2)? }))
}

/// `rcp` and `sqrt`.
fn reciprocal(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let ty = form.ty_of(&PLAIN)?;
    let root = form.opcode() == "sqrt";
    let op = if root { FloatOp::Sqrt } else { FloatOp::Rcp };
    if form.take("approx") {
        // Of double precision only the gross approximation exists, whose name has .ftz.
        return match (ty, root) {
            (Type::F32, _) => Ok(Operation::Float(operation(form, op, ty, 1)?)),
            (_, false) if form.take("ftz") => {
                Ok(Operation::Float(operation(form, FloatOp::RcpGross, ty, 1)?))
            }
            _ => form.refuse("that form"),
        };
    }
    let Some(rounding) = form.rounding().filter(|rounding| *rounding != Rounding::NearestAway) else {
        return form.refuse("its rounding");
    };
    Ok(Operation::Float(Float { rounding, ..operation(form, op, ty, 1)? }))
}

fn rsqrt(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    if !form.take("approx") {
        return form.refuse("a form that is not .approx");
    }
    let ty = form.ty_of(&PLAIN)?;
    if ty == Type::F64 {
        let op = if form.take("ftz") { FloatOp::RsqrtGross } else { FloatOp::Rsqrt };
        return Ok(Operation::Float(operation(form, op, ty, 1)?));
    }
    Ok(Operation::Float(operation(form, FloatOp::Rsqrt, ty, 1)?))
}

/// `sin`, `cos` and `lg2`.
fn approximate(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    if !form.take("approx") {
        return form.refuse("a form that is not .approx");
    }
    let op = match form.opcode() {
        "sin" => FloatOp::Sin,
        "cos" => FloatOp::Cos,
        _ => FloatOp::Lg2,
    };
    let ty = form.ty_of(&[Type::F32])?;
    Ok(Operation::Float(operation(form, op, ty, 1)?))
}

fn ex2(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    if !form.take("approx") {
        return form.refuse("a form that is not .approx");
    }
    let ty = form.ty_of(&[Type::F32, Type::F16, Type::F16x2, Type::Bf16, Type::Bf16x2])?;
    let halves = matches!(ty, Type::Bf16 | Type::Bf16x2);
    // The form in bf16 is always .ftz, which the operation takes as a modifier of bf16 for that reason.
    if halves && !form.take("ftz") {
        return form.refuse("a form that is not .ftz");
    }
    if matches!(ty, Type::F16 | Type::F16x2) && form.take("ftz") {
        return form.refuse("the modifier .ftz with that type");
    }
    let float = operation(form, FloatOp::Ex2, ty, 1)?;
    Ok(Operation::Float(Float { ftz: float.ftz || halves, ..float }))
}

fn tanh(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    if !form.take("approx") {
        return form.refuse("a form that is not .approx");
    }
    let ty = form.ty_of(&[Type::F32, Type::F16, Type::F16x2, Type::Bf16, Type::Bf16x2])?;
    Ok(Operation::Float(operation(form, FloatOp::Tanh, ty, 1)?))
}

fn copysign(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let ty = form.ty_of(&PLAIN)?;
    Ok(Operation::Float(operation(form, FloatOp::CopySign, ty, 2)?))
}
