//! Products of matrices by a warp (PTX ISA, Warp Level Matrix Instructions).

use super::super::Error;
use super::super::instruction::{Fragment, MatrixType, Mma, Operation, Space, WmmaMemory, WmmaMma};
use super::super::types::{Type, Width};
use super::Table;
use super::arithmetic::registers;
use super::form::Form;

pub const TABLE: Table = &[("mma", mma), ("ldmatrix", ldmatrix), ("wmma", wmma)];

fn aligned(form: &mut Form<'_, '_>) -> Result<(), Error> {
    if form.take("sync") && form.take("aligned") {
        Ok(())
    } else {
        form.refuse("a form without .sync.aligned")
    }
}

fn matrix_type(form: &mut Form<'_, '_>) -> Result<MatrixType, Error> {
    Ok(match form.ty()? {
        Type::F16 => MatrixType::F16,
        Type::Bf16 => MatrixType::Bf16,
        Type::Tf32 => MatrixType::Tf32,
        Type::S8 => MatrixType::S8,
        Type::U8 => MatrixType::U8,
        Type::S32 => MatrixType::S32,
        Type::F32 => MatrixType::F32,
        _ => return form.refuse("matrices of that type"),
    })
}

/// Elements in a register of 32 bits.
fn packed(ty: MatrixType) -> usize {
    match ty {
        MatrixType::F16 | MatrixType::Bf16 => 2,
        MatrixType::S8 | MatrixType::U8 => 4,
        MatrixType::Tf32 | MatrixType::S32 | MatrixType::F32 => 1,
    }
}

/// The type of a register that holds elements.
fn register_type(ty: MatrixType) -> Type {
    if ty == MatrixType::F32 { Type::F32 } else { Type::B32 }
}

fn mma(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    aligned(form)?;
    let k = form.chosen(&[("m16n8k4", 4), ("m16n8k8", 8), ("m16n8k16", 16), ("m16n8k32", 32)])?;
    if !form.take("row") || !form.take("col") {
        return form.refuse("a layout other than .row.col");
    }
    let saturate = form.take("satfinite");
    let (d_type, a_type) = (matrix_type(form)?, matrix_type(form)?);
    let (b_type, c_type) = (matrix_type(form)?, matrix_type(form)?);
    let whole = matches!(a_type, MatrixType::S8 | MatrixType::U8);
    let fits = match a_type {
        MatrixType::F16 => {
            a_type == b_type
                && matches!(k, 8 | 16)
                && [c_type, d_type].iter().all(|ty| matches!(ty, MatrixType::F16 | MatrixType::F32))
        }
        MatrixType::Bf16 => a_type == b_type && matches!(k, 8 | 16),
        MatrixType::Tf32 => a_type == b_type && matches!(k, 4 | 8),
        MatrixType::S8 | MatrixType::U8 => {
            matches!(b_type, MatrixType::S8 | MatrixType::U8) && matches!(k, 16 | 32)
        }
        MatrixType::S32 | MatrixType::F32 => false,
    };
    let sums = match a_type {
        MatrixType::F16 => fits,
        _ if whole => c_type == MatrixType::S32 && d_type == MatrixType::S32,
        _ => c_type == MatrixType::F32 && d_type == MatrixType::F32,
    };
    if !fits || !sums || (saturate && !whole) {
        return form.refuse("that shape of those types");
    }
    let b_count = k / (4 * packed(a_type));
    let c_count = |ty| if ty == MatrixType::F16 { 2 } else { 4 };
    let target_type = register_type(d_type);
    let mut d = Vec::new();
    for part in form.vector(0)? {
        d.push(form.target_of(part, target_type)?);
    }
    let a = registers(form, 1, register_type(a_type))?;
    let b = registers(form, 2, register_type(b_type))?;
    let c = registers(form, 3, register_type(c_type))?;
    if d.len() != c_count(d_type)
        || c.len() != c_count(c_type)
        || a.len() != 2 * b_count
        || b.len() != b_count
    {
        return form.refuse("another number of registers");
    }
    Ok(Operation::Mma(Box::new(Mma { k, a_type, b_type, c_type, d_type, saturate, d, a, b, c })))
}

fn shared(form: &mut Form<'_, '_>) -> bool {
    form.take("shared") || form.take("shared::cta")
}

