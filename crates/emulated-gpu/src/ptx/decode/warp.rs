//! What lanes of a warp do together (PTX ISA, Parallel Synchronization and Communication Instructions). The forms
//! without `.sync` went with sm_70.

use super::super::Error;
use super::super::instruction::{Operation, ReduceOp, Shuffle, ShuffleMode, Vote};
use super::super::syntax::Operand;
use super::super::types::Type;
use super::Table;
use super::form::Form;

pub const TABLE: Table =
    &[("shfl", shfl), ("vote", vote), ("match", match_lanes), ("redux", redux), ("activemask", activemask)];

fn sync(form: &mut Form<'_, '_>) -> Result<(), Error> {
    if form.take("sync") {
        Ok(())
    } else {
        form.refuse("a form without .sync, which sm_70 and later do not have")
    }
}

fn shfl(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    sync(form)?;
    let mode = form.chosen(&[
        ("up", ShuffleMode::Up),
        ("down", ShuffleMode::Down),
        ("bfly", ShuffleMode::Butterfly),
        ("idx", ShuffleMode::Index),
    ])?;
    form.ty_of(&[Type::B32])?;
    let (d, p) = match form.operand(0)? {
        Operand::Pair(d, p) => (form.target_of(d, Type::B32)?, form.predicate_target_of(p)?),
        d => (form.target_of(d, Type::B32)?, None),
    };
    let a = form.source(1, Type::B32)?;
    let (b, c, mask) = (form.source(2, Type::B32)?, form.source(3, Type::B32)?, form.source(4, Type::B32)?);
    Ok(Operation::Shuffle(Shuffle { mode, d, p, a, b, c, mask }))
}

fn vote(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    sync(form)?;
    if form.take("ballot") {
        form.ty_of(&[Type::B32])?;
        let d = form.target(0, Type::B32)?;
        let (a, negated) = form.predicate(1)?;
        return Ok(Operation::Ballot { d, a, negated, mask: form.source(2, Type::B32)? });
    }
    let kind = form.chosen(&[("all", Vote::All), ("any", Vote::Any), ("uni", Vote::Uniform)])?;
    form.ty_of(&[Type::Pred])?;
    let d = form.predicate_target(0)?;
    let (a, negated) = form.predicate(1)?;
    Ok(Operation::Vote { kind, d, a, negated, mask: form.source(2, Type::B32)? })
}

fn match_lanes(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    sync(form)?;
    let all = form.chosen(&[("any", false), ("all", true)])?;
    let ty = form.ty_of(&[Type::B32, Type::B64])?;
    let Some(width) = ty.width() else { return form.refuse("that type") };
    let (d, p) = match form.operand(0)? {
        Operand::Pair(d, p) if all => (form.target_of(d, Type::B32)?, form.predicate_target_of(p)?),
        d => (form.target_of(d, Type::B32)?, None),
    };
    let (a, mask) = (form.source(1, ty)?, form.source(2, Type::B32)?);
    Ok(Operation::Match { width, all, d, p, a, mask })
}

fn redux(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    sync(form)?;
    let op = form.chosen(&[
        ("add", ReduceOp::Add),
        ("min", ReduceOp::Min),
        ("max", ReduceOp::Max),
        ("and", ReduceOp::And),
        ("or", ReduceOp::Or),
        ("xor", ReduceOp::Xor),
    ])?;
    let ty = match op {
        ReduceOp::Add | ReduceOp::Min | ReduceOp::Max => form.ty_of(&[Type::U32, Type::S32])?,
        _ => form.ty_of(&[Type::B32])?,
    };
    let (d, a, mask) = (form.target(0, ty)?, form.source(1, ty)?, form.source(2, Type::B32)?);
    Ok(Operation::Reduce { op, signed: ty.signed(), d, a, mask })
}

fn activemask(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    form.ty_of(&[Type::B32])?;
    Ok(Operation::ActiveMask { d: form.target(0, Type::B32)? })
}
