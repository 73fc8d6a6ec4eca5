//! Loads, stores, atomic operations and what orders them (PTX ISA, Data Movement and Parallel Synchronization
//! Instructions).

use super::super::Error;
use super::super::instruction::{Atomic, AtomicOp, Elements, Load, Operation, Space, Store};
use super::super::types::{Type, Width};
use super::Table;
use super::form::Form;

pub const TABLE: Table = &[
    ("ld", load),
    ("ldu", load),
    ("st", store),
    ("atom", atomic),
    ("red", atomic),
    ("membar", membar),
    ("fence", fence),
    ("prefetch", prefetch),
    ("prefetchu", prefetch),
];

fn space(form: &mut Form<'_, '_>) -> Space {
    form.choice(&[
        ("global", Space::Global),
        ("const", Space::Const),
        ("shared", Space::Shared),
        ("shared::cta", Space::Shared),
        ("local", Space::Local),
        ("param", Space::Param),
        ("param::entry", Space::Param),
        ("param::func", Space::Param),
    ])
    .unwrap_or(Space::Generic)
}

/// Whether the access is stronger than a plain one; takes its scope too. All threads see memory alike here, whatever
/// the scope.
fn strong(form: &mut Form<'_, '_>, ordering: &str) -> bool {
    if form.take("volatile") {
        return true;
    }
    let strong = form.take("relaxed") || form.take(ordering);
    if strong {
        scope(form);
    } else {
        form.take("weak");
    }
    strong
}

fn scope(form: &mut Form<'_, '_>) -> bool {
    form.choice(&[("cta", ()), ("gpu", ()), ("sys", ()), ("cluster", ())]).is_some()
}

/// Takes what only advises the caches.
fn caches(form: &mut Form<'_, '_>) {
    let advice = [
        "nc",
        "ca",
        "cg",
        "cs",
        "lu",
        "cv",
        "wb",
        "wt",
        "L1::evict_normal",
        "L1::evict_unchanged",
        "L1::evict_first",
        "L1::evict_last",
        "L1::no_allocate",
        "L2::evict_first",
        "L2::evict_last",
        "L2::evict_normal",
        "L2::64B",
        "L2::128B",
        "L2::256B",
    ];
    for advice in advice {
        form.take(advice);
    }
}

/// The type of an element in memory, and how many.
fn element(form: &mut Form<'_, '_>) -> Result<(Type, u8), Error> {
    let count = form.choice(&[("v2", 2), ("v4", 4)]).unwrap_or(1);
    let ty = form.ty()?;
    if matches!(ty, Type::Pred | Type::F16x2 | Type::Bf16x2 | Type::Tf32 | Type::F16 | Type::Bf16)
        || ty.bytes() * usize::from(count) > 16
    {
        return form.refuse("that type");
    }
    Ok((ty, count))
}

fn load(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let strong = strong(form, "acquire");
    let space = space(form);
    caches(form);
    let (ty, count) = element(form)?;
    let parts = form.vector(0)?;
    if parts.len() != usize::from(count) {
        return form.refuse("another number of registers than of elements");
    }
    let (mut registers, mut wide) = ([None; 4], None);
    for (register, part) in registers.iter_mut().zip(parts) {
        if let Some((found, width)) = form.wide_target_of(part, ty)? {
            if wide.is_some_and(|wide| wide != width) {
                return form.refuse("registers of different widths");
            }
            (*register, wide) = (Some(found), Some(width));
        }
    }
    let (address, space) = form.address(1, space)?;
    let width = wide.unwrap_or(Width::W32);
    let elements = Elements { bytes: ty.bytes() as u8, signed: ty.signed(), count, registers, width };
    Ok(Operation::Load(Load { space, strong, address, elements }))
}

fn store(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let strong = strong(form, "release");
    let space = space(form);
    caches(form);
    let (ty, count) = element(form)?;
    let (address, space) = form.address(0, space)?;
    if matches!(space, Space::Const | Space::Param) {
        return form.refuse("a store to a state space that can only be read");
    }
    let parts = form.vector(1)?;
    if parts.len() != usize::from(count) {
        return form.refuse("another number of registers than of elements");
    }
    let mut registers = [None; 4];
    for (register, part) in registers.iter_mut().zip(parts) {
        *register = Some(form.wide_source_of(part, ty)?);
    }
    let elements =
        Elements { bytes: ty.bytes() as u8, signed: ty.signed(), count, registers, width: Width::W64 };
    Ok(Operation::Store(Store { space, strong, address, elements }))
}

fn atomic(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let result = form.opcode() == "atom";
    form.choice(&[("relaxed", ()), ("acquire", ()), ("release", ()), ("acq_rel", ())]);
    scope(form);
    let space = space(form);
    let op = form.chosen(&[
        ("add", AtomicOp::Add),
        ("exch", AtomicOp::Exchange),
        ("cas", AtomicOp::CompareAndSwap),
        ("and", AtomicOp::And),
        ("or", AtomicOp::Or),
        ("xor", AtomicOp::Xor),
        ("min", AtomicOp::Min),
        ("max", AtomicOp::Max),
        ("inc", AtomicOp::Increment),
        ("dec", AtomicOp::Decrement),
    ])?;
    let noftz = form.take("noftz");
    let ty = form.ty()?;
    let halves = matches!(ty, Type::F16 | Type::F16x2 | Type::Bf16 | Type::Bf16x2);
    let fits = match op {
        AtomicOp::Add => {
            halves || matches!(ty, Type::U32 | Type::S32 | Type::U64 | Type::S64 | Type::F32 | Type::F64)
        }
        AtomicOp::Exchange => result && matches!(ty, Type::B32 | Type::B64),
        AtomicOp::CompareAndSwap => result && matches!(ty, Type::B16 | Type::B32 | Type::B64),
        AtomicOp::And | AtomicOp::Or | AtomicOp::Xor => matches!(ty, Type::B32 | Type::B64),
        AtomicOp::Min | AtomicOp::Max => matches!(ty, Type::U32 | Type::S32 | Type::U64 | Type::S64),
        AtomicOp::Increment | AtomicOp::Decrement => ty == Type::U32,
    };
    if !fits || noftz != halves {
        return form.refuse("that operation on that type");
    }
    if !matches!(space, Space::Generic | Space::Global | Space::Shared) {
        return form.refuse("atomic operations in that state space");
    }
    let at = usize::from(result);
    let d = if result { Some(form.target(0, ty)?) } else { None };
    let (address, space) = form.address(at, space)?;
    let b = form.source(at + 1, ty)?;
    let c = if op == AtomicOp::CompareAndSwap { form.source(at + 2, ty)? } else { b };
    Ok(Operation::Atomic(Atomic { space, op, ty, d, address, b, c }))
}

fn membar(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    form.chosen(&[("cta", ()), ("gl", ()), ("sys", ())])?;
    Ok(Operation::Nothing)
}

fn fence(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    form.choice(&[("sc", ()), ("acq_rel", ()), ("acquire", ()), ("release", ())]);
    if !scope(form) {
        return form.refuse("a fence without a scope");
    }
    Ok(Operation::Nothing)
}

fn prefetch(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let space = space(form);
    form.chosen(&[("L1", ()), ("L2", ()), ("L2::evict_last", ()), ("L2::evict_normal", ())])?;
    form.address(0, space)?;
    Ok(Operation::Nothing)
}
