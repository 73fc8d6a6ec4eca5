//! Races, and what is none.

use super::*;
use crate::fault::{Access, Space};

const SHARED: &str = ".shared .align 16 .b8 s[1024]; mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 2; mov.u32 %r3, s; add.s32 %r2, %r2, %r3; \
    ld.param.u64 %d1, [p0]; mul.wide.u32 %d2, %r1, 4; add.s64 %d2, %d2, %d1;";

fn result(code: &str, shape: (u32, u32), order: Order) -> Result<Counts, FaultKind> {
    let mut memory = Memory::default();
    let at = memory.put(&[0u32; 256]);
    let text = text("", 1, &format!("{SHARED} {code}"));
    run(&text, &mut memory, shape, &[at], &Settings { order, ..RACES }).map_err(|fault| fault.kind)
}

/// The two accesses of a race.
fn race(code: &str, shape: (u32, u32)) -> (Space, Access, Access) {
    let kinds: Vec<_> = [Order::Forward, Order::Reversed, Order::Random(3)]
        .map(|order| match result(code, shape, order) {
            Err(FaultKind::Race { space, access, earlier, .. }) => (space, access, earlier.access),
            other => panic!("{other:?}"),
        })
        .into();
    kinds[0]
}

fn no_race(code: &str, shape: (u32, u32)) {
    for order in [Order::Forward, Order::Reversed, Order::Random(3)] {
        result(code, shape, order).unwrap_or_else(|fault| panic!("{fault}"));
    }
}

#[test]
fn warps_race_without_a_barrier_between() {
    let neighbour = |between: &str| {
        format!(
            "st.shared.u32 [%r2], %r1; {between} xor.b32 %r4, %r1, 32; shl.b32 %r4, %r4, 2; add.s32 %r4, %r4, %r3; ld.shared.u32 %r5, [%r4];"
        )
    };
    no_race(&neighbour("bar.sync 0;"), (1, 64));
    let code = neighbour("bar.warp.sync -1;");
    let found = result(&code, (1, 64), Order::Forward);
    assert!(matches!(found, Err(FaultKind::UninitialisedRead { .. } | FaultKind::Race { .. })), "{found:?}");
    // Whichever warp is ahead overwrites what the other has yet to read.
    let code = format!("{} st.shared.u32 [%r2], %r1;", neighbour("bar.sync 0;"));
    assert_eq!(race(&code, (1, 64)), (Space::Shared, Access::Read, Access::Write));
    no_race(&format!("{} bar.sync 0; st.shared.u32 [%r2], %r1;", neighbour("bar.sync 0;")), (1, 64));
}

#[test]
fn lanes_of_a_warp_race_without_a_warp_barrier_between() {
    let neighbour = |between: &str| {
        format!(
            "st.shared.u32 [%r2], %r1; {between} xor.b32 %r4, %r1, 1; shl.b32 %r4, %r4, 2; add.s32 %r4, %r4, %r3; ld.shared.u32 %r5, [%r4];"
        )
    };
    assert_eq!(race(&neighbour(""), (1, 32)), (Space::Shared, Access::Read, Access::Write));
    no_race(&neighbour("bar.warp.sync -1;"), (1, 32));
    no_race(&neighbour("bar.sync 0;"), (1, 32));
    no_race(&neighbour("mov.u32 %r9, -1; bar.warp.sync %r9;"), (1, 32));
    // A shuffle promises no order of memory.
    assert_eq!(
        race(&neighbour("shfl.sync.bfly.b32 %r6, %r1, 1, 31, -1;"), (1, 32)),
        (Space::Shared, Access::Read, Access::Write)
    );
    // A barrier of other lanes orders these ones as little.
    let halves =
        "setp.lt.u32 %p1, %r1, 16; mov.u32 %r9, 0xffff0000; @%p1 mov.u32 %r9, 0xffff; bar.warp.sync %r9;";
    no_race(&neighbour(halves), (1, 32));
    let far = neighbour(halves).replace("xor.b32 %r4, %r1, 1;", "xor.b32 %r4, %r1, 16;");
    assert_eq!(race(&far, (1, 32)), (Space::Shared, Access::Read, Access::Write));
}

