//! Kernels with one fault each: it is found, by its own kind, and the report names the kernel. Each runs in several orders
//! of warps and blocks, as a fault must not hide in any of them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{
    Arg::{F32, I32, Pointer},
    Gpu, WRONG, floats,
};
use emulated_gpu::{
    driver::{Code, Error},
    fault::{Access, Fault, FaultKind, Space},
    settings::{Loss, Settings},
    vm::Order,
};

const ORDERS: [Order; 4] = [Order::Forward, Order::Reversed, Order::Random(1), Order::Random(2)];

/// The fault that a launch makes, in each order; the driver has it in its report, too.
fn faults(races: bool, kernel: &str, launch: impl Fn(&mut Gpu) -> Result<(), Error>) -> Vec<FaultKind> {
    let found = ORDERS.map(|order| {
        let settings = Settings { order, races, instructions: 1 << 20, ..Settings::default() };
        let mut gpu = Gpu::new(settings, WRONG);
        let Err(Error::Kernel(fault)) = launch(&mut gpu) else {
            panic!("{kernel}: nothing was found in {order:?}")
        };
        let Fault { kernel: name, kind, .. } = *fault;
        assert_eq!(name, kernel);
        kind
    });
    found.into()
}

/// `x` of 512 numbers and room for `y` of as many.
fn arrays(gpu: &mut Gpu) -> [u64; 2] {
    [gpu.upload(&floats(1, 512)), gpu.room::<f32>(512)]
}

/// Launches a kernel of `x` and `y` with one block.
fn xy(kernel: &'static str, threads: u32) -> impl Fn(&mut Gpu) -> Result<(), Error> {
    move |gpu| {
        let args = arrays(gpu).map(Pointer);
        gpu.try_launch(kernel, [1, 1, 1], [threads, 1, 1], 0, &args)
    }
}

/// Launches a kernel of `y` alone with one block.
fn y(kernel: &'static str, threads: u32) -> impl Fn(&mut Gpu) -> Result<(), Error> {
    move |gpu| {
        let y = Pointer(arrays(gpu)[1]);
        gpu.try_launch(kernel, [1, 1, 1], [threads, 1, 1], 0, &[y])
    }
}

macro_rules! assert_all {
    ($found:expr, $pattern:pat $(if $guard:expr)?) => {
        for kind in $found {
            assert!(matches!(&kind, $pattern $(if $guard)?), "found instead: {kind:?}");
        }
    };
}

#[test]
fn a_missing_barrier_is_a_race_or_reads_what_is_not_written() {
    assert_all!(
        faults(true, "no_barrier", xy("no_barrier", 128)),
        FaultKind::Race { space: Space::Shared, .. } | FaultKind::UninitialisedRead { .. }
    );
}

#[test]
fn steps_of_a_sum_without_a_barrier_are_a_race() {
    assert_all!(
        faults(true, "late_barrier", xy("late_barrier", 128)),
        FaultKind::Race { space: Space::Shared, .. }
    );
}

#[test]
fn a_barrier_in_a_branch_is_divergent() {
    assert_all!(
        faults(false, "divergent_barrier", xy("divergent_barrier", 128)),
        FaultKind::DivergentBarrier { arrived: 0xff, missing: 0xffff_ff00 }
    );
}

#[test]
fn a_shuffle_with_lanes_outside_its_mask_is_found() {
    assert_all!(
        faults(false, "partial_shuffle", xy("partial_shuffle", 32)),
        FaultKind::ShuffleOutsideMask { mask: 0xffff, lane: 16..=31 }
    );
}

#[test]
fn an_index_one_too_large_leaves_the_allocation() {
    let launch = |gpu: &mut Gpu| {
        let (x, y) = (gpu.upload(&floats(1, 100)), gpu.room::<f32>(100));
        gpu.try_launch("one_too_many", [1, 1, 1], [128, 1, 1], 0, &[Pointer(x), Pointer(y), I32(100)])
    };
    for kind in faults(false, "one_too_many", launch) {
        // The first byte past the end is in no allocation.
        assert!(matches!(kind, FaultKind::NoAllocation { access: Access::Read, size: 4, .. }), "{kind:?}");
    }
}

