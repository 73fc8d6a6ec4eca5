//! What lanes of a warp do together.

use super::*;

const LANES: [u32; 32] = {
    let mut lanes = [0; 32];
    let mut lane = 0;
    while lane < 32 {
        lanes[lane] = 100 + lane as u32;
        lane += 1;
    }
    lanes
};

/// `shfl` as CUDA's documentation tells it: which lane a lane reads, and whether that is in its segment.
fn source(mode: &str, lane: i32, b: i32, width: i32) -> Option<i32> {
    let start = lane / width * width;
    let from = match mode {
        "up" => lane - b,
        "down" => lane + b,
        "bfly" => lane ^ b,
        _ => start + b % width,
    };
    let inside = match mode {
        // A butterfly may read earlier segments, never later ones.
        "bfly" => from < start + width,
        _ => (start..start + width).contains(&from),
    };
    inside.then_some(from)
}

#[test]
fn shuffles_read_within_their_segments_and_say_so() {
    for mode in ["up", "down", "bfly", "idx"] {
        for width in [32, 16, 8, 4, 2, 1] {
            for b in [0, 1, 2, 3, 7, 8, 15, 16, 31] {
                let clamp = if mode == "up" { 0 } else { 0x1f };
                let c = (32 - width) << 8 | clamp;
                let code = format!("shfl.sync.{mode}.b32 %r0|%p0, %r2, {b}, {c}, -1;");
                let (values, inside) = lanes(&code, 32, &[LANES]).unwrap();
                for lane in 0..32 {
                    let from = source(mode, lane, b, width);
                    let text = format!("{mode} of {b} in {width}, lane {lane}");
                    assert_eq!(values[lane as usize], 100 + from.unwrap_or(lane) as u32, "{text}");
                    assert_eq!(inside >> lane & 1 == 1, from.is_some(), "{text}");
                }
            }
        }
    }
}

#[test]
fn a_shuffle_reads_only_lanes_that_its_mask_names() {
    let code = "setp.lt.u32 %p1, %r1, 16; @!%p1 bra end; shfl.sync.bfly.b32 %r0, %r2, 16, 31, 0xffff; end:";
    let fault = lanes(code, 32, &[LANES]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::ShuffleOutsideMask { mask: 0xffff, lane: 16 });
    assert!(fault.at.unwrap().instruction.starts_with("shfl.sync"));
}

#[test]
fn halves_of_a_warp_may_shuffle_apart() {
    let code = "setp.lt.u32 %p1, %r1, 16; mov.u32 %r3, 0xffff0000; @%p1 mov.u32 %r3, 0xffff; \
        shfl.sync.bfly.b32 %r0, %r2, 1, 31, %r3;";
    let (values, _) = lanes(code, 32, &[LANES]).unwrap();
    assert_eq!(values, (0..32).map(|lane| 100 + (lane ^ 1)).collect::<Vec<u32>>());
}

#[test]
fn lanes_that_parted_meet_again_at_a_shuffle() {
    // The odd lanes take a longer way, with a loop in it.
    let code = "and.b32 %r3, %r1, 1; setp.eq.s32 %p1, %r3, 0; @%p1 bra even; mov.u32 %r4, 0; again: add.s32 %r4, %r4, 1; \
        setp.lt.u32 %p2, %r4, %r1; @%p2 bra again; even: shfl.sync.down.b32 %r0, %r2, 1, 31, -1;";
    let (values, _) = lanes(code, 32, &[LANES]).unwrap();
    assert_eq!(values, (0..32).map(|lane: u32| 100 + (lane + 1).min(31)).collect::<Vec<u32>>());
}

#[test]
fn masks_must_fit_the_lanes_that_are_there() {
    let fault = lanes("shfl.sync.idx.b32 %r0, %r2, 0, 31, -1;", 20, &[LANES]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::MaskNamesAbsentLanes { mask: u32::MAX, absent: 0xfff0_0000 });
    let fault = lanes("vote.sync.any.pred %p0, %p1, 0xff;", 32, &[]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::MaskLeavesOut { mask: 0xff, left_out: 0x100 });
    let wait = "setp.lt.u32 %p1, %r1, 8; @!%p1 bra other; bar.warp.sync 0xffff; bra.uni end; other: bar.warp.sync 0xffff00ff; end:";
    let fault = lanes(wait, 32, &[]).unwrap_err();
    assert!(matches!(fault.kind, FaultKind::MaskLeavesOut { .. }), "{fault}");
    let wait = "setp.lt.u32 %p1, %r1, 8; @!%p1 bra other; bar.warp.sync -1; bra.uni end; other: bar.warp.sync -1; end:";
    let fault = lanes(wait, 32, &[]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::LanesMissing { mask: u32::MAX, missing: 0xffff_ff00 });
    let differ = "setp.lt.u32 %p1, %r1, 8; mov.u32 %r3, -1; @%p1 mov.u32 %r3, 0xff; bar.warp.sync %r3;";
    let fault = lanes(differ, 32, &[]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::MasksDiffer { one: u32::MAX, other: 0xff });
}

