//! Faults of launches, memory and barriers, each by its own name.

use super::*;
use crate::fault::{Access, Space};

const ADDRESS: &str =
    "ld.param.u64 %d1, [p0]; mov.u32 %r1, %tid.x; mul.wide.u32 %d2, %r1, 4; add.s64 %d2, %d1, %d2;";

#[test]
fn an_access_past_the_end_of_an_allocation_is_reported_with_its_address() {
    for (code, access) in [
        ("ld.global.u32 %r2, [%d2];", Access::Read),
        ("st.global.u32 [%d2], %r1;", Access::Write),
        ("red.global.add.u32 [%d2], 1;", Access::Atomic),
    ] {
        for threads in [33, 64] {
            let mut memory = Memory::default();
            let at = memory.put(&[0u32; 32]);
            let fault =
                fault(&text("", 1, &format!("{ADDRESS} {code}")), &mut memory, (1, threads), &[at], &SERIAL);
            let end = at + 128;
            match fault.kind {
                FaultKind::NoAllocation { access: by, address, size: 4 } => {
                    assert_eq!((by, address), (access, end))
                }
                other => panic!("{other}"),
            }
            let found = fault.at.unwrap();
            assert_eq!((found.thread, found.block), ([32, 0, 0], [0, 0, 0]));
            assert_eq!(fault.kernel, "kernel");
            assert_eq!(format!("{};", found.instruction), code);
        }
    }
    // One that begins within and ends past it.
    let mut memory = Memory::default();
    let at = memory.put(&[0u32; 6]);
    let code = "ld.param.u64 %d1, [p0]; ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%d1+16];";
    let found = kind(&text("", 1, code), &mut memory, (1, 1), &[at], &SERIAL);
    let (access, space) = (Access::Read, Space::Global);
    assert_eq!(
        found,
        FaultKind::OutOfBounds { access, space, address: at + 16, size: 16, extent: at..at + 24 }
    );
}

#[test]
fn misaligned_freed_and_constant_memory() {
    let mut memory = Memory::default();
    let at = memory.put(&[0u32; 8]);
    let code = "ld.param.u64 %d1, [p0]; ld.global.v2.f32 {%r1, %r2}, [%d1+4];";
    let found = kind(&text("", 1, code), &mut memory, (1, 1), &[at], &SERIAL);
    let (access, space) = (Access::Read, Space::Global);
    assert_eq!(found, FaultKind::Misaligned { access, space, address: at + 4, size: 8, alignment: 8 });
    memory.free(at);
    let code = "ld.param.u64 %d1, [p0]; st.global.u32 [%d1], 1;";
    let found = kind(&text("", 1, code), &mut memory, (1, 1), &[at], &SERIAL);
    assert_eq!(
        found,
        FaultKind::UseAfterFree { access: Access::Write, address: at, size: 4, extent: at..at + 32 }
    );
    let code = "mov.u64 %d1, c; cvta.const.u64 %d1, %d1; st.u32 [%d1], 1;";
    let found = kind(&text(".const .u32 c;", 1, code), &mut Memory::default(), (1, 1), &[0], &SERIAL);
    assert!(matches!(found, FaultKind::ReadOnly { access: Access::Write, size: 4, .. }), "{found}");
}

#[test]
fn shared_local_and_parameter_memory_have_their_bounds() {
    let found = |code: &str| kind(&text("", 1, code), &mut Memory::default(), (1, 32), &[0], &SERIAL);
    let (access, size) = (Access::Write, 4);
    let code = ".shared .align 4 .b8 s[64]; mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 2; mov.u32 %r3, s; add.s32 %r3, %r3, %r2; st.shared.u32 [%r3], %r1;";
    assert_eq!(
        found(code),
        FaultKind::OutOfBounds { access, space: Space::Shared, address: 64, size, extent: 0..64 }
    );
    let code = ".local .align 4 .b8 l[16]; mov.u64 %d1, l; st.local.u32 [%d1+16], 1;";
    assert_eq!(
        found(code),
        FaultKind::OutOfBounds { access, space: Space::Local, address: 16, size, extent: 0..16 }
    );
    let code = "ld.param.u32 %r1, [p0+8];";
    let access = Access::Read;
    assert_eq!(
        found(code),
        FaultKind::OutOfBounds { access, space: Space::Param, address: 8, size, extent: 0..8 }
    );
    let code = ".shared .align 8 .b8 s[64]; ld.shared.u64 %d1, [s+4];";
    let (space, size, address) = (Space::Shared, 8, 4);
    assert_eq!(found(code), FaultKind::Misaligned { access, space, address, size, alignment: 8 });
}