#[test]
fn a_vector_over_the_end_of_an_allocation_is_out_of_bounds() {
    let launch = |gpu: &mut Gpu| {
        let y = gpu.room::<u8>(24);
        gpu.try_launch("misaligned_uint4", [1, 1, 1], [2, 1, 1], 0, &[Pointer(y), I32(0)])
    };
    assert_all!(
        faults(false, "misaligned_uint4", launch),
        FaultKind::OutOfBounds { access: Access::Write, space: Space::Global, address, size: 16, extent }
            if *address == extent.start + 16 && extent.end - extent.start == 24
    );
}

#[test]
fn misaligned_vectors_are_found() {
    assert_all!(
        faults(false, "misaligned_float4", xy("misaligned_float4", 32)),
        FaultKind::Misaligned { access: Access::Read, space: Space::Global, size: 16, alignment: 16, .. }
    );
    assert_all!(
        faults(false, "misaligned_float2", xy("misaligned_float2", 32)),
        FaultKind::Misaligned { access: Access::Read, size: 8, alignment: 8, .. }
    );
    let uint4 = |gpu: &mut Gpu| {
        let y = arrays(gpu)[1];
        gpu.try_launch("misaligned_uint4", [1, 1, 1], [32, 1, 1], 0, &[Pointer(y), I32(1)])
    };
    assert_all!(
        faults(false, "misaligned_uint4", uint4),
        FaultKind::Misaligned { access: Access::Write, size: 16, alignment: 16, .. }
    );
}

#[test]
fn shared_memory_that_nobody_has_written_is_found() {
    assert_all!(
        faults(false, "uninitialised", y("uninitialised", 64)),
        FaultKind::UninitialisedRead { address: 128..256, size: 4 }
    );
}

#[test]
fn an_atomic_on_shared_memory_that_nobody_has_written_is_found() {
    let launch = |gpu: &mut Gpu| {
        let (x, y) = (gpu.upload(&[1i32; 64]), gpu.room::<i32>(1));
        gpu.try_launch("counter_without_a_zero", [1, 1, 1], [64, 1, 1], 0, &[Pointer(x), Pointer(y)])
    };
    assert_all!(faults(false, "counter_without_a_zero", launch), FaultKind::UninitialisedRead { .. });
}

#[test]
fn a_block_of_too_many_threads_is_refused() {
    assert_all!(
        faults(false, "any_block", y("any_block", 2048)),
        FaultKind::LaunchTooLarge { block: [2048, 1, 1], .. }
    );
    assert_all!(
        faults(false, "any_block", y("any_block", 0)),
        FaultKind::EmptyLaunch { block: [0, 1, 1], .. }
    );
}

#[test]
fn a_block_past_its_launch_bounds_is_refused() {
    assert_all!(
        faults(false, "bounded", y("bounded", 128)),
        FaultKind::LaunchBounds { threads: 128, bound: 64 }
    );
}

#[test]
fn blocks_that_add_to_one_word_are_a_race() {
    let launch = |gpu: &mut Gpu| {
        let [x, y] = [gpu.upload(&floats(1, 8)), gpu.zeros::<f32>(1)].map(Pointer);
        gpu.try_launch("race_between_blocks", [8, 1, 1], [32, 1, 1], 0, &[x, y])
    };
    assert_all!(faults(true, "race_between_blocks", launch), FaultKind::Race { space: Space::Global, .. });
}

#[test]
fn lanes_of_one_instruction_that_write_one_word_are_a_race() {
    assert_all!(
        faults(true, "race_within_an_instruction", y("race_within_an_instruction", 32)),
        FaultKind::Race { access: Access::Write, space: Space::Shared, .. }
    );
}

#[test]
fn lanes_that_read_their_neighbours_without_a_syncwarp_are_a_race() {
    assert_all!(
        faults(true, "no_syncwarp", xy("no_syncwarp", 32)),
        FaultKind::Race { space: Space::Shared, .. }
    );
}

#[test]
fn a_plain_write_among_atomics_is_a_race() {
    assert_all!(
        faults(true, "plain_write_among_atomics", xy("plain_write_among_atomics", 64)),
        FaultKind::Race { space: Space::Shared, .. } | FaultKind::UninitialisedRead { .. }
    );
}

