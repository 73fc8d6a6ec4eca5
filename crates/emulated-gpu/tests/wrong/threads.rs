//! Threads that do not wait for each other, or wait for those that do not come.

use crate::{
    arrays, assert_all,
    common::{
        Arg::{I32, Pointer},
        Gpu, floats,
    },
    faults, xy, y,
};
use emulated_gpu::fault::{Access, FaultKind, Space};

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
fn a_copy_that_is_under_way_is_not_read() {
    assert_all!(
        faults(false, "async_copy_without_wait", xy("async_copy_without_wait", 32)),
        FaultKind::AsyncCopyPending { access: Access::Read, .. }
    );
}

#[test]
fn a_group_of_copies_that_is_not_waited_for_is_not_read() {
    assert_all!(
        faults(false, "one_group_too_many_left", xy("one_group_too_many_left", 32)),
        FaultKind::AsyncCopyPending { access: Access::Read, .. }
    );
}

#[test]
fn a_tile_that_is_written_while_others_read_it_is_a_race() {
    assert_all!(
        faults(true, "next_tile_in_the_same_place", xy("next_tile_in_the_same_place", 64)),
        FaultKind::Race { space: Space::Shared, .. }
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
