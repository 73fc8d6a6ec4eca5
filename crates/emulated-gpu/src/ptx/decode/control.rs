//! Ends, traps and barriers (PTX ISA, Control Flow, Parallel Synchronization and Miscellaneous Instructions).
//! Branches, calls and returns of called functions are decoded where kernels are built.

use super::super::Error;
use super::super::instruction::{Barrier, BarrierKind, Operation};
use super::super::types::Type;
use super::Table;
use super::form::Form;

pub const TABLE: Table = &[
    ("ret", exit),
    ("exit", exit),
    ("trap", trap),
    ("brkpt", trap),
    ("nanosleep", nanosleep),
    ("bar", bar),
    ("barrier", bar),
];

fn exit(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    form.take("uni");
    Ok(Operation::Exit)
}

fn trap(_: &mut Form<'_, '_>) -> Result<Operation, Error> {
    Ok(Operation::Trap)
}

fn nanosleep(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    form.ty_of(&[Type::U32])?;
    form.source(0, Type::U32)?;
    Ok(Operation::Nothing)
}

#[derive(Clone, Copy)]
enum Kind {
    Sync,
    Arrive,
    Reduce,
}

fn bar(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    if form.opcode() == "bar" && form.take("warp") {
        if !form.take("sync") {
            return form.refuse("a form without .sync");
        }
        return Ok(Operation::WarpBarrier { mask: form.source(0, Type::B32)? });
    }
    form.take("cta");
    let kind = form.chosen(&[("sync", Kind::Sync), ("arrive", Kind::Arrive), ("red", Kind::Reduce)])?;
    let aligned = form.take("aligned") || form.opcode() == "bar";
    let (at, counts) = match kind {
        Kind::Sync => (0, form.count() > 1),
        Kind::Arrive => (0, true),
        Kind::Reduce => (1, form.count() > 3),
    };
    let id = form.source(at, Type::U32)?;
    let count = if counts { Some(form.source(at + 1, Type::U32)?) } else { None };
    let kind = match kind {
        Kind::Sync => BarrierKind::Sync,
        Kind::Arrive => BarrierKind::Arrive,
        Kind::Reduce => {
            let of = at + 1 + usize::from(counts);
            match form.choice(&[("popc", None), ("and", Some(false)), ("or", Some(true))]) {
                Some(None) => {
                    form.ty_of(&[Type::U32])?;
                    let d = form.target(0, Type::U32)?;
                    let (a, negated) = form.predicate(of)?;
                    BarrierKind::Count { d, a, negated }
                }
                Some(Some(any)) => {
                    form.ty_of(&[Type::Pred])?;
                    let d = form.predicate_target(0)?;
                    let (a, negated) = form.predicate(of)?;
                    BarrierKind::Test { any, d, a, negated }
                }
                None => return form.refuse("a reduction that is missing"),
            }
        }
    };
    Ok(Operation::Barrier(Barrier { id, count, aligned, kind }))
}
