//! Branches, calls, ends, traps and barriers.

use super::*;

#[test]
fn lanes_part_loop_and_meet() {
    // Collatz steps of each lane's number: every lane loops differently often.
    let code = "add.s32 %r3, %r1, 1; mov.u32 %r0, 0; again: setp.eq.s32 %p1, %r3, 1; @%p1 bra done; and.b32 %r4, %r3, 1; \
        setp.eq.s32 %p2, %r4, 0; @%p2 bra even; mad.lo.s32 %r3, %r3, 3, 1; bra.uni next; even: shr.u32 %r3, %r3, 1; \
        next: add.s32 %r0, %r0, 1; bra again; done:";
    let steps = |mut n: u32| {
        let mut count = 0;
        while n != 1 {
            n = if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 };
            count += 1;
        }
        count
    };
    assert_eq!(lanes(code, 32, &[]).unwrap().0, (1..=32).map(steps).collect::<Vec<_>>());
}

#[test]
fn lanes_leave_one_by_one() {
    let code = "setp.gt.u32 %p1, %r1, 3; @%p1 exit; mov.u32 %r0, 7; setp.eq.u32 %p2, %r1, 2; @%p2 ret; nanosleep.u32 100;";
    let (values, _) = lanes(code, 32, &[]).unwrap();
    assert_eq!(values[..5], [7, 7, 0, 7, 0]);
}

#[test]
fn calls_have_parameters_results_and_names_of_their_own() {
    let before = ".visible .func (.param .b32 result) scale(.param .b32 x, .param .b64 by)\n{ .reg .pred %p<2>; .reg .b32 %r<5>; .reg .b64 %d<2>; \
        ld.param.b32 %r1, [x]; ld.param.b64 %d1, [by]; cvt.u32.u64 %r2, %d1; setp.gt.s32 %p1, %r1, 5; @%p1 bra big; \
        mul.lo.s32 %r3, %r1, %r2; st.param.b32 [result], %r3; ret; big: mov.b32 %r3, -1; st.param.b32 [result], %r3; ret; }\n\
        .func (.param .b32 out) twice(.param .b32 x) { .reg .b32 %r<3>; .reg .b64 %d<2>; ld.param.b32 %r1, [x]; mov.b64 %d1, 10; \
        { .param .b32 a; st.param.b32 [a], %r1; .param .b64 b; st.param.b64 [b], %d1; .param .b32 back; call.uni (back), scale, (a, b); \
        ld.param.b32 %r2, [back]; } add.s32 %r2, %r2, %r2; st.param.b32 [out], %r2; ret; }";
    let body = "ld.param.u64 %d1, [p0]; mov.u32 %r1, %tid.x; mul.wide.u32 %d2, %r1, 4; add.s64 %d1, %d1, %d2; \
        { .param .b32 x; st.param.b32 [x+0], %r1; .param .b32 y; call (y), twice, (x); ld.param.b32 %r2, [y+0]; } st.global.b32 [%d1], %r2;";
    let mut memory = Memory::default();
    let out = memory.put(&[0u32; 8]);
    run(&text(before, 1, body), &mut memory, (1, 8), &[out], &SERIAL).unwrap();
    assert_eq!(memory.words(out), [0, 20, 40, 60, 80, 100, -2i32 as u32, -2i32 as u32]);
    let recursion = ".func f() { call f; ret; }";
    assert!(refused(recursion, "call f;").contains("recursion"));
    assert!(refused("", "call nowhere;").contains("not defined"));
}

