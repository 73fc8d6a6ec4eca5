//! Loads and stores.

use super::super::access::{By, Thread, Touch};
use super::super::global::Word;
use super::super::registers::{FULL, LANES, Registers};
use super::super::spaces::{Request, Spaces, Spot};
use super::super::warp::Warp;
use super::super::{Failure, Outcome};
use crate::fault::Access;
use crate::ptx::instruction::{Address, Load, Space, Store};
use crate::ptx::types::Width;

/// The addresses of all lanes.
pub fn addresses(r: &Registers, address: &Address) -> [u64; LANES] {
    let base = match address.width {
        Width::W64 => r.get::<u64>(address.base),
        _ => r.get::<u32>(address.base).map(u64::from),
    };
    base.map(|base| base.wrapping_add_signed(address.offset))
}

/// Executes a load on the lanes of `mask`.
pub fn load(o: &Load, warp: &mut Warp, spaces: &mut Spaces<'_>, mask: u32, by: By) -> Outcome {
    let addresses = addresses(&warp.registers, &o.address);
    let bytes = usize::from(o.elements.bytes);
    let size = bytes as u64 * u64::from(o.elements.count);
    if o.space == Space::Global
        && mask == FULL
        && spaces.races.is_none()
        && whole(o, warp, spaces, &addresses, by)
    {
        spaces.bytes_read += size * LANES as u64;
        return Ok(());
    }
    let local_size = warp.local_size();
    for lane in (0..LANES).filter(|lane| mask >> lane & 1 == 1) {
        let by = By { thread: Thread { lane: lane as u32, ..by.thread }, ..by };
        let request = Request { access: Access::Read, space: o.space, address: addresses[lane], size };
        let read = spaces.locate(request, by).and_then(|spot| {
            if let Spot::Shared(at) = spot {
                spaces.readable(at, size as usize, Access::Read)?;
            }
            spaces.race(spot, Touch { access: Access::Read, size, strong: o.strong, same: false }, by)?;
            Ok(spot)
        });
        let spot = read.map_err(|kind| Failure::new(lane, kind))?;
        if matches!(spot, Spot::Global(_)) {
            spaces.bytes_read += size;
        }
        for (index, register) in o.elements.registers.iter().take(usize::from(o.elements.count)).enumerate() {
            let local = &warp.local[lane * local_size..][..local_size];
            let value = spaces.load(spot.plus(index * bytes), bytes, local, by);
            let value = if o.elements.signed { extended(value, bytes) } else { value };
            match (register, o.elements.width) {
                (Some(register), Width::W64) => warp.registers.set_wide_lane(*register, lane, value),
                (Some(register), Width::W32) => warp.registers.set_lane(*register, lane, value as u32),
                (Some(register), Width::W16) => {
                    warp.registers.set_lane(*register, lane, u32::from(value as u16));
                }
                (None, _) => {}
            }
        }
    }
    Ok(())
}

fn extended(value: u64, bytes: usize) -> u64 {
    let spare = 64 - 8 * bytes as u32;
    ((value << spare) as i64 >> spare) as u64
}

/// The load of a full warp, all within the allocation that the instruction found last; false where it is not such.
#[inline(always)]
fn whole(o: &Load, warp: &mut Warp, spaces: &Spaces<'_>, addresses: &[u64; LANES], by: By) -> bool {
    let extent = spaces.extent(by.at);
    let size = u64::from(o.elements.bytes) * u64::from(o.elements.count);
    if !addresses.iter().all(|address| address % size == 0 && extent.holds(*address, size)) {
        return false;
    }
    macro_rules! rows {
        ($word:ty, $signed:ty, $bytes:expr) => {
            for (index, register) in
                o.elements.registers.iter().take(usize::from(o.elements.count)).enumerate()
            {
                let Some(register) = register else { continue };
                let offset = index as u64 * $bytes;
                let read = |lane: usize| <$word>::read(extent, addresses[lane] + offset).unwrap_or_default();
                let row: [$word; LANES] = std::array::from_fn(read);
                match (o.elements.width, o.elements.signed) {
                    (Width::W16, true) => {
                        warp.registers.set(*register, FULL, row.map(|x| x as $signed as i16))
                    }
                    (Width::W16, false) => warp.registers.set(*register, FULL, row.map(|x| x as u16)),
                    (Width::W32, true) => {
                        warp.registers.set(*register, FULL, row.map(|x| x as $signed as i32))
                    }
                    (Width::W32, false) => warp.registers.set(*register, FULL, row.map(|x| x as u32)),
                    (Width::W64, true) => {
                        warp.registers.set(*register, FULL, row.map(|x| x as $signed as i64))
                    }
                    (Width::W64, false) => warp.registers.set(*register, FULL, row.map(|x| x as u64)),
                }
            }
        };
    }
    match o.elements.bytes {
        1 => rows!(u8, i8, 1),
        2 => rows!(u16, i16, 2),
        4 => rows!(u32, i32, 4),
        _ => rows!(u64, i64, 8),
    }
    true
}

/// Executes a store on the lanes of `mask`.
pub fn store(o: &Store, warp: &mut Warp, spaces: &mut Spaces<'_>, mask: u32, by: By) -> Outcome {
    let addresses = addresses(&warp.registers, &o.address);
    let bytes = usize::from(o.elements.bytes);
    let count = usize::from(o.elements.count);
    let size = (bytes * count) as u64;
    let access = if o.strong { Access::Atomic } else { Access::Write };
    let local_size = warp.local_size();
    for lane in (0..LANES).filter(|lane| mask >> lane & 1 == 1) {
        let by = By { thread: Thread { lane: lane as u32, ..by.thread }, ..by };
        let value = |index: usize| match o.elements.registers[index] {
            Some(register) if bytes == 8 => warp.registers.wide_lane(register, lane),
            Some(register) => u64::from(warp.registers.lane(register, lane)) & (u64::MAX >> (64 - 8 * bytes)),
            None => 0,
        };
        let values: [u64; 4] = std::array::from_fn(value);
        let local = &mut warp.local[lane * local_size..][..local_size];
        let request = Request { access, space: o.space, address: addresses[lane], size };
        let write = spaces.locate(request, by).and_then(|spot| {
            if spaces.races.is_some() {
                let unchanged =
                    |index: usize| spaces.load(spot.plus(index * bytes), bytes, local, by) == values[index];
                let same = (0..count).all(unchanged);
                spaces.race(spot, Touch { access, size, strong: o.strong, same }, by)?;
            }
            if let Spot::Shared(at) = spot {
                spaces.written(at, size as usize, access)?;
            }
            Ok(spot)
        });
        let spot = write.map_err(|kind| Failure::new(lane, kind))?;
        if matches!(spot, Spot::Global(_)) {
            spaces.bytes_written += size;
        }
        for (index, value) in values.into_iter().take(count).enumerate() {
            spaces.store(spot.plus(index * bytes), bytes, value, local, by);
        }
    }
    Ok(())
}

impl Spot {
    /// A place some bytes further on.
    pub fn plus(self, bytes: usize) -> Spot {
        match self {
            Spot::Global(address) => Spot::Global(address + bytes as u64),
            Spot::Shared(at) => Spot::Shared(at + bytes),
            Spot::Local(at) => Spot::Local(at + bytes),
            Spot::Param(at) => Spot::Param(at + bytes),
        }
    }
}
