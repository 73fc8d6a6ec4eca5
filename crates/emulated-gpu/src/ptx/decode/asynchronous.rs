//! Copies from global to shared memory that a thread does not wait for (PTX ISA, Asynchronous Copy).

use super::super::Error;
use super::super::instruction::{Operation, Space};
use super::super::types::Type;
use super::Table;
use super::form::Form;

pub const TABLE: Table = &[("cp", cp)];

fn cp(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    if !form.take("async") {
        return form.refuse("a copy that is not .async");
    }
    if form.take("commit_group") {
        return Ok(Operation::AsyncCommit);
    }
    if form.take("wait_all") {
        return Ok(Operation::AsyncWait(None));
    }
    if form.take("wait_group") {
        let pending = form.immediate(0)?;
        return match u32::try_from(pending) {
            Ok(pending) => Ok(Operation::AsyncWait(Some(pending))),
            Err(_) => form.refuse("that many groups"),
        };
    }
    let all_levels = form.chosen(&[("ca", true), ("cg", false)])?;
    let shared = form.take("shared") || form.take("shared::cta");
    if !shared || !form.take("global") {
        return form.refuse("a copy other than from global to shared memory");
    }
    form.choice(&[("L2::64B", ()), ("L2::128B", ()), ("L2::256B", ())]);
    let (shared, _) = form.address(0, Space::Shared)?;
    let (global, _) = form.address(1, Space::Global)?;
    let bytes = match (form.immediate(2)?, all_levels) {
        (16, _) => 16,
        (8, true) => 8,
        (4, true) => 4,
        _ => return form.refuse("a copy of that size"),
    };
    let given = if form.count() > 3 { Some(form.source(3, Type::U32)?) } else { None };
    Ok(Operation::AsyncCopy { shared, global, bytes, given })
}