#[test]
fn a_guarded_call_is_made_by_those_lanes_alone() {
    let before =
        ".func (.param .b32 r) nine() { .reg .b32 %r<2>; mov.b32 %r1, 9; st.param.b32 [r], %r1; ret; }";
    let body = "ld.param.u64 %d1, [p0]; mov.u32 %r1, %tid.x; mul.wide.u32 %d2, %r1, 4; add.s64 %d1, %d1, %d2; setp.eq.u32 %p1, %r1, 1; \
        .param .b32 y; st.param.b32 [y], 3; @%p1 call (y), nine; ld.param.b32 %r2, [y]; st.global.b32 [%d1], %r2;";
    let mut memory = Memory::default();
    let out = memory.put(&[0u32; 3]);
    run(&text(before, 1, body), &mut memory, (1, 3), &[out], &SERIAL).unwrap();
    assert_eq!(memory.words(out), [3, 9, 3]);
}

#[test]
fn traps_end_the_launch_at_their_thread() {
    for instruction in ["trap", "brkpt"] {
        let fault = lanes(&format!("setp.eq.u32 %p1, %r1, 5; @%p1 {instruction};"), 32, &[]).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Trap { message: String::new() });
        let at = fault.at.unwrap();
        assert_eq!((at.thread, at.instruction), ([5, 0, 0], format!("@%p1 {instruction}")));
    }
}

#[test]
fn a_failed_assertion_tells_its_text() {
    let before = ".extern .func __assertfail(.param .b64 a, .param .b64 b, .param .b32 c, .param .b64 d, .param .b64 e);\n\
        .global .align 1 .b8 said[5] = {119, 104, 121, 63, 0};";
    let body = "mov.u64 %d1, said; cvta.global.u64 %d2, %d1; { .param .b64 a; st.param.b64 [a], %d2; .param .b64 b; .param .b32 c; \
        .param .b64 d; .param .b64 e; call.uni __assertfail, (a, b, c, d, e); }";
    let found = kind(&text(before, 1, body), &mut Memory::default(), (1, 1), &[0], &SERIAL);
    assert_eq!(found, FaultKind::Trap { message: "assertion failed: why?".into() });
    let before = ".extern .func (.param .b32 r) vprintf(.param .b64 a, .param .b64 b);";
    let body = "{ .param .b64 a; .param .b64 b; .param .b32 r; call.uni (r), vprintf, (a, b); }";
    let found = kind(&text(before, 1, body), &mut Memory::default(), (1, 1), &[0], &SERIAL);
    assert_eq!(found, FaultKind::UnsupportedCall { function: "vprintf".into() });
}

#[test]
fn a_loop_that_never_ends_is_stopped() {
    let fault = lanes("again: bra again;", 32, &[]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::InstructionLimit { limit: 1 << 20 });
    assert_eq!(fault.at.unwrap().instruction, "bra again");
}

/// A sum over a block in shared memory, with barriers of this form.
fn block_sum(barrier: &str) -> String {
    let body = format!(
        ".shared .align 4 .b8 s[512]; ld.param.u64 %d1, [p0]; mov.u32 %r1, %tid.x; mov.u32 %r2, s; shl.b32 %r3, %r1, 2; \
         add.s32 %r2, %r2, %r3; st.shared.u32 [%r2], %r1; {barrier} mov.u32 %r4, 64; again: setp.ge.u32 %p1, %r1, %r4; @%p1 bra skip; \
         shl.b32 %r5, %r4, 2; add.s32 %r5, %r5, %r2; ld.shared.u32 %r6, [%r5]; ld.shared.u32 %r7, [%r2]; add.s32 %r6, %r6, %r7; \
         st.shared.u32 [%r2], %r6; skip: {barrier} shr.u32 %r4, %r4, 1; setp.ne.s32 %p2, %r4, 0; @%p2 bra again; \
         mov.u32 %r8, %ctaid.x; mul.wide.u32 %d2, %r8, 4; add.s64 %d1, %d1, %d2; setp.ne.s32 %p3, %r1, 0; @%p3 bra end; \
         ld.shared.u32 %r6, [s]; st.global.u32 [%d1], %r6; end:"
    );
    text("", 1, &body)
}