#[test]
fn one_instruction_races_with_itself_where_its_values_differ() {
    assert_eq!(race("st.shared.u32 [s], %r1;", (1, 32)), (Space::Shared, Access::Write, Access::Write));
    no_race("st.shared.u32 [s], 7;", (1, 32));
    assert_eq!(race("st.shared.u32 [s], 7;", (1, 64)), (Space::Shared, Access::Write, Access::Write));
    // Halves of one word are two places.
    no_race("shl.b32 %r4, %r1, 1; add.s32 %r4, %r4, %r3; st.shared.u16 [%r4], %r1;", (1, 64));
}

#[test]
fn blocks_race_in_global_memory_whatever_is_between() {
    assert_eq!(
        race("st.global.u32 [%d2], %r1; bar.sync 0;", (2, 32)),
        (Space::Global, Access::Write, Access::Write)
    );
    let (space, access, earlier) = race(
        "mov.u32 %r5, %ctaid.x; setp.eq.u32 %p1, %r5, 0; @%p1 st.global.u32 [%d2], 1; @!%p1 ld.global.u32 %r6, [%d2];",
        (2, 32),
    );
    assert!(space == Space::Global && access != earlier);
    no_race("ld.global.u32 %r6, [%d2];", (4, 64));
    no_race("st.global.u32 [%d2], %r1; ld.global.u32 %r6, [%d2];", (1, 64));
}

#[test]
fn atomic_operations_race_with_plain_accesses_alone() {
    no_race("red.global.add.u32 [%d1], 1;", (3, 64));
    no_race(
        "red.global.add.u32 [%d1], 1; ld.relaxed.gpu.global.u32 %r5, [%d1]; st.volatile.global.u32 [%d1], %r5;",
        (3, 64),
    );
    assert_eq!(race("red.global.add.u32 [%d1], 1; ld.global.u32 %r5, [%d1];", (1, 64)).0, Space::Global);
    assert_eq!(
        race("st.global.u32 [%d1], 7; red.global.add.u32 [%d1], 1;", (1, 32)),
        (Space::Global, Access::Atomic, Access::Write)
    );
}

#[test]
fn copies_are_in_order_with_others_after_a_wait_and_a_barrier() {
    let copy = |between: &str| {
        format!(
            "mov.u32 %r4, %r1; shl.b32 %r5, %r4, 2; add.s32 %r5, %r5, %r3; cp.async.ca.shared.global [%r5], [%d2], 4; \
             cp.async.commit_group; {between} xor.b32 %r6, %r1, 33; shl.b32 %r6, %r6, 2; add.s32 %r6, %r6, %r3; ld.shared.u32 %r7, [%r6];"
        )
    };
    no_race(&copy("cp.async.wait_group 0; bar.sync 0;"), (1, 64));
    // In the other order the barrier comes before the copy is there.
    let found = result(&copy("bar.sync 0; cp.async.wait_group 0;"), (1, 64), Order::Forward);
    assert!(matches!(found, Err(FaultKind::AsyncCopyPending { access: Access::Read, .. })), "{found:?}");
    let found = result(&copy("bar.sync 0; cp.async.wait_group 0;"), (1, 32), Order::Forward);
    assert!(found.is_err());
}

#[test]
fn a_race_tells_both_its_sides() {
    let mut memory = Memory::default();
    let at = memory.put(&[0u32; 4]);
    let code = "ld.param.u64 %d1, [p0]; mov.u32 %r1, %ctaid.x; st.global.u32 [%d1+4], %r1;";
    let fault = fault(&text("", 1, code), &mut memory, (3, 1), &[at], &RACES);
    let FaultKind::Race { address, size, earlier, .. } = &fault.kind else { panic!("{fault}") };
    assert_eq!((*address, *size), (at + 4, 4));
    assert_eq!((earlier.at.block, fault.at.as_ref().unwrap().block), ([0, 0, 0], [1, 0, 0]));
    assert!(fault.to_string().contains("after a write, in «st.global.u32 [%d1+4], %r1»"), "{fault}");
}
