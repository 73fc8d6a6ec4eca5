//! The state spaces of a block, and what may be accessed in them.

use super::Failure;
use super::access::{By, Touch};
use super::global::{Extent, Word};
use super::races::Races;
use crate::fault::{self, Access, FaultKind};
use crate::memory::{Find, Where};
use crate::ptx::instruction::Space;
use std::ops::Range;

// Generic addresses of the spaces that are not global begin where no address of a process does.
const SHARED_WINDOW: u64 = 0x7f00_0000_0000_0000;
const LOCAL_WINDOW: u64 = 0x7e00_0000_0000_0000;
const PARAM_WINDOW: u64 = 0x7d00_0000_0000_0000;
const WINDOW: u64 = 1 << 32;

/// What became of a byte of shared memory.
const UNWRITTEN: u8 = 0;
const WRITTEN: u8 = 1;
/// A `cp.async` to it is under way.
const PENDING: u8 = 2;

/// Where an access goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    Global(u64),
    Shared(usize),
    Local(usize),
    Param(usize),
}

/// The memory of a block, and the way to that of the device.
pub struct Spaces<'a> {
    find: &'a dyn Find,
    /// For each instruction, the allocation that it found last.
    extents: Vec<Extent>,
    shared: Vec<u8>,
    state: Vec<u8>,
    params: &'a [u8],
    local: usize,
    pub races: Option<Races<'a>>,
    pub bytes_read: u64,
    pub bytes_written: u64,
}

/// An access to be checked.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub access: Access,
    pub space: Space,
    pub address: u64,
    pub size: u64,
}

