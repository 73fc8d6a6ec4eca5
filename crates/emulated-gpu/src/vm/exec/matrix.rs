//! Products of matrices by a whole warp. Which lane holds which element is as PTX ISA draws it for `mma`; for `wmma`
//! it is left open there, and a matter of this file alone. Products are exact and summed in double precision; the order
//! and the precision of a device's sums are not defined either.

use super::super::access::{By, Thread, Touch};
use super::super::registers::{FULL, LANES, Registers};
use super::super::spaces::{Request, Spaces, Spot};
use super::super::warp::Warp;
use super::super::{Failure, Outcome};
use super::memory::addresses;
use super::numbers::nearest_f16;
use crate::fault::{Access, FaultKind};
use crate::ptx::instruction::{Address, Fragment, MatrixType, Mma, Register, Space, WmmaMemory, WmmaMma};
use half::{bf16, f16};

/// Elements in a register of 32 bits.
fn packed(ty: MatrixType) -> usize {
    match ty {
        MatrixType::F16 | MatrixType::Bf16 => 2,
        MatrixType::S8 | MatrixType::U8 => 4,
        MatrixType::Tf32 | MatrixType::S32 | MatrixType::F32 => 1,
    }
}

/// An element of a register.
fn element(ty: MatrixType, bits: u32, index: usize) -> f64 {
    match ty {
        MatrixType::F16 => f16::from_bits((bits >> (16 * index)) as u16).to_f64(),
        MatrixType::Bf16 => bf16::from_bits((bits >> (16 * index)) as u16).to_f64(),
        // The lower bits of a register that holds tf32 are not looked at.
        MatrixType::Tf32 => f64::from(f32::from_bits(bits & !0x1fff)),
        MatrixType::F32 => f64::from(f32::from_bits(bits)),
        MatrixType::S8 => f64::from((bits >> (8 * index)) as u8 as i8),
        MatrixType::U8 => f64::from((bits >> (8 * index)) as u8),
        MatrixType::S32 => f64::from(bits as i32),
    }
}

/// The bits of a result.
fn bits(ty: MatrixType, value: f64, saturate: bool) -> u32 {
    match ty {
        MatrixType::F16 => u32::from(nearest_f16(value as f32).to_bits()),
        // Sums of integers are exact in double precision: they clamp, or keep their low 32 bits.
        MatrixType::S32 if saturate => value as i32 as u32,
        MatrixType::S32 => value as i64 as u32,
        _ => (value as f32).to_bits(),
    }
}

/// Where element `index` of register `register` of lane `lane` is in a of m16n8k…
fn place_a(e: usize, lane: usize, register: usize, index: usize) -> (usize, usize) {
    (lane / 4 + 8 * (register & 1), lane % 4 * e + index + (register >> 1) * 4 * e)
}

/// The same of c and d, whose registers hold one element or two.
fn place_c(e: usize, lane: usize, register: usize, index: usize) -> (usize, usize) {
    let at = register * e + index;
    (lane / 4 + 8 * (at >> 1), lane % 4 * 2 + (at & 1))
}

/// `mma.sync`.
pub fn mma(o: &Mma, r: &mut Registers) {
    let e = packed(o.a_type);
    let (mut a, mut b) = ([[0f64; 32]; 16], [[0f64; 8]; 32]);
    for lane in 0..LANES {
        for (index, register) in o.a.iter().enumerate() {
            for part in 0..e {
                let (row, column) = place_a(e, lane, index, part);
                a[row][column] = element(o.a_type, r.lane(*register, lane), part);
            }
        }
        for (index, register) in o.b.iter().enumerate() {
            for part in 0..e {
                let row = lane % 4 * e + part + index * 4 * e;
                b[row][lane / 4] = element(o.b_type, r.lane(*register, lane), part);
            }
        }
    }
    let mut sums = [[0f64; 8]; 16];
    let e = packed(o.c_type);
    for lane in 0..LANES {
        for (index, register) in o.c.iter().enumerate() {
            for part in 0..e {
                let (row, column) = place_c(e, lane, index, part);
                sums[row][column] = element(o.c_type, r.lane(*register, lane), part);
            }
        }
    }
    for (row, sums) in sums.iter_mut().enumerate() {
        for k in 0..o.k {
            for (sum, factor) in sums.iter_mut().zip(b[k]) {
                *sum += a[row][k] * factor;
            }
        }
    }
    let e = packed(o.d_type);
    for lane in 0..LANES {
        for (index, register) in o.d.iter().enumerate() {
            let value = (0..e).fold(0, |found, part| {
                let (row, column) = place_c(e, lane, index, part);
                found | bits(o.d_type, sums[row][column], o.saturate) << (16 * part)
            });
            r.set_lane(*register, lane, value);
        }
    }
}

/// `ldmatrix`: the lanes from 8 · i on give the rows of the i-th matrix.
pub fn load(
    address: &Address,
    transposed: bool,
    d: &[Register],
    warp: &mut Warp,
    spaces: &mut Spaces<'_>,
    by: By,
) -> Outcome {
    let addresses = addresses(&warp.registers, address);
    for (index, register) in d.iter().enumerate() {
        let mut matrix = [[0u16; 8]; 8];
        for (row, elements) in matrix.iter_mut().enumerate() {
            let lane = index * 8 + row;
            let by = By { thread: Thread { lane: lane as u32, ..by.thread }, ..by };
            let spot = shared_row(addresses[lane], spaces, by).map_err(|kind| Failure::new(lane, kind))?;
            for (column, element) in elements.iter_mut().enumerate() {
                *element = spaces.load(spot.plus(2 * column), 2, &[], by) as u16;
            }
        }
        for lane in 0..LANES {
            let (row, column) = (lane / 4, lane % 4 * 2);
            let (low, high) = if transposed {
                (matrix[column][row], matrix[column + 1][row])
            } else {
                (matrix[row][column], matrix[row][column + 1])
            };
            warp.registers.set_lane(*register, lane, u32::from(low) | u32::from(high) << 16);
        }
    }
    Ok(())
}