#[test]
fn memory_that_was_freed_is_known_as_such() {
    let launch = |gpu: &mut Gpu| {
        let [x, y] = arrays(gpu);
        gpu.driver.free(gpu.context, x).unwrap();
        gpu.try_launch("copy", [1, 1, 1], [64, 1, 1], 0, &[Pointer(x), Pointer(y), I32(64)])
    };
    assert_all!(faults(false, "copy", launch), FaultKind::UseAfterFree { access: Access::Read, .. });
}

#[test]
fn addresses_that_are_no_device_memory_are_found() {
    for address in [0, 4096, 0xffff_ffff_ffff_fff0] {
        let launch = |gpu: &mut Gpu| {
            let y = arrays(gpu)[1];
            gpu.try_launch("copy", [1, 1, 1], [4, 1, 1], 0, &[Pointer(address), Pointer(y), I32(4)])
        };
        assert_all!(faults(false, "copy", launch), FaultKind::NoAllocation { access: Access::Read, .. });
    }
}

#[test]
fn memory_of_the_host_is_no_device_memory() {
    let host = [1.0f32; 64];
    let address = host.as_ptr() as u64;
    let launch = |gpu: &mut Gpu| {
        let y = arrays(gpu)[1];
        gpu.try_launch("copy", [1, 1, 1], [64, 1, 1], 0, &[Pointer(address), Pointer(y), I32(64)])
    };
    assert_all!(faults(false, "copy", launch), FaultKind::NoAllocation { access: Access::Read, .. });
}

#[test]
fn a_grid_that_is_too_large_is_found() {
    let launch = |gpu: &mut Gpu| {
        let args = arrays(gpu).map(Pointer);
        gpu.try_launch("unchecked", [5, 1, 1], [128, 1, 1], 0, &args)
    };
    assert_all!(faults(false, "unchecked", launch), FaultKind::NoAllocation { .. });
}

#[test]
fn too_little_dynamic_shared_memory_is_found() {
    let launch = |gpu: &mut Gpu| {
        let args = arrays(gpu).map(Pointer);
        gpu.try_launch("dynamic_shared", [1, 1, 1], [256, 1, 1], 512, &args)
    };
    assert_all!(
        faults(false, "dynamic_shared", launch),
        FaultKind::OutOfBounds { access: Access::Write, space: Space::Shared, .. }
    );
}

#[test]
fn too_much_dynamic_shared_memory_is_refused_until_the_kernel_asks_for_it() {
    let launch = |gpu: &mut Gpu| {
        let args = arrays(gpu).map(Pointer);
        gpu.try_launch("dynamic_shared", [1, 1, 1], [256, 1, 1], 64 << 10, &args)
    };
    assert_all!(
        faults(false, "dynamic_shared", launch),
        FaultKind::SharedMemoryTooLarge { wanted: 65536, limit: 49152 }
    );
    let mut gpu = Gpu::new(Settings::default(), WRONG);
    let function = gpu.driver.function(gpu.module, "dynamic_shared").unwrap();
    assert!(gpu.driver.set_dynamic_shared(function, 200 << 10).is_err(), "more than the device has");
    gpu.driver.set_dynamic_shared(function, 64 << 10).unwrap();
    launch(&mut gpu).unwrap();
}

#[test]
fn a_copy_that_is_under_way_is_not_read() {
    assert_all!(
        faults(false, "async_copy_without_wait", xy("async_copy_without_wait", 32)),
        FaultKind::AsyncCopyPending { access: Access::Read, .. }
    );
}

#[test]
fn a_barrier_of_a_part_of_a_warp_is_found() {
    assert_all!(
        faults(false, "barrier_of_a_warp_and_a_half", y("barrier_of_a_warp_and_a_half", 64)),
        FaultKind::BarrierCount { barrier: 1, count: 48 }
    );
}

#[test]
fn a_barrier_that_waits_for_more_than_come_is_found() {
    assert_all!(
        faults(false, "barrier_for_too_many", y("barrier_for_too_many", 128)),
        FaultKind::BarrierSkipped { barrier: 1, .. } | FaultKind::BarrierDeadlock { barrier: 1, .. }
    );
}

#[test]
fn warps_that_leave_before_a_barrier_are_found() {
    let launch = |gpu: &mut Gpu| {
        let [x, y] = arrays(gpu);
        gpu.try_launch("early_return", [1, 1, 1], [128, 1, 1], 0, &[Pointer(x), Pointer(y), I32(32)])
    };
    assert_all!(
        faults(false, "early_return", launch),
        FaultKind::BarrierSkipped { barrier: 0, waiting: 1, finished: 3 }
    );
}