impl<'a> Spaces<'a> {
    pub fn new(
        find: &'a dyn Find,
        instructions: usize,
        shared: usize,
        local: usize,
        params: &'a [u8],
        races: Option<Races<'a>>,
    ) -> Spaces<'a> {
        Spaces {
            find,
            extents: vec![Extent::empty(); instructions],
            shared: vec![0; shared],
            state: vec![UNWRITTEN; shared],
            params,
            local,
            races,
            bytes_read: 0,
            bytes_written: 0,
        }
    }

    /// Makes shared memory that of another block.
    pub fn renew(&mut self) {
        self.state.fill(UNWRITTEN);
    }

    /// The allocation that an instruction found last.
    #[inline(always)]
    pub fn extent(&self, at: u32) -> &Extent {
        &self.extents[at as usize]
    }

    /// Finds where an access goes, and whether it may go there. `thread` is what local memory is told apart by.
    pub fn locate(&mut self, request: Request, by: By) -> Result<Spot, FaultKind> {
        let Request { access, space, address, size } = request;
        let (space, address) = match space {
            Space::Shared => (fault::Space::Shared, address & (WINDOW - 1)),
            Space::Local => (fault::Space::Local, address & (WINDOW - 1)),
            Space::Param => (fault::Space::Param, address & (WINDOW - 1)),
            Space::Global | Space::Const => (fault::Space::Global, address),
            Space::Generic => match address {
                SHARED_WINDOW.. if address < SHARED_WINDOW + WINDOW => {
                    (fault::Space::Shared, address - SHARED_WINDOW)
                }
                LOCAL_WINDOW.. if address < LOCAL_WINDOW + WINDOW => {
                    (fault::Space::Local, address - LOCAL_WINDOW)
                }
                PARAM_WINDOW.. if address < PARAM_WINDOW + WINDOW => {
                    (fault::Space::Param, address - PARAM_WINDOW)
                }
                _ => (fault::Space::Global, address),
            },
        };
        if !address.is_multiple_of(size) {
            return Err(FaultKind::Misaligned { access, space, address, size, alignment: size });
        }
        let within = |length: usize| {
            let extent = 0..length as u64;
            if address.checked_add(size).is_some_and(|end| end <= extent.end) {
                Ok(address as usize)
            } else {
                Err(FaultKind::OutOfBounds { access, space, address, size, extent })
            }
        };
        let spot = match space {
            fault::Space::Shared => Spot::Shared(within(self.shared.len())?),
            fault::Space::Local => return Ok(Spot::Local(within(self.local)?)),
            fault::Space::Param if access != Access::Read => {
                return Err(FaultKind::ReadOnly { access, address, size });
            }
            fault::Space::Param => return Ok(Spot::Param(within(self.params.len())?)),
            fault::Space::Global => {
                if !self.extents[by.at as usize].holds(address, size) {
                    self.extents[by.at as usize] = self.found(access, address, size)?;
                }
                if access != Access::Read && !self.extents[by.at as usize].writable() {
                    return Err(FaultKind::ReadOnly { access, address, size });
                }
                Spot::Global(address)
            }
        };
        Ok(spot)
    }

    #[cold]
    fn found(&self, access: Access, address: u64, size: u64) -> Result<Extent, FaultKind> {
        let inside = |extent: &Range<u64>| extent.end.saturating_sub(address) >= size;
        match self.find.find(address) {
            Where::Live(extent) if inside(&extent) => Ok(Extent::new(extent, true)),
            Where::Constant(extent) if inside(&extent) => Ok(Extent::new(extent, false)),
            Where::Live(extent) | Where::Constant(extent) => {
                let space = fault::Space::Global;
                Err(FaultKind::OutOfBounds { access, space, address, size, extent })
            }
            Where::Freed(extent) => Err(FaultKind::UseAfterFree { access, address, size, extent }),
            Where::Nowhere => Err(FaultKind::NoAllocation { access, address, size }),
        }
    }

    /// Whether what is read of shared memory was written.
    pub fn readable(&self, at: usize, size: usize, access: Access) -> Result<(), FaultKind> {
        let state = &self.state[at..at + size];
        if state.iter().all(|&byte| byte == WRITTEN) {
            return Ok(());
        }
        let (address, size) = (at as u64, size as u64);
        if state.contains(&PENDING) {
            return Err(FaultKind::AsyncCopyPending { access, address, size });
        }
        Err(FaultKind::UninitialisedRead { address, size })
    }

    /// Notes that shared memory is written, which must not be while a copy to it is under way.
    pub fn written(&mut self, at: usize, size: usize, access: Access) -> Result<(), FaultKind> {
        let state = &mut self.state[at..at + size];
        if state.contains(&PENDING) {
            return Err(FaultKind::AsyncCopyPending { access, address: at as u64, size: size as u64 });
        }
        state.fill(WRITTEN);
        Ok(())
    }

    /// Notes that a `cp.async` to shared memory begins.
    pub fn copy_begins(&mut self, at: usize, size: usize) -> Result<(), FaultKind> {
        let state = &mut self.state[at..at + size];
        if state.contains(&PENDING) {
            return Err(FaultKind::AsyncCopyOverlap { address: at as u64, size: size as u64 });
        }
        state.fill(PENDING);
        Ok(())
    }

    /// Writes what a `cp.async` brings.
    pub fn copy_ends(&mut self, at: usize, bytes: &[u8]) {
        self.shared[at..at + bytes.len()].copy_from_slice(bytes);
        self.state[at..at + bytes.len()].fill(WRITTEN);
    }

    /// Looks for a race, where races are looked for.
    #[inline(always)]
    pub fn race(&mut self, spot: Spot, touch: Touch, by: By) -> Result<(), FaultKind> {
        let Some(races) = &mut self.races else { return Ok(()) };
        match spot {
            Spot::Global(address) => races.access(fault::Space::Global, address, touch, by),
            Spot::Shared(at) => races.access(fault::Space::Shared, at as u64, touch, by),
            Spot::Local(_) | Spot::Param(_) => Ok(()),
        }
    }

    /// Reads a word of 1, 2, 4 or 8 bytes. Whether it may be read must have been found by [`Spaces::locate`].
    pub fn load(&self, spot: Spot, bytes: usize, local: &[u8], by: By) -> u64 {
        let extent = self.extent(by.at);
        let from = |memory: &[u8], at: usize| {
            let mut word = [0; 8];
            word[..bytes].copy_from_slice(&memory[at..at + bytes]);
            u64::from_le_bytes(word)
        };
        match (spot, bytes) {
            (Spot::Global(address), 1) => u8::read(extent, address).map_or(0, u64::from),
            (Spot::Global(address), 2) => u16::read(extent, address).map_or(0, u64::from),
            (Spot::Global(address), 4) => u32::read(extent, address).map_or(0, u64::from),
            (Spot::Global(address), _) => u64::read(extent, address).unwrap_or(0),
            (Spot::Shared(at), _) => from(&self.shared, at),
            (Spot::Local(at), _) => from(local, at),
            (Spot::Param(at), _) => from(self.params, at),
        }
    }

    /// Writes a word of 1, 2, 4 or 8 bytes. Whether it may be written must have been found by [`Spaces::locate`].
    pub fn store(&mut self, spot: Spot, bytes: usize, value: u64, local: &mut [u8], by: By) {
        let extent = &self.extents[by.at as usize];
        let word = value.to_le_bytes();
        match (spot, bytes) {
            (Spot::Global(address), 1) => drop(u8::write(extent, address, value as u8)),
            (Spot::Global(address), 2) => drop(u16::write(extent, address, value as u16)),
            (Spot::Global(address), 4) => drop(u32::write(extent, address, value as u32)),
            (Spot::Global(address), _) => drop(u64::write(extent, address, value)),
            (Spot::Shared(at), _) => self.shared[at..at + bytes].copy_from_slice(&word[..bytes]),
            (Spot::Local(at), _) => local[at..at + bytes].copy_from_slice(&word[..bytes]),
            (Spot::Param(_), _) => {}
        }
    }

    /// Replaces a word of 2, 4 or 8 bytes in one step, and returns what it was.
    pub fn update(
        &mut self,
        spot: Spot,
        bytes: usize,
        by: By,
        local: &mut [u8],
        f: impl Fn(u64) -> u64,
    ) -> u64 {
        if let Spot::Global(address) = spot {
            let extent = self.extent(by.at);
            let old = match bytes {
                2 => u16::update(extent, address, |old| f(u64::from(old)) as u16).map(u64::from),
                4 => u32::update(extent, address, |old| f(u64::from(old)) as u32).map(u64::from),
                _ => u64::update(extent, address, f),
            };
            return old.unwrap_or(0);
        }
        let old = self.load(spot, bytes, local, by);
        self.store(spot, bytes, f(old), local, by);
        old
    }

    /// Text that ends with a zero, as an `assert` has it; only what can be read of it.
    pub fn text(&mut self, mut address: u64, by: By) -> String {
        let mut found = Vec::new();
        while found.len() < 400 {
            let request = Request { access: Access::Read, space: Space::Generic, address, size: 1 };
            match self.locate(request, by) {
                Ok(spot @ Spot::Global(_)) => match self.load(spot, 1, &[], by) as u8 {
                    0 => break,
                    byte => found.push(byte),
                },
                _ => break,
            }
            address += 1;
        }
        String::from_utf8_lossy(&found).into_owned()
    }
}

/// The first generic address of a state space; that of global memory is its own.
pub fn window(space: Space) -> Option<u64> {
    match space {
        Space::Shared => Some(SHARED_WINDOW),
        Space::Local => Some(LOCAL_WINDOW),
        Space::Param => Some(PARAM_WINDOW),
        Space::Global | Space::Const | Space::Generic => None,
    }
}

/// Whether a generic address is in a state space. Constant memory is part of global memory here.
pub fn is_in(space: Space, address: u64) -> bool {
    let inside = |start: u64| (start..start + WINDOW).contains(&address);
    match window(space) {
        Some(start) => inside(start),
        None => ![SHARED_WINDOW, LOCAL_WINDOW, PARAM_WINDOW].into_iter().any(inside),
    }
}

impl Failure {
    /// A fault of a lane.
    pub fn new(lane: usize, kind: FaultKind) -> Box<Failure> {
        Box::new(Failure { lane, kind })
    }
}
