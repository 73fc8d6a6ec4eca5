//! Moves, and addresses of one state space to those of another (PTX ISA, Data Movement and Conversion Instructions).

use super::super::Error;
use super::super::instruction::{Operation, Space};
use super::super::syntax::Operand;
use super::super::types::{Type, Width};
use super::Table;
use super::arithmetic::predicate_move;
use super::form::Form;

pub const TABLE: Table = &[("mov", mov), ("cvta", cvta), ("isspacep", isspacep)];

fn mov(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let ty = form.ty()?;
    if ty == Type::Pred {
        let d = form.predicate_target(0)?;
        return Ok(predicate_move(d, form.predicate(1)?));
    }
    let Some(width) = ty.width() else { return form.refuse("that type") };
    match (form.operand(0)?, form.operand(1)?) {
        (Operand::Vector(parts), _) if ty.plain() => {
            let part = part(form, width, parts.len())?;
            let s = form.source(1, ty)?;
            let mut d = Vec::new();
            for operand in parts {
                let target = form.wide_target_of(operand, part_type(part))?;
                if target.is_some_and(|(_, width)| width != part) {
                    return form.refuse("a part of another width");
                }
                d.push(target.map(|(register, _)| register));
            }
            Ok(Operation::Unpack { part, d: d.into(), s })
        }
        (_, Operand::Vector(parts)) if ty.plain() => {
            let part = part(form, width, parts.len())?;
            let d = form.target(0, ty)?;
            let s: Result<Vec<_>, Error> =
                parts.iter().map(|operand| form.source_of(operand, part_type(part))).collect();
            Ok(Operation::Pack { part, d, s: s?.into() })
        }
        _ => {
            let (d, s) = (form.target(0, ty)?, form.source(1, ty)?);
            Ok(Operation::Move { width, d, s })
        }
    }
}

fn part(form: &Form<'_, '_>, width: Width, parts: usize) -> Result<Width, Error> {
    match (width, parts) {
        (Width::W32, 2) | (Width::W64, 4) => Ok(Width::W16),
        (Width::W64, 2) => Ok(Width::W32),
        _ => form.refuse("that many parts"),
    }
}

fn part_type(width: Width) -> Type {
    if width == Width::W16 { Type::B16 } else { Type::B32 }
}

fn space(form: &mut Form<'_, '_>) -> Result<Space, Error> {
    form.chosen(&[
        ("global", Space::Global),
        ("const", Space::Const),
        ("shared", Space::Shared),
        ("shared::cta", Space::Shared),
        ("local", Space::Local),
        ("param", Space::Param),
    ])
}

fn cvta(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let to = form.take("to");
    let space = space(form)?;
    // Generic addresses are those of this process, which 32 bits do not hold.
    let ty = form.ty_of(&[Type::U64])?;
    let (d, s) = (form.target(0, ty)?, form.source(1, ty)?);
    Ok(if to { Operation::FromGeneric { space, d, s } } else { Operation::ToGeneric { space, d, s } })
}

fn isspacep(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let space = space(form)?;
    let (d, s) = (form.predicate_target(0)?, form.source(1, Type::U64)?);
    Ok(Operation::IsSpace { space, d, s })
}
