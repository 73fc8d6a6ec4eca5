//! Comparisons and selections (PTX ISA, Comparison and Selection Instructions, and `testp`).

use super::super::Error;
use super::super::instruction::{
    Combine, Compare, Compared, Comparison, Condition, FloatTest, FloatType, Operation, Set, SetTo,
};
use super::super::syntax::Operand;
use super::super::types::Type;
use super::Table;
use super::form::{Form, int};

pub const TABLE: Table = &[("setp", setp), ("set", set), ("selp", selp), ("slct", slct), ("testp", testp)];

/// The comparison and, with it, whether unsigned integers alone have it.
fn comparison(form: &mut Form<'_, '_>) -> Result<(Comparison, bool), Error> {
    form.chosen(&[
        ("eq", (Comparison::Eq, false)),
        ("ne", (Comparison::Ne, false)),
        ("lt", (Comparison::Lt, false)),
        ("le", (Comparison::Le, false)),
        ("gt", (Comparison::Gt, false)),
        ("ge", (Comparison::Ge, false)),
        ("lo", (Comparison::Lt, true)),
        ("ls", (Comparison::Le, true)),
        ("hi", (Comparison::Gt, true)),
        ("hs", (Comparison::Ge, true)),
        ("equ", (Comparison::Equ, false)),
        ("neu", (Comparison::Neu, false)),
        ("ltu", (Comparison::Ltu, false)),
        ("leu", (Comparison::Leu, false)),
        ("gtu", (Comparison::Gtu, false)),
        ("geu", (Comparison::Geu, false)),
        ("num", (Comparison::Num, false)),
        ("nan", (Comparison::Nan, false)),
    ])
}

/// The comparison of two operands, from the second one on; its type is given.
fn condition(form: &mut Form<'_, '_>, comparison: (Comparison, bool), ty: Type) -> Result<Condition, Error> {
    let combine = form.choice(&[("and", Combine::And), ("or", Combine::Or), ("xor", Combine::Xor)]);
    let ftz = form.take("ftz");
    let (comparison, unsigned_only) = comparison;
    let compared = match ty {
        Type::F16 => Compared::Float(FloatType::F16),
        Type::Bf16 => Compared::Float(FloatType::Bf16),
        Type::F16x2 => Compared::Float(FloatType::F16x2),
        Type::Bf16x2 => Compared::Float(FloatType::Bf16x2),
        Type::F32 => Compared::Float(FloatType::F32),
        Type::F64 => Compared::Float(FloatType::F64),
        _ => match int(ty) {
            Some(int) => Compared::Integer(int),
            None => return form.refuse("that type"),
        },
    };
    let ordered = matches!(comparison, Comparison::Lt | Comparison::Le | Comparison::Gt | Comparison::Ge);
    let equal = matches!(comparison, Comparison::Eq | Comparison::Ne);
    let fits = match compared {
        Compared::Integer(_) if ty.plain() => equal,
        Compared::Integer(_) if unsigned_only => ty.unsigned(),
        Compared::Integer(_) => ordered || equal,
        Compared::Float(_) => !unsigned_only,
    };
    if !fits {
        return form.refuse("that comparison of that type");
    }
    if ftz && !matches!(ty, Type::F32 | Type::F16 | Type::F16x2) {
        return form.refuse("the modifier .ftz with that type");
    }
    let (a, b) = (form.source(1, ty)?, form.source(2, ty)?);
    let combine = match combine {
        Some(combine) => {
            let (predicate, negated) = form.predicate(3)?;
            Some((combine, predicate, negated))
        }
        None => None,
    };
    Ok(Condition { comparison, ty: compared, ftz, combine, a, b })
}

fn setp(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let comparison = comparison(form)?;
    let ty = form.ty()?;
    let condition = condition(form, comparison, ty)?;
    let (d, other) = match form.operand(0)? {
        Operand::Pair(d, other) => (form.predicate_target_of(d)?, form.predicate_target_of(other)?),
        d => (form.predicate_target_of(d)?, None),
    };
    Ok(Operation::Compare(Compare { condition, d, other }))
}

fn set(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let comparison = comparison(form)?;
    let (result, ty) = (form.ty()?, form.ty()?);
    let packed = matches!(ty, Type::F16x2 | Type::Bf16x2);
    let to = match result {
        Type::F16x2 if packed => SetTo::F16x2,
        Type::Bf16x2 if packed => SetTo::Bf16x2,
        _ if packed => return form.refuse("that type of its result"),
        Type::U32 | Type::S32 => SetTo::Ones32,
        Type::F32 => SetTo::F32,
        Type::U16 | Type::S16 => SetTo::Ones16,
        Type::F16 => SetTo::F16,
        Type::Bf16 => SetTo::Bf16,
        _ => return form.refuse("that type of its result"),
    };
    let d = form.target(0, result)?;
    let condition = condition(form, comparison, ty)?;
    Ok(Operation::Set(Set { condition, to, d }))
}

fn selp(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let ty = form.ty()?;
    let Some(width) = ty.width() else { return form.refuse("that type") };
    let (d, a, b) = (form.target(0, ty)?, form.source(1, ty)?, form.source(2, ty)?);
    let (p, negated) = form.predicate(3)?;
    Ok(Operation::Select { width, d, a, b, p, negated })
}

fn slct(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let ftz = form.take("ftz");
    let ty = form.ty()?;
    let by = form.ty_of(&[Type::S32, Type::F32])?;
    let Some(width) = ty.width() else { return form.refuse("that type") };
    if ftz && by != Type::F32 {
        return form.refuse("the modifier .ftz with that type");
    }
    let (d, a, b) = (form.target(0, ty)?, form.source(1, ty)?, form.source(2, ty)?);
    let c = form.source(3, by)?;
    Ok(Operation::SelectBySign { width, float: by == Type::F32, ftz, d, a, b, c })
}

fn testp(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let test = form.chosen(&[
        ("finite", FloatTest::Finite),
        ("infinite", FloatTest::Infinite),
        ("number", FloatTest::Number),
        ("notanumber", FloatTest::NotANumber),
        ("normal", FloatTest::Normal),
        ("subnormal", FloatTest::Subnormal),
    ])?;
    let ty = form.ty_of(&[Type::F32, Type::F64])?;
    let (d, a) = (form.predicate_target(0)?, form.source(1, ty)?);
    Ok(Operation::TestFloat { test, double: ty == Type::F64, d, a })
}