#[test]
fn constant_memory_is_not_written() {
    let launch = |gpu: &mut Gpu| {
        let (table, size) = gpu.driver.global(gpu.module, "table").unwrap();
        assert_eq!(size, 16);
        gpu.try_launch("read_only", [1, 1, 1], [4, 1, 1], 0, &[Pointer(table)])
    };
    assert_all!(faults(false, "read_only", launch), FaultKind::ReadOnly { access: Access::Write, .. });
}

#[test]
fn a_row_too_far_is_found() {
    let launch = |gpu: &mut Gpu| {
        let [x, y] = arrays(gpu);
        let args = [Pointer(x), Pointer(y), I32(16), I32(32)];
        gpu.try_launch("row_below", [1, 2, 1], [32, 8, 1], 0, &args)
    };
    assert_all!(faults(false, "row_below", launch), FaultKind::NoAllocation { access: Access::Read, .. });
}

#[test]
fn an_index_of_32_bits_that_overflows_is_found() {
    let launch = |gpu: &mut Gpu| {
        let [x, y] = arrays(gpu);
        let args = [Pointer(x), Pointer(y), I32(50_000), I32(50_000)];
        gpu.try_launch("index_overflow", [1, 1, 1], [32, 1, 1], 0, &args)
    };
    assert_all!(
        faults(false, "index_overflow", launch),
        FaultKind::NoAllocation { access: Access::Read, .. }
    );
}

#[test]
fn a_misaligned_row_of_ldmatrix_is_found() {
    assert_all!(
        faults(false, "misaligned_ldmatrix", y("misaligned_ldmatrix", 32)),
        FaultKind::Misaligned { space: Space::Shared, size: 16, alignment: 16, .. }
    );
}

#[test]
fn a_loop_without_an_end_is_ended() {
    let launch = |gpu: &mut Gpu| {
        let (flag, y) = (gpu.zeros::<i32>(1), gpu.room::<f32>(1));
        gpu.try_launch("endless", [1, 1, 1], [32, 1, 1], 0, &[Pointer(flag), Pointer(y)])
    };
    assert_all!(faults(false, "endless", launch), FaultKind::InstructionLimit { limit: 1_048_576 });
}

#[test]
fn a_ballot_with_lanes_that_do_not_come_is_found() {
    assert_all!(
        faults(false, "ballot_of_a_half", y("ballot_of_a_half", 32)),
        FaultKind::LanesMissing { mask: u32::MAX, missing: 0xffff_0000 }
            | FaultKind::MaskNamesAbsentLanes { mask: u32::MAX, absent: 0xffff_0000 }
    );
}

#[test]
fn a_lane_outside_its_own_mask_is_found() {
    assert_all!(
        faults(false, "mask_without_the_lane", y("mask_without_the_lane", 32)),
        FaultKind::MaskLeavesOut { mask: 0xffff, left_out: 0x1_0000 }
    );
}

#[test]
fn an_assertion_that_fails_is_reported_with_its_text() {
    let launch = |gpu: &mut Gpu| {
        let (x, y) = (gpu.upload(&[1i32, 2, -3, 4]), gpu.room::<i32>(4));
        gpu.try_launch("asserted", [1, 1, 1], [4, 1, 1], 0, &[Pointer(x), Pointer(y)])
    };
    assert_all!(faults(false, "asserted", launch), FaultKind::Trap { message } if message.contains("x[threadIdx.x] >= 0"));
}

#[test]
fn a_division_by_zero_is_found() {
    let launch = |gpu: &mut Gpu| {
        let (x, y) = (gpu.upload(&[1i32, 2, 0, 4]), gpu.room::<i32>(4));
        gpu.try_launch("division", [1, 1, 1], [4, 1, 1], 0, &[Pointer(x), Pointer(y)])
    };
    assert_all!(faults(false, "division", launch), FaultKind::DivisionByZero);
}

#[test]
fn parameters_of_another_size_are_refused() {
    let launch = |gpu: &mut Gpu| gpu.try_launch("any_block", [1, 1, 1], [1, 1, 1], 0, &[F32(1.0)]);
    assert_all!(faults(false, "any_block", launch), FaultKind::Parameters { given: 4, wanted: 8 });
}

