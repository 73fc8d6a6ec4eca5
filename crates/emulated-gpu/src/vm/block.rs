//! Blocks, one after another in the same memory.

use super::access::Thread;
use super::barrier::Barriers;
use super::order::{Sequence, of_block};
use super::races::Races;
use super::registers::{FULL, LANES};
use super::run::Surroundings;
use super::spaces::Spaces;
use super::warp::Warp;
use super::{Counts, Failure, Launch, Settings, Shared, Stop, at, limits};
use crate::fault::{Fault, FaultKind};
use crate::memory::Find;
use crate::ptx::Special;
use crate::ptx::instruction::Register;

/// Runs blocks of one launch.
pub struct Runner<'a> {
    launch: &'a Launch<'a>,
    settings: &'a Settings,
    spaces: Spaces<'a>,
    warps: Vec<Warp>,
    counts: Counts,
    budget: u64,
}

impl<'a> Runner<'a> {
    pub fn new(launch: &'a Launch<'a>, memory: &'a dyn Find, settings: &'a Settings) -> Runner<'a> {
        let kernel = launch.kernel;
        let races = settings.races.then(|| Races::new(launch));
        let shared = limits::total_shared(launch) as usize;
        let params = &launch.params[..kernel.param_size];
        let spaces = Spaces::new(memory, kernel.code.len(), shared, kernel.local, params, races);
        let warps = threads(launch).div_ceil(LANES as u32);
        let mut runner = Runner {
            launch,
            settings,
            spaces,
            warps: (0..warps).map(|id| Warp::new(kernel, id)).collect(),
            counts: Counts::default(),
            budget: 0,
        };
        for warp in &mut runner.warps {
            for constant in &kernel.constants {
                if constant.wide {
                    warp.registers.set(constant.register, FULL, [constant.value; LANES]);
                } else {
                    warp.registers.set(constant.register, FULL, [constant.value as u32; LANES]);
                }
            }
            for (predicate, value) in &kernel.predicate_constants {
                warp.registers.set_predicate(*predicate, FULL, if *value { FULL } else { 0 });
            }
        }
        runner
    }

    /// What has been executed.
    pub fn counts(&self) -> Counts {
        Counts { bytes_read: self.spaces.bytes_read, bytes_written: self.spaces.bytes_written, ..self.counts }
    }

    /// Runs one block to its end.
    pub fn block(&mut self, block: u64, shared: &Shared) -> Result<(), Fault> {
        let launch = self.launch;
        let threads = threads(launch);
        self.spaces.renew();
        if let Some(races) = &mut self.spaces.races {
            races.renew(self.warps.len());
        }
        for warp in &mut self.warps {
            let first = warp.id * LANES as u32;
            let lanes = (threads - first).min(LANES as u32);
            warp.renew(FULL >> (LANES as u32 - lanes));
            for special in &launch.kernel.specials {
                fill(launch, block, warp, special.register, special.special);
            }
        }
        let mut barriers = Barriers::new(threads);
        let order = Sequence::new(of_block(self.settings.order, block), self.warps.len() as u64);
        loop {
            let mut moved = false;
            for position in 0..self.warps.len() as u64 {
                let warp = &mut self.warps[order.at(position) as usize];
                if warp.finished() {
                    continue;
                }
                let mut around = Surroundings {
                    kernel: launch.kernel,
                    spaces: &mut self.spaces,
                    barriers: &mut barriers,
                    counts: &mut self.counts,
                    budget: &mut self.budget,
                    block,
                };
                let warp_id = warp.id;
                let failed = |at_instruction: u32, failure: Box<Failure>| {
                    let thread = Thread { block, warp: warp_id, lane: failure.lane as u32 };
                    let at = Some(at(launch, thread, at_instruction));
                    Fault { kernel: launch.kernel.name.clone(), at, kind: failure.kind }
                };
                loop {
                    match warp.run(&mut around) {
                        Ok(further) => {
                            moved |= further;
                            break;
                        }
                        Err(Stop::Failed((instruction, failure))) => {
                            return Err(failed(instruction, failure));
                        }
                        Err(Stop::Budget(instruction, lane)) => match shared.budget() {
                            Some(budget) => *around.budget = budget,
                            None => {
                                let kind = FaultKind::InstructionLimit { limit: shared.limit };
                                return Err(failed(instruction, Failure::new(lane, kind)));
                            }
                        },
                    }
                }
            }
            if self.warps.iter().all(Warp::finished) {
                return Ok(());
            }
            if !moved {
                return Err(self.deadlock(block, &barriers));
            }
        }
    }

    /// All warps that have not left wait at barriers that nobody completes.
    fn deadlock(&self, block: u64, barriers: &Barriers) -> Fault {
        let launch = self.launch;
        let waiting = self.warps.iter().filter_map(|warp| warp.waits_at().map(|place| (warp.id, place)));
        let (warp, (barrier, instruction, lane)) = waiting.clone().next().unwrap_or((0, (0, 0, 0)));
        let finished = self.warps.iter().filter(|warp| warp.finished()).count() as u32;
        let (expected, arrived) = barriers.progress(barrier);
        let kind = if finished > 0 {
            FaultKind::BarrierSkipped { barrier, waiting: waiting.count() as u32, finished }
        } else {
            FaultKind::BarrierDeadlock { barrier, expected, arrived }
        };
        let at = Some(at(launch, Thread { block, warp, lane: lane as u32 }, instruction));
        Fault { kernel: launch.kernel.name.clone(), at, kind }
    }
}

fn threads(launch: &Launch<'_>) -> u32 {
    launch.block.iter().product()
}

/// Fills a special register for a block.
fn fill(launch: &Launch<'_>, block: u64, warp: &mut Warp, register: Register, special: Special) {
    let first = warp.id * LANES as u32;
    let place = at_extent(block, launch.grid);
    let all = |value: u32| [value; LANES];
    let by_lane = |f: &dyn Fn(u32) -> u32| std::array::from_fn(|lane| f(lane as u32));
    let values: [u32; LANES] = match special {
        Special::Tid(axis) => by_lane(&|lane| at_extent(u64::from(first + lane), launch.block)[axis]),
        Special::Ntid(axis) => all(launch.block[axis]),
        Special::Ctaid(axis) => all(place[axis]),
        Special::Nctaid(axis) => all(launch.grid[axis]),
        Special::Lane => by_lane(&|lane| lane),
        Special::Warp => all(warp.id),
        Special::Warps => all(threads(launch).div_ceil(LANES as u32)),
        Special::MaskEq => by_lane(&|lane| 1 << lane),
        Special::MaskLt => by_lane(&|lane| (1 << lane) - 1),
        Special::MaskLe => by_lane(&|lane| FULL >> (31 - lane)),
        Special::MaskGt => by_lane(&|lane| !(FULL >> (31 - lane))),
        Special::MaskGe => by_lane(&|lane| !((1 << lane) - 1)),
        Special::DynamicSize => all(launch.dynamic_shared),
        Special::TotalSize => all(limits::total_shared(launch) as u32),
        Special::DynamicStart => {
            return warp.registers.set(register, FULL, [limits::dynamic_start(launch); LANES]);
        }
    };
    warp.registers.set(register, FULL, values);
}

/// The place of the `index`-th block or thread.
pub fn at_extent(index: u64, extent: [u32; 3]) -> [u32; 3] {
    let [x, y, _] = extent.map(u64::from);
    [(index % x) as u32, (index / x % y) as u32, (index / x / y) as u32]
}