#[test]
fn shared_memory_is_read_once_it_was_written() {
    let code =
        ".shared .align 4 .b8 s[64]; st.shared.u16 [s], 1; ld.shared.u16 %h1, [s]; ld.shared.u32 %r1, [s];";
    let found = kind(&text("", 1, code), &mut Memory::default(), (2, 1), &[0], &SERIAL);
    assert_eq!(found, FaultKind::UninitialisedRead { address: 0, size: 4 });
    // What one block has written is not there for the next one.
    let code = ".shared .align 4 .b8 s[4]; mov.u32 %r1, %ctaid.x; setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [s], 1; ld.shared.u32 %r1, [s];";
    let fault = fault(&text("", 1, code), &mut Memory::default(), (2, 1), &[0], &SERIAL);
    assert_eq!(fault.kind, FaultKind::UninitialisedRead { address: 0, size: 4 });
    assert_eq!(fault.at.unwrap().block, [1, 0, 0]);
}

#[test]
fn copies_under_way_must_not_be_touched() {
    let found = |code: &str| {
        let mut memory = Memory::default();
        let at = memory.put(&[7u32; 16]);
        let code = format!(
            ".shared .align 16 .b8 s[64]; ld.param.u64 %d1, [p0]; cp.async.ca.shared.global [s], [%d1], 16; {code}"
        );
        kind(&text("", 1, &code), &mut memory, (1, 1), &[at], &SERIAL)
    };
    let pending = |access| FaultKind::AsyncCopyPending { access, address: 4, size: 4 };
    assert_eq!(found("ld.shared.u32 %r1, [s+4];"), pending(Access::Read));
    // A group that was not committed is not waited for.
    assert_eq!(found("cp.async.wait_group 0; ld.shared.u32 %r1, [s+4];"), pending(Access::Read));
    assert_eq!(
        found("cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r1, [s+4];"),
        pending(Access::Read)
    );
    assert_eq!(found("st.shared.u32 [s+4], 1;"), pending(Access::Write));
    assert_eq!(
        found("cp.async.ca.shared.global [s+8], [%d1], 8;"),
        FaultKind::AsyncCopyOverlap { address: 8, size: 8 }
    );
    let misaligned = found("cp.async.cg.shared.global [s+16], [%d1+8], 16;");
    assert!(matches!(misaligned, FaultKind::Misaligned { size: 16, .. }), "{misaligned}");
    let outside = found("cp.async.cg.shared.global [s+16], [%d1+64], 16;");
    assert!(matches!(outside, FaultKind::NoAllocation { .. } | FaultKind::OutOfBounds { .. }), "{outside}");
}