fn shared_row(address: u64, spaces: &mut Spaces<'_>, by: By) -> Result<Spot, FaultKind> {
    let (access, size) = (Access::Read, 16);
    let spot = spaces.locate(Request { access, space: Space::Shared, address, size }, by)?;
    if let Spot::Shared(at) = spot {
        spaces.readable(at, 16, access)?;
    }
    spaces.race(spot, Touch { access, size, strong: false, same: false }, by)?;
    Ok(spot)
}

/// Which elements of a 16 × 16 matrix, row by row, a lane's fragment holds: each lane some that follow each other. The
/// fragments of a and b in f16 have twice as many registers as are needed, and hold each element twice.
fn held(o: &WmmaMemory, lane: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = o.registers.len() * packed(o.ty);
    (0..count).map(move |index| (index, (lane * count + index) % 256))
}

/// `wmma.load` and `wmma.store`.
pub fn transfer(o: &WmmaMemory, store: bool, warp: &mut Warp, spaces: &mut Spaces<'_>, by: By) -> Outcome {
    let base = addresses(&warp.registers, &o.address);
    let e = packed(o.ty);
    let size = 4 / e as u64;
    let access = if store { Access::Write } else { Access::Read };
    // b is given to the product as k × n, and kept as n × k: that its rows and columns change places is all that a
    // fragment of it differs in from one of a.
    let swapped = o.column_major != (o.fragment == Fragment::B);
    let local_size = warp.local_size();
    for (lane, base) in base.into_iter().enumerate() {
        let by = By { thread: Thread { lane: lane as u32, ..by.thread }, ..by };
        let stride = u64::from(warp.registers.lane(o.stride, lane));
        if !base.is_multiple_of(16) || !(stride * size).is_multiple_of(16) {
            let (address, space) = (base, crate::fault::Space::Global);
            let kind = FaultKind::Misaligned { access, space, address, size: stride * size, alignment: 16 };
            return Err(Failure::new(lane, kind));
        }
        for (index, at) in held(o, lane) {
            let (row, column) = ((at / 16) as u64, (at % 16) as u64);
            let distance = if swapped { column * stride + row } else { row * stride + column };
            let request =
                Request { access, space: o.space, address: base.wrapping_add(distance * size), size };
            let touched = spaces.locate(request, by).and_then(|spot| {
                match spot {
                    Spot::Shared(at) if store => spaces.written(at, size as usize, access)?,
                    Spot::Shared(at) => spaces.readable(at, size as usize, access)?,
                    _ => {}
                }
                spaces.race(spot, Touch { access, size, strong: false, same: false }, by)?;
                Ok(spot)
            });
            let spot = touched.map_err(|kind| Failure::new(lane, kind))?;
            let register = o.registers[index / e];
            let shift = 16 * (index % e) as u32;
            let field = if e == 2 { 0xffff << shift } else { u32::MAX };
            let held = warp.registers.lane(register, lane);
            let local = &mut warp.local[lane * local_size..][..local_size];
            if store {
                let value = u64::from((held & field) >> shift);
                spaces.store(spot, size as usize, value, local, by);
                spaces.bytes_written += if matches!(spot, Spot::Global(_)) { size } else { 0 };
            } else {
                let value = (spaces.load(spot, size as usize, local, by) as u32) << shift;
                spaces.bytes_read += if matches!(spot, Spot::Global(_)) { size } else { 0 };
                warp.registers.set_lane(register, lane, held & !field | value);
            }
        }
    }
    Ok(())
}

/// A fragment's 256 elements, row by row; of b, column by column.
fn fragment(ty: MatrixType, registers: &[Register], r: &Registers) -> [f64; 256] {
    let e = packed(ty);
    let count = registers.len() * e;
    let mut found = [0.; 256];
    for (at, value) in found.iter_mut().enumerate() {
        let (lane, index) = (at / count, at % count);
        *value = element(ty, r.lane(registers[index / e], lane), index % e);
    }
    found
}

/// `wmma.mma`.
pub fn wmma(o: &WmmaMma, r: &mut Registers) {
    let (a, b) = (fragment(o.ty, &o.a, r), fragment(o.ty, &o.b, r));
    let mut sums = fragment(o.c_type, &o.c, r);
    for (at, sum) in sums.iter_mut().enumerate() {
        let (row, column) = (at / 16, at % 16);
        let factors = a[row * 16..][..16].iter().zip(&b[column * 16..][..16]);
        *sum += factors.map(|(a, b)| a * b).sum::<f64>();
    }
    let e = packed(o.d_type);
    let count = o.d.len() * e;
    for lane in 0..LANES {
        for (index, register) in o.d.iter().enumerate() {
            let value = (0..e).fold(0, |found, part| {
                found | bits(o.d_type, sums[lane * count + index * e + part], false) << (16 * part)
            });
            r.set_lane(*register, lane, value);
        }
    }
}

/// Whether all lanes are there, without which these instructions have no meaning.
pub fn all_lanes(mask: u32) -> Outcome {
    if mask == FULL {
        return Ok(());
    }
    let lane = mask.trailing_zeros() as usize % LANES;
    Err(Failure::new(lane, FaultKind::MaskNamesAbsentLanes { mask: FULL, absent: !mask }))
}