fn ldmatrix(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    aligned(form)?;
    let count = form.chosen(&[("x1", 1), ("x2", 2), ("x4", 4)])?;
    let transposed = form.take("trans");
    if !form.take("m8n8") || !shared(form) {
        return form.refuse("a shape other than .m8n8, or no .shared");
    }
    form.ty_of(&[Type::B16])?;
    let mut d = Vec::new();
    for part in form.vector(0)? {
        d.push(form.target_of(part, Type::B32)?);
    }
    if d.len() != count {
        return form.refuse("another number of registers");
    }
    let (address, _) = form.address(1, Space::Shared)?;
    Ok(Operation::LoadMatrix { address, transposed, d: d.into() })
}

fn wmma(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    let what = form.chosen(&[("load", 0), ("store", 1), ("mma", 2)])?;
    aligned(form)?;
    if !form.take("m16n16k16") {
        return form.refuse("a shape other than .m16n16k16");
    }
    match what {
        2 => wmma_mma(form),
        _ => wmma_memory(form, what == 1),
    }
}

fn count(fragment: Fragment, ty: MatrixType) -> usize {
    match (fragment, ty) {
        (Fragment::Accumulator, MatrixType::F16) => 4,
        (Fragment::A | Fragment::B, MatrixType::Bf16) => 4,
        _ => 8,
    }
}

fn wmma_memory(form: &mut Form<'_, '_>, store: bool) -> Result<Operation, Error> {
    let fragment = if store {
        form.chosen(&[("d", Fragment::Accumulator)])?
    } else {
        form.chosen(&[("a", Fragment::A), ("b", Fragment::B), ("c", Fragment::Accumulator)])?
    };
    let column_major = form.chosen(&[("row", false), ("col", true)])?;
    let space = match form.choice(&[("global", Space::Global)]) {
        Some(space) => space,
        None if shared(form) => Space::Shared,
        None => Space::Generic,
    };
    let ty = matrix_type(form)?;
    let fits = match fragment {
        Fragment::Accumulator => matches!(ty, MatrixType::F16 | MatrixType::F32),
        _ => matches!(ty, MatrixType::F16 | MatrixType::Bf16),
    };
    if !fits {
        return form.refuse("matrices of that type");
    }
    let (registers_at, address_at) = if store { (1, 0) } else { (0, 1) };
    let (address, space) = form.address(address_at, space)?;
    let registers = if store {
        registers(form, registers_at, register_type(ty))?
    } else {
        let parts = form.vector(registers_at)?;
        parts.iter().map(|part| form.target_of(part, register_type(ty))).collect::<Result<_, _>>()?
    };
    if registers.len() != count(fragment, ty) {
        return form.refuse("another number of registers");
    }
    // With no stride the rows follow each other.
    let stride = if form.count() > 2 { form.source(2, Type::U32)? } else { form.constant(16, Width::W32)? };
    let memory = Box::new(WmmaMemory { space, address, stride, column_major, fragment, ty, registers });
    Ok(if store { Operation::WmmaStore(memory) } else { Operation::WmmaLoad(memory) })
}

fn wmma_mma(form: &mut Form<'_, '_>) -> Result<Operation, Error> {
    // A fragment's layout in registers is the same whatever it was in memory, so that the two layouts change nothing.
    for _ in 0..2 {
        form.chosen(&[("row", ()), ("col", ())])?;
    }
    let d_type = matrix_type(form)?;
    let second = matrix_type(form)?;
    let (ty, c_type) = if form.has_type() {
        let b_type = matrix_type(form)?;
        let c_type = matrix_type(form)?;
        if second != MatrixType::Bf16 || b_type != second || d_type != MatrixType::F32 || c_type != d_type {
            return form.refuse("matrices of those types");
        }
        (second, c_type)
    } else {
        (MatrixType::F16, second)
    };
    if ![d_type, c_type].iter().all(|ty| matches!(ty, MatrixType::F16 | MatrixType::F32)) {
        return form.refuse("matrices of those types");
    }
    let mut d = Vec::new();
    for part in form.vector(0)? {
        d.push(form.target_of(part, register_type(d_type))?);
    }
    let a = registers(form, 1, Type::B32)?;
    let b = registers(form, 2, Type::B32)?;
    let c = registers(form, 3, register_type(c_type))?;
    let factors = count(Fragment::A, ty);
    if d.len() != count(Fragment::Accumulator, d_type)
        || c.len() != count(Fragment::Accumulator, c_type)
        || a.len() != factors
        || b.len() != factors
    {
        return form.refuse("another number of registers");
    }
    Ok(Operation::WmmaMma(Box::new(WmmaMma { ty, c_type, d_type, d, a, b, c })))
}