#[test]
fn barriers_that_not_all_come_to() {
    let found = |code: &str, threads| {
        kind(&text("", 1, &format!("{ADDRESS} {code}")), &mut Memory::default(), (1, threads), &[0], &SERIAL)
    };
    let code = "setp.lt.u32 %p1, %r1, 40; @!%p1 bra end; bar.sync 0; end:";
    assert_eq!(found(code, 128), FaultKind::DivergentBarrier { arrived: 0xff, missing: 0xffff_ff00 });
    let code = "setp.lt.u32 %p1, %r1, 32; @!%p1 bra end; bar.sync 0; end:";
    assert_eq!(found(code, 128), FaultKind::BarrierSkipped { barrier: 0, waiting: 1, finished: 3 });
    let code = "setp.lt.u32 %p1, %r1, 5; @%p1 exit; bar.sync 0;";
    assert_eq!(found(code, 32), FaultKind::DivergentBarrier { arrived: 0xffff_ffe0, missing: 0x1f });
    let code = "setp.lt.u32 %p1, %r1, 8; @%p1 bra other; bar.sync 0; bra end; other: bar.sync 0; end:";
    assert!(matches!(found(code, 32), FaultKind::DivergentBarrier { .. }));
    let code = "setp.lt.u32 %p1, %r1, 32; @%p1 bra other; bar.sync 1; bra end; other: bar.sync 2; end:";
    assert_eq!(found(code, 64), FaultKind::BarrierDeadlock { barrier: 2, expected: 64, arrived: 32 });
    assert_eq!(
        found("bar.sync 0, 96;", 64),
        FaultKind::BarrierDeadlock { barrier: 0, expected: 96, arrived: 64 }
    );
    assert_eq!(found("bar.sync 0, 40;", 64), FaultKind::BarrierCount { barrier: 0, count: 40 });
    assert_eq!(found("bar.sync 16;", 64), FaultKind::BarrierCount { barrier: 16, count: 0 });
    let code =
        "setp.lt.u32 %p1, %r1, 32; @%p1 bra other; bar.sync 1, 64; bra end; other: bar.sync 1, 96; end:";
    assert_eq!(found(code, 64), FaultKind::BarrierCount { barrier: 1, count: 64 });
}

#[test]
fn launches_past_the_limits_are_refused() {
    let text = |bounds: &str| {
        let text = text("", 1, ".shared .align 4 .b8 s[40000]; mov.u32 %r1, s;");
        text.replace("(.param .u64 p0)\n", &format!("(.param .u64 p0) {bounds}\n"))
    };
    let refused = |bounds: &str, grid, block, dynamic_shared, params: &[u8]| {
        let module = ptx::parse(&text(bounds)).unwrap();
        let kernel = module.kernel("kernel").unwrap();
        let of = Launch { kernel, grid, block, dynamic_shared, shared_limit: 49152, params };
        let fault = launch(&of, &Memory::default(), &SERIAL).unwrap_err();
        assert_eq!(fault.at, None);
        fault.kind
    };
    let one = [1; 3];
    let params = [0; 8];
    let grid = [1, 0, 1];
    assert_eq!(refused("", grid, one, 0, &params), FaultKind::EmptyLaunch { grid, block: one });
    for (grid, block) in
        [([1; 3], [1025, 1, 1]), ([1; 3], [33, 32, 1]), ([1; 3], [1, 1, 65]), ([1, 65536, 1], [1; 3])]
    {
        assert_eq!(refused("", grid, block, 0, &params), FaultKind::LaunchTooLarge { grid, block });
    }
    assert_eq!(
        refused(".maxntid 64, 2, 1", one, [129, 1, 1], 0, &params),
        FaultKind::LaunchBounds { threads: 129, bound: 128 }
    );
    assert_eq!(
        refused(".maxnreg 128", one, [1024, 1, 1], 0, &params),
        FaultKind::TooManyRegisters { threads: 1024, registers: 128 }
    );
    let wanted = 40000 + 9153;
    assert_eq!(
        refused("", one, one, 9153, &params),
        FaultKind::SharedMemoryTooLarge { wanted, limit: 49152 }
    );
    assert_eq!(refused("", one, one, 0, &params[..4]), FaultKind::Parameters { given: 4, wanted: 8 });
}

#[test]
fn a_fault_is_told_in_one_line() {
    let mut memory = Memory::default();
    let at = memory.put(&[0u32; 8]);
    memory.free(at);
    let fault = fault(
        &text("", 1, "ld.param.u64 %d1, [p0];\nst.global.u32 [%d1], 1;"),
        &mut memory,
        (1, 1),
        &[at],
        &SERIAL,
    );
    let wanted = format!(
        "kernel: write of 4 bytes at {at:#x}, in memory that was freed ({at:#x} to {:#x}), in «st.global.u32 [%d1], 1» (line 9), \
         block (0, 0, 0), thread (0, 0, 0)",
        at + 32
    );
    assert_eq!(fault.to_string(), wanted);
}