#[test]
fn a_fault_leaves_the_device_unusable_and_a_refusal_does_not() {
    let mut gpu = Gpu::new(Settings::default(), WRONG);
    assert_eq!(y("bounded", 128)(&mut gpu).unwrap_err().code(), Code::LaunchOutOfResources);
    assert_eq!(y("any_block", 2048)(&mut gpu).unwrap_err().code(), Code::InvalidValue);
    y("any_block", 32)(&mut gpu).unwrap();
    let [x, _] = arrays(&mut gpu);
    assert_eq!(xy("misaligned_float4", 32)(&mut gpu).unwrap_err().code(), Code::MisalignedAddress);
    let later = [
        gpu.driver.allocate(gpu.context, 4).unwrap_err(),
        gpu.driver.free(gpu.context, x).unwrap_err(),
        gpu.driver.read(gpu.stream, x, 4).unwrap_err(),
        gpu.try_launch("any_block", [1, 1, 1], [1, 1, 1], 0, &[Pointer(x)]).unwrap_err(),
    ];
    for error in later {
        assert_eq!(error, Error::Broken(Code::MisalignedAddress));
    }
}

#[test]
fn a_fault_of_deferred_work_is_found_at_the_synchronisation() {
    let mut gpu = Gpu::new(Settings { deferred: true, ..Settings::default() }, WRONG);
    xy("misaligned_float4", 32)(&mut gpu).unwrap();
    let error = gpu.driver.synchronise(gpu.context).unwrap_err();
    assert_eq!((error.code(), error.kind()), (Code::MisalignedAddress, "Misaligned".to_owned()));
    // What is refused at the call is refused there.
    let mut gpu = Gpu::new(Settings { deferred: true, ..Settings::default() }, WRONG);
    assert!(y("bounded", 128)(&mut gpu).is_err());
}

/// Copies `x` to `y` in one stream and `y` to `z` in another; returns the first number of `z`.
fn copied_through_two_streams(deferred: bool, with_event: bool) -> f32 {
    let mut gpu = Gpu::new(Settings { deferred, ..Settings::default() }, WRONG);
    let [first, second] = [0; 2].map(|_| {
        let handle = gpu.driver.create_stream(gpu.context, 1, 0).unwrap();
        gpu.driver.stream(gpu.context, handle).unwrap()
    });
    let (x, [y, z]) = (gpu.upload(&[7f32; 64]), [0; 2].map(|_| gpu.room::<f32>(64)));
    gpu.driver.synchronise(gpu.context).unwrap();
    gpu.stream = first;
    gpu.launch("copy", 1, 64, &[Pointer(x), Pointer(y), I32(64)]);
    if with_event {
        let event = gpu.driver.create_event(gpu.context, 0).unwrap();
        gpu.driver.record(event, first).unwrap();
        gpu.driver.wait(second, event).unwrap();
    }
    gpu.stream = second;
    gpu.launch("copy", 1, 64, &[Pointer(y), Pointer(z), I32(64)]);
    gpu.download::<f32>(z, 1)[0]
}

#[test]
fn a_missing_event_between_streams_shows_when_work_is_deferred() {
    assert_eq!(copied_through_two_streams(true, true), 7.0);
    assert!(copied_through_two_streams(true, false).is_nan());
    assert_eq!(copied_through_two_streams(false, false), 7.0, "which is why it is not found otherwise");
}

#[test]
fn the_device_is_lost_at_the_launch_that_the_settings_name() {
    let lose = Some(Loss { launch: 3, code: Code::LaunchFailed });
    for deferred in [false, true] {
        let mut gpu = Gpu::new(Settings { lose, deferred, ..Settings::default() }, WRONG);
        let y = gpu.room::<f32>(32);
        let mut launch = || gpu.try_launch("any_block", [1, 1, 1], [32, 1, 1], 0, &[Pointer(y)]);
        assert_eq!((launch(), launch()), (Ok(()), Ok(())));
        assert_eq!(launch(), Err(Error::Lost(Code::LaunchFailed)));
        assert_eq!(launch(), Err(Error::Broken(Code::LaunchFailed)));
        assert_eq!(gpu.driver.read(gpu.stream, y, 4), Err(Error::Broken(Code::LaunchFailed)));
    }
}