#[test]
fn lanes_that_a_guard_passes_over_take_no_part() {
    let code = "setp.lt.u32 %p1, %r1, 4; @%p1 shfl.sync.idx.b32 %r0, %r2, 3, 31, 0xf;";
    let (values, _) = lanes(code, 32, &[LANES]).unwrap();
    assert_eq!(values[..5], [103, 103, 103, 103, 0]);
    let fault = lanes("setp.lt.u32 %p1, %r1, 4; @%p1 shfl.sync.idx.b32 %r0, %r2, 3, 31, 0xff;", 32, &[LANES])
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::LanesMissing { mask: 0xff, missing: 0xf0 });
}

#[test]
fn votes_of_all_any_and_uniform_lanes() {
    for (below, all, any, uniform) in
        [(0, false, false, true), (5, false, true, false), (32, true, true, true)]
    {
        let vote = |kind: &str| {
            let code = format!("setp.lt.u32 %p1, %r1, {below}; vote.sync.{kind}.pred %p0, %p1, -1;");
            lanes(&code, 32, &[]).unwrap().1
        };
        let mask = |holds: bool| if holds { u32::MAX } else { 0 };
        assert_eq!((vote("all"), vote("any"), vote("uni")), (mask(all), mask(any), mask(uniform)), "{below}");
        let code = format!("setp.lt.u32 %p1, %r1, {below}; vote.sync.ballot.b32 %r0, !%p1, -1;");
        assert_eq!(lanes(&code, 32, &[]).unwrap().0, vec![!((1u64 << below) as u32).wrapping_sub(1); 32]);
    }
    let code = "setp.lt.u32 %p1, %r1, 8; @!%p1 bra out; activemask.b32 %r0; out:";
    assert_eq!(lanes(code, 32, &[]).unwrap().0[..9], [255, 255, 255, 255, 255, 255, 255, 255, 0]);
}

#[test]
fn matches_and_reductions() {
    let values: [u32; 32] = std::array::from_fn(|lane| lane as u32 % 3);
    let same = |lane: u32| {
        (0..32).filter(|other| other % 3 == lane % 3).fold(0u32, |found, other| found | 1 << other)
    };
    let (found, _) = lanes("match.any.sync.b32 %r0, %r2, -1;", 32, &[values]).unwrap();
    assert_eq!(found, (0..32).map(same).collect::<Vec<_>>());
    let (found, set) = lanes("match.all.sync.b32 %r0|%p0, %r2, -1;", 32, &[values]).unwrap();
    assert_eq!((found, set), (vec![0; 32], 0));
    let (found, set) = lanes("mov.u64 %d1, 5; match.all.sync.b64 %r0|%p0, %d1, -1;", 32, &[]).unwrap();
    assert_eq!((found, set), (vec![u32::MAX; 32], u32::MAX));
    let values: [u32; 32] = std::array::from_fn(|lane| (lane as u32).wrapping_mul(0x9e37_79b9) | 1);
    let signed = || values.iter().map(|x| *x as i32);
    for (op, wanted) in [
        ("add.u32", values.iter().fold(0u32, |x, y| x.wrapping_add(*y))),
        ("min.u32", *values.iter().min().unwrap()),
        ("max.s32", signed().max().unwrap() as u32),
        ("min.s32", signed().min().unwrap() as u32),
        ("and.b32", values.iter().fold(u32::MAX, |x, y| x & y)),
        ("or.b32", values.iter().fold(0, |x, y| x | y)),
        ("xor.b32", values.iter().fold(0, |x, y| x ^ y)),
    ] {
        let (found, _) = lanes(&format!("redux.sync.{op} %r0, %r2, -1;"), 32, &[values]).unwrap();
        assert_eq!(found, vec![wanted; 32], "{op}");
    }
}
