//! Written instructions to executable ones. Each opcode has a decoder in the table of its family, which takes the
//! modifiers that it knows; one that is left over is an error.

mod arithmetic;
mod asynchronous;
mod compare;
mod control;
mod convert;
mod float;
mod form;
mod matrix;
mod memory;
mod moves;
mod warp;

use super::Error;
use super::builder::Builder;
use super::instruction::Operation;
use super::syntax::{Operand, Written};
use form::Form;

type Decoder = fn(&mut Form<'_, '_>) -> Result<Operation, Error>;
type Table = &'static [(&'static str, Decoder)];

const TABLES: [Table; 10] = [
    arithmetic::TABLE,
    float::TABLE,
    compare::TABLE,
    convert::TABLE,
    moves::TABLE,
    memory::TABLE,
    warp::TABLE,
    matrix::TABLE,
    asynchronous::TABLE,
    control::TABLE,
];

/// All opcodes that are executed, without modifiers.
pub fn opcodes() -> impl Iterator<Item = &'static str> {
    let calls = ["bra", "call"].into_iter();
    TABLES.iter().flat_map(|table| table.iter().map(|(opcode, _)| *opcode)).chain(calls)
}

/// What a written instruction does.
pub fn operation(written: &Written, builder: &mut Builder<'_>) -> Result<Operation, Error> {
    let opcode = written.opcode.as_str();
    let found = TABLES.iter().flat_map(|table| table.iter()).find(|(known, _)| *known == opcode);
    let Some((_, decoder)) = found else { return refuse(written, "an unknown opcode") };
    let mut form = Form::new(written, builder);
    let operation = decoder(&mut form)?;
    form.finish()?;
    Ok(operation)
}

/// The label that a branch names.
pub fn branch_label(written: &Written) -> Result<String, Error> {
    match written.operands.as_slice() {
        [Operand::Name(label)] if written.modifiers.iter().all(|modifier| modifier == "uni") => {
            Ok(label.clone())
        }
        _ => refuse(written, "an unknown form"),
    }
}

/// Refuses an instruction that has modifiers other than `uni`, or operands.
pub fn no_operands(written: &Written) -> Result<(), Error> {
    if written.operands.is_empty() && written.modifiers.iter().all(|modifier| modifier == "uni") {
        return Ok(());
    }
    refuse(written, "an unknown form")
}

fn refuse<T>(written: &Written, why: &str) -> Result<T, Error> {
    Err(Error::Instruction { line: written.line, instruction: written.text.clone(), why: why.to_owned() })
}
