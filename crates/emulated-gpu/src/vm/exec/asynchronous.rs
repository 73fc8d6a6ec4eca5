//! Copies from global to shared memory that a thread does not wait for. What was read stays aside until the thread
//! waits for it: that is when it reaches shared memory, at the latest on a device, too.

use super::super::access::{By, Thread, Touch};
use super::super::copies::Copy;
use super::super::registers::LANES;
use super::super::spaces::{Request, Spaces, Spot};
use super::super::warp::Warp;
use super::super::{Failure, Outcome};
use super::memory::addresses;
use crate::fault::Access;
use crate::ptx::instruction::{Address, Register, Space};

/// `cp.async`.
pub fn begin(
    (shared, global): (&Address, &Address),
    size: u8,
    given: Option<Register>,
    warp: &mut Warp,
    spaces: &mut Spaces<'_>,
    mask: u32,
    by: By,
) -> Outcome {
    let (to, from) = (addresses(&warp.registers, shared), addresses(&warp.registers, global));
    for lane in (0..LANES).filter(|lane| mask >> lane & 1 == 1) {
        let by = By { thread: Thread { lane: lane as u32, ..by.thread }, ..by };
        let size = u64::from(size);
        let read = given.map_or(size, |given| u64::from(warp.registers.lane(given, lane)).min(size));
        let mut bytes = [0; 16];
        let begun = (|| {
            let request = Request { access: Access::Write, space: Space::Shared, address: to[lane], size };
            let Spot::Shared(at) = spaces.locate(request, by)? else { return Ok(()) };
            spaces.copy_begins(at, size as usize)?;
            if read > 0 {
                let request =
                    Request { access: Access::Read, space: Space::Global, address: from[lane], size: read };
                let spot = located(spaces, request, size, by)?;
                spaces.race(
                    spot,
                    Touch { access: Access::Read, size: read, strong: false, same: false },
                    by,
                )?;
                for (index, byte) in bytes.iter_mut().take(read as usize).enumerate() {
                    *byte = spaces.load(spot.plus(index), 1, &[], by) as u8;
                }
                spaces.bytes_read += read;
            }
            let group = warp.copies.committed[lane];
            warp.copies.under_way.push(Copy { lane, group, to: at, bytes, size: size as usize, by });
            Ok(())
        })();
        begun.map_err(|kind| Failure::new(lane, kind))?;
    }
    Ok(())
}

/// Where the source is: it is aligned to the size of the copy, however little of it is read.
#[inline(never)]
fn located(
    spaces: &mut Spaces<'_>,
    request: Request,
    size: u64,
    by: By,
) -> Result<Spot, crate::fault::FaultKind> {
    let Request { access, address, .. } = request;
    if !address.is_multiple_of(size) {
        let space = crate::fault::Space::Global;
        return Err(crate::fault::FaultKind::Misaligned { access, space, address, size, alignment: size });
    }
    // The bytes that are read need not be a power of two, which alignment is checked by; the first and the last are.
    let last = Request { address: address + request.size - 1, size: 1, ..request };
    let spot = spaces.locate(Request { size: 1, ..request }, by)?;
    let first = spaces.extent(by.at).clone();
    spaces.locate(last, by)?;
    if first.holds(address, request.size) {
        return Ok(spot);
    }
    let (space, extent) = (crate::fault::Space::Global, first.range().clone());
    Err(crate::fault::FaultKind::OutOfBounds { access, space, address, size: request.size, extent })
}

/// `cp.async.commit_group`.
pub fn commit(warp: &mut Warp, mask: u32) {
    for lane in (0..LANES).filter(|lane| mask >> lane & 1 == 1) {
        warp.copies.committed[lane] += 1;
    }
}

/// `cp.async.wait_group` and `wait_all`: finishes all but the last so many groups.
pub fn wait(warp: &mut Warp, spaces: &mut Spaces<'_>, mask: u32, pending: Option<u32>) -> Outcome {
    let copies = &mut warp.copies;
    let (done, left) = std::mem::take(&mut copies.under_way).into_iter().partition(|copy: &Copy| {
        let waited = match pending {
            Some(pending) => copy.group + pending < copies.committed[copy.lane],
            None => true,
        };
        mask >> copy.lane & 1 == 1 && waited
    });
    copies.under_way = left;
    for copy in done {
        let touch = Touch { access: Access::Write, size: copy.size as u64, strong: false, same: false };
        spaces.race(Spot::Shared(copy.to), touch, copy.by).map_err(|kind| Failure::new(copy.lane, kind))?;
        spaces.copy_ends(copy.to, &copy.bytes[..copy.size]);
    }
    Ok(())
}
