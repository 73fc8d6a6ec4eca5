//! `mov`, `cvta` and `isspacep`, and special registers.

use super::*;

#[test]
fn values_move_whole_in_parts_and_into_one() {
    assert_eq!(r("mov.b32 %r0, %r1;", &[R(5)]), 5);
    assert_eq!(eval("mov.b64 %d0, {%r1, %r2};", &[R(1), R(2)], "%d0"), 0x2_0000_0001);
    assert_eq!(
        eval("mov.b64 %d0, {%h1, %h2, %h3, %h4};", &[H(1), H(2), H(3), H(4)], "%d0"),
        0x0004_0003_0002_0001
    );
    assert_eq!(r("mov.b32 %r0, {%h1, %h2};", &[H(0xabcd), H(0x1234)]), 0x1234_abcd);
    assert_eq!(r("mov.b64 {%r5, %r0}, %d1;", &[D(0x1_0000_0002)]), 1);
    assert_eq!(h("mov.b32 {_, %h0}, %r1;", &[R(0x1234_abcd)]), 0x1234);
    assert_eq!(h("mov.b64 {%h5, %h6, %h0, %h7}, %d1;", &[D(0x0004_0003_0002_0001)]), 3);
    assert!(p("mov.pred %p0, %p1;", &[P(true)]));
    assert_eq!(single("mov.f32 %f1, 0f40490FDB; mov.b32 %r0, %f1;", &[]), std::f32::consts::PI);
    assert_eq!(double("mov.f64 %d0, 0d400921FB54442D18;", &[]), std::f64::consts::PI);
    assert_eq!(r("mov.u32 %r0, -1;", &[]), u32::MAX);
    assert_eq!(h("mov.b16 %h0, 0xffff8000;", &[]), 0x8000);
}

#[test]
fn names_in_braces_hide_the_ones_outside() {
    assert_eq!(r("mov.b32 %r0, 1; { .reg.b32 %r0; mov.b32 %r0, 2; } add.s32 %r0, %r0, 5;", &[]), 6);
}

#[test]
fn special_registers_tell_where_a_thread_is() {
    let of = |name: &str| lanes(&format!("mov.u32 %r0, {name};"), 32, &[]).unwrap().0;
    assert_eq!(of("%tid.x"), (0..32).collect::<Vec<u32>>());
    assert_eq!(of("%laneid"), (0..32).collect::<Vec<u32>>());
    assert_eq!(of("%lanemask_eq"), (0..32).map(|lane| 1u32 << lane).collect::<Vec<_>>());
    assert_eq!(of("%lanemask_lt"), (0..32).map(|lane| (1u64 << lane) as u32 - 1).collect::<Vec<_>>());
    assert_eq!(of("%lanemask_le"), (0..32).map(|lane| ((2u64 << lane) - 1) as u32).collect::<Vec<_>>());
    assert_eq!(of("%lanemask_gt"), (0..32).map(|lane| !((2u64 << lane) - 1) as u32).collect::<Vec<_>>());
    assert_eq!(of("%lanemask_ge"), (0..32).map(|lane| !((1u64 << lane) - 1) as u32).collect::<Vec<_>>());
    for (name, value) in
        [("%ntid.x", 32), ("%ntid.y", 1), ("%ctaid.z", 0), ("%nctaid.x", 1), ("%warpid", 0), ("%nwarpid", 1)]
    {
        assert_eq!(of(name), vec![value; 32], "{name}");
    }
    assert_eq!(of("WARP_SZ"), vec![32; 32]);
}

#[test]
fn threads_and_blocks_count_x_first() {
    let body = "mov.u32 %r1, %tid.x; mov.u32 %r2, %tid.y; mov.u32 %r3, %tid.z; mov.u32 %r4, %ctaid.x; mov.u32 %r5, %ctaid.y; \
        mad.lo.u32 %r6, %r3, 2, %r2; mad.lo.u32 %r6, %r6, 3, %r1; mad.lo.u32 %r7, %r5, 2, %r4; mad.lo.u32 %r6, %r7, 12, %r6; \
        mul.wide.u32 %d1, %r6, 4; ld.param.u64 %d2, [p0]; add.s64 %d2, %d2, %d1; mad.lo.u32 %r8, %r4, 1000, %r1; st.global.u32 [%d2], %r8;";
    let mut memory = Memory::default();
    let out = memory.put(&[0u32; 48]);
    let module = ptx::parse(&text("", 1, body)).unwrap();
    let params = out.to_le_bytes();
    let kernel = module.kernel("kernel").unwrap();
    let of = Launch {
        kernel,
        grid: [2, 2, 1],
        block: [3, 2, 2],
        dynamic_shared: 0,
        shared_limit: 49152,
        params: &params,
    };
    launch(&of, &memory, &SERIAL).unwrap();
    let wanted: Vec<u32> = (0..48).map(|at| at / 12 % 2 * 1000 + at % 3).collect();
    assert_eq!(memory.words(out), wanted);
}

#[test]
fn generic_addresses_know_their_state_space() {
    let before = ".global .align 4 .u32 g; .const .align 4 .u32 c = 77;";
    let body = |code: &str| {
        format!(
            ".shared .align 4 .b32 s; .local .align 4 .b32 l; mov.u64 %d1, s; cvta.shared.u64 %d2, %d1; mov.u64 %d3, l; \
             cvta.local.u64 %d4, %d3; mov.u64 %d5, g; cvta.global.u64 %d6, %d5; mov.u64 %d7, c; cvta.const.u64 %d8, %d7; \
             {code} ld.param.u64 %d31, [p0]; st.global.b32 [%d31], %r0;"
        )
    };
    let result = |code: &str| {
        let mut memory = Memory::default();
        let out = memory.put(&[0u32]);
        run(&text(before, 1, &body(code)), &mut memory, (1, 1), &[out], &SERIAL).unwrap();
        memory.words(out)[0]
    };
    for (address, own) in [("%d2", "shared"), ("%d4", "local"), ("%d6", "global")] {
        for space in ["shared", "local", "global"] {
            let code = format!("isspacep.{space} %p1, {address}; selp.b32 %r0, 1, 0, %p1;");
            assert_eq!(result(&code), u32::from(space == own), "{address} in {space}");
        }
        // What is written by the generic address is read by the space's own.
        let back = format!(
            "st.b32 [{address}], 41; cvta.to.{own}.u64 %d10, {address}; ld.{own}.b32 %r1, [%d10]; add.s32 %r0, %r1, 1;"
        );
        assert_eq!(result(&back), 42, "{own}");
    }
    assert_eq!(result("ld.b32 %r0, [%d8];"), 77);
    assert_eq!(result("ld.const.b32 %r0, [c];"), 77);
}