#[test]
fn barriers_order_a_block_in_every_order_of_warps_and_blocks() {
    for barrier in ["bar.sync 0;", "barrier.sync 1;", "bar.sync 3, 128;", "barrier.cta.sync.aligned 15, 128;"]
    {
        for order in [Order::Forward, Order::Reversed, Order::Random(1), Order::Random(2)] {
            let mut memory = Memory::default();
            let out = memory.put(&[0u32; 5]);
            let settings = Settings { order, ..RACES };
            let text = block_sum(barrier);
            run(&text, &mut memory, (5, 128), &[out], &settings)
                .unwrap_or_else(|fault| panic!("{barrier} {fault}"));
            assert_eq!(memory.words(out), [127 * 64; 5], "{barrier} {order:?}");
        }
    }
}

#[test]
fn without_a_barrier_the_order_of_warps_and_blocks_shows() {
    let last = |register: &str, shape, order| {
        let mut memory = Memory::default();
        let out = memory.put(&[9u32]);
        let body = format!(
            "ld.param.u64 %d1, [p0]; mov.u32 %r1, %laneid; mov.u32 %r2, {register}; setp.eq.u32 %p1, %r1, 0; \
             @%p1 st.global.u32 [%d1], %r2;"
        );
        run(&text("", 1, &body), &mut memory, shape, &[out], &Settings { order, ..SERIAL }).unwrap();
        memory.words(out)[0]
    };
    for (register, shape) in [("%warpid", (1, 128)), ("%ctaid.x", (4, 32))] {
        assert_eq!(last(register, shape, Order::Forward), 3);
        assert_eq!(last(register, shape, Order::Reversed), 0);
        let random: std::collections::HashSet<u32> =
            (0..20).map(|seed| last(register, shape, Order::Random(seed))).collect();
        assert!(random.len() > 2, "{random:?}");
    }
}

#[test]
fn one_warp_arrives_where_another_waits() {
    // Warp 0 produces and goes on; warp 1 waits for it.
    let body = ".shared .align 4 .b8 s[4]; ld.param.u64 %d1, [p0]; mov.u32 %r1, %tid.x; setp.ge.u32 %p1, %r1, 32; @%p1 bra consumer; \
        setp.ne.u32 %p2, %r1, 0; @%p2 bra made; st.shared.u32 [s], 42; made: bar.arrive 1, 64; ret; consumer: bar.sync 1, 64; \
        ld.shared.u32 %r2, [s]; setp.ne.u32 %p2, %r1, 32; @%p2 bra end; st.global.u32 [%d1], %r2; end:";
    for order in [Order::Forward, Order::Reversed] {
        let mut memory = Memory::default();
        let out = memory.put(&[0u32]);
        run(&text("", 1, body), &mut memory, (1, 64), &[out], &Settings { order, ..RACES }).unwrap();
        assert_eq!(memory.words(out), [42]);
    }
}

#[test]
fn barriers_count_and_combine_predicates() {
    let body = "ld.param.u64 %d1, [p0]; mov.u32 %r1, %tid.x; mul.wide.u32 %d2, %r1, 16; add.s64 %d1, %d1, %d2; setp.lt.u32 %p1, %r1, 40; \
        bar.red.popc.u32 %r2, 0, %p1; bar.red.and.pred %p2, 0, %p1; barrier.cta.red.or.pred %p3, 1, 64, %p1; bar.red.and.pred %p4, 0, !%p5; \
        selp.b32 %r3, 1, 0, %p2; selp.b32 %r4, 1, 0, %p3; selp.b32 %r5, 1, 0, %p4; st.global.v4.u32 [%d1], {%r2, %r3, %r4, %r5};";
    let mut memory = Memory::default();
    let out = memory.put(&[0u32; 256]);
    let body = body.replace("setp.lt.u32 %p1", "setp.ne.u32 %p5, 0, 0; setp.lt.u32 %p1");
    run(&text("", 1, &body), &mut memory, (1, 64), &[out], &SERIAL).unwrap();
    for row in memory.words(out).chunks(4) {
        assert_eq!(row, [40, 0, 1, 1]);
    }
}
