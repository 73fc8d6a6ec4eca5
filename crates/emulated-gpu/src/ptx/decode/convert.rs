//! `cvt` (PTX ISA, Data Movement and Conversion Instructions).

use super::super::Error;
use super::super::instruction::{Convert, Operation, Rounding};
use super::super::types::Type;
use super::Table;
use super::form::Form;

pub const TABLE: Table = &[("cvt", cvt)];

fn cvt(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let (ftz, sat, relu) = (form.take("ftz"), form.take("sat"), form.take("relu"));
    let integral = form.choice(&[
        ("rni", Rounding::Nearest),
        ("rzi", Rounding::Zero),
        ("rmi", Rounding::Down),
        ("rpi", Rounding::Up),
    ]);
    let rounding = form.rounding();
    let (to, from) = (form.ty()?, form.ty()?);
    if to == Type::Pred || from == Type::Pred || (integral.is_some() && rounding.is_some()) {
        return form.refuse("that form");
    }
    if matches!(to, Type::F16x2 | Type::Bf16x2) {
        return pair(form, to, from, rounding, relu, ftz || sat || integral.is_some());
    }
    if relu && !(from == Type::F32 && matches!(to, Type::F16 | Type::Bf16)) {
        return form.refuse("the modifier .relu with that type");
    }
    if ftz && from != Type::F32 && to != Type::F32 {
        return form.refuse("the modifier .ftz with that type");
    }
    let rounding = match (from.float(), to.float()) {
        _ if to == Type::Tf32 || from == Type::Tf32 => {
            if to != Type::Tf32 || from != Type::F32 || rounding != Some(Rounding::NearestAway) || ftz || sat
            {
                return form.refuse("that form");
            }
            Rounding::NearestAway
        }
        (false, false) if integral.is_none() && rounding.is_none() => Rounding::Nearest,
        (true, false) => match integral {
            Some(rounding) if rounding_is_plain(rounding) => rounding,
            _ => return form.refuse("its rounding"),
        },
        (false, true) => match rounding {
            Some(rounding) if rounding_is_plain(rounding) && integral.is_none() => rounding,
            _ => return form.refuse("its rounding"),
        },
        (true, true) if narrower(to, from) => match rounding {
            Some(rounding) if rounding_is_plain(rounding) => rounding,
            _ => return form.refuse("its rounding"),
        },
        // To the same type a number may be rounded to an integral one; to a wider one it is exact.
        (true, true) => match (integral, rounding) {
            (Some(rounding), None) if from == to => rounding,
            (None, None) => Rounding::Nearest,
            _ => return form.refuse("its rounding"),
        },
        _ => return form.refuse("that form"),
    };
    if to == Type::Bf16 && !from.float() || from == Type::Bf16 && !to.float() {
        return form.refuse("integers and bf16, which sm_80 does not convert");
    }
    if sat && matches!(to, Type::Bf16 | Type::B8 | Type::B16 | Type::B32 | Type::B64) {
        return form.refuse("the modifier .sat with that type");
    }
    let (d, width) = form.wide_target(0, to)?;
    let s = form.wide_source(1, from)?;
    let integral = integral.is_some() && to.float();
    Ok(Operation::Convert(Convert { to, from, rounding, integral, ftz, sat, relu, d, width, s }))
}

/// Whether `to` holds fewer numbers than `from`; f16 and bf16 hold different ones.
fn narrower(to: Type, from: Type) -> bool {
    to != from && (to.bits() < from.bits() || (to.bits() == 16 && from.bits() == 16))
}

fn rounding_is_plain(rounding: Rounding) -> bool {
    rounding != Rounding::NearestAway
}

/// `cvt.rn.bf16x2.f32 d, a, b`.
fn pair(
    form: &mut Form<'_, '_>,
    to: Type,
    from: Type,
    rounding: Option<Rounding>,
    relu: bool,
    others: bool,
) -> Result<Operation, Error> {
    let toward_zero = match rounding {
        Some(Rounding::Nearest) => false,
        Some(Rounding::Zero) => true,
        _ => return form.refuse("its rounding"),
    };
    if from != Type::F32 || others {
        return form.refuse("that form");
    }
    let (d, a, b) = (form.target(0, to)?, form.source(1, from)?, form.source(2, from)?);
    Ok(Operation::ConvertPair { bf16: to == Type::Bf16x2, toward_zero, relu, d, a, b })
}
