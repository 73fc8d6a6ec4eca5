//! Loads, stores, atomic operations, copies that are not waited for, and fences.

use super::*;
use half::{bf16, f16};

#[test]
fn loads_extend_by_the_type_and_stores_cut() {
    let load = |ty: &str, register: &str, word: u64| {
        let mut memory = Memory::default();
        let (from, out) = (memory.put(&[word]), memory.put(&[0u64]));
        let kind = match register {
            "%h0" => "b16",
            "%r0" => "b32",
            _ => "b64",
        };
        let body = format!(
            "ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1]; ld.global.{ty} {register}, [%d1]; st.global.{kind} [%d2], {register};"
        );
        run(&text("", 2, &body), &mut memory, (1, 1), &[from, out], &SERIAL).unwrap();
        u64::from_le_bytes(memory.bytes(out).try_into().unwrap())
    };
    let word = 0xf1f2_f3f4_f5f6_f7f8;
    assert_eq!(load("u8", "%h0", word), 0xf8);
    assert_eq!(load("s8", "%h0", word), 0xfff8);
    assert_eq!(load("s8", "%r0", word), 0xffff_fff8);
    assert_eq!(load("b8", "%d0", word), 0xf8);
    assert_eq!(load("s16", "%r0", word), 0xffff_f7f8);
    assert_eq!(load("u16", "%d0", word), 0xf7f8);
    assert_eq!(load("s32", "%d0", word), 0xffff_ffff_f5f6_f7f8);
    assert_eq!(load("f32", "%r0", word), 0xf5f6_f7f8);
    assert_eq!(load("f64", "%d0", word), word);
    let mut memory = Memory::default();
    let out = memory.put(&[0u32; 2]);
    let body = "ld.param.u64 %d1, [p0]; mov.b32 %r1, 0x12345678; st.global.u8 [%d1+1], %r1; st.global.b16 [%d1+4], %r1;";
    run(&text("", 1, body), &mut memory, (1, 1), &[out], &SERIAL).unwrap();
    assert_eq!(memory.words(out), [0x7800, 0x5678]);
}

#[test]
fn vectors_and_cache_modifiers_change_no_value() {
    let mut memory = Memory::default();
    let (from, out) = (memory.put(&[1u32, 2, 3, 4, 5, 6, 7, 8]), memory.put(&[0u32; 12]));
    let body = "ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1]; ld.global.nc.v4.u32 {%r1, _, %r3, %r4}, [%d1]; \
        ld.global.ca.L2::128B.v2.b64 {%d3, %d4}, [%d1+16]; st.global.cs.v2.f32 [%d2], {%r1, %r3}; st.global.wt.b32 [%d2+8], %r4; \
        st.global.v2.u64 [%d2+16], {%d3, %d4}; ld.volatile.global.u32 %r5, [%d1+4]; st.relaxed.gpu.global.u32 [%d2+32], %r5; \
        ldu.global.u32 %r6, [%d1+20]; st.volatile.global.u32 [%d2+36], %r6; ld.acquire.sys.global.L1::no_allocate.u32 %r7, [%d1]; \
        st.release.cta.global.u32 [%d2+40], %r7; ld.weak.global.lu.u32 %r8, [%d1]; membar.gl; fence.acq_rel.gpu; fence.sc.cta; \
        prefetch.global.L2 [%d1]; prefetchu.L1 [%d1];";
    run(&text("", 2, body), &mut memory, (1, 1), &[from, out], &SERIAL).unwrap();
    assert_eq!(memory.words(out), [1, 3, 4, 0, 5, 6, 7, 8, 2, 6, 1, 0]);
}

#[test]
fn initial_values_of_variables_are_there() {
    let before = ".global .align 8 .u64 a[2] = {1, 0xffffffffffffffff}; .const .align 4 .f32 b[3] = {0f3F800000, 2.5}; \
        .global .align 1 .b8 text[4] = {65, 66, 67, 0}; .global .align 2 .u16 c[3] = {1, 2, 3};";
    let body = "ld.param.u64 %d1, [p0]; ld.global.u64 %d2, [a+8]; st.global.u64 [%d1], %d2; ld.const.f32 %r1, [b+4]; \
        st.global.b32 [%d1+8], %r1; ld.global.u8 %r2, [text+2]; st.global.b32 [%d1+12], %r2; ld.global.u16 %r3, [c+4]; \
        st.global.b32 [%d1+16], %r3; ld.const.b32 %r4, [b+8]; st.global.b32 [%d1+20], %r4;";
    let mut memory = Memory::default();
    let out = memory.put(&[9u32; 6]);
    run(&text(before, 1, body), &mut memory, (1, 1), &[out], &SERIAL).unwrap();
    assert_eq!(memory.words(out), [u32::MAX, u32::MAX, 2.5f32.to_bits(), 67, 3, 0]);
}

#[test]
fn full_warps_and_single_lanes_load_alike() {
    for threads in [32, 31] {
        let mut memory = Memory::default();
        let bytes: Vec<u8> = (0..64).map(|n| (n * 7 + 130) as u8).collect();
        let (from, out) = (memory.put(&bytes), memory.put(&[0u32; 32]));
        let body = "ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1]; mov.u32 %r1, %tid.x; mul.wide.u32 %d3, %r1, 2; \
            add.s64 %d1, %d1, %d3; ld.global.s16 %r2, [%d1]; ld.global.v2.u8 {%r3, %r4}, [%d1]; mul.wide.u32 %d3, %r1, 4; \
            add.s64 %d2, %d2, %d3; add.s32 %r2, %r2, %r3; add.s32 %r2, %r2, %r4; st.global.u32 [%d2], %r2;";
        run(&text("", 2, body), &mut memory, (1, threads), &[from, out], &SERIAL).unwrap();
        for (lane, word) in memory.words(out).into_iter().enumerate().take(threads as usize) {
            let (low, high) = (bytes[2 * lane], bytes[2 * lane + 1]);
            let wanted = i32::from(i16::from_le_bytes([low, high])) + i32::from(low) + i32::from(high);
            assert_eq!(word as i32, wanted, "lane {lane} of {threads}");
        }
    }
}

/// An atomic operation on one word in global and in shared memory: what it returned, and what is there then.
fn atomic(op: &str, start: u64, operands: &[u64]) -> (u64, u64) {
    let mut found = Vec::new();
    let wide = ["64"].iter().any(|bits| op.ends_with(bits));
    let half = op.ends_with("16");
    let (register, bits) = if wide {
        ("%d", "b64")
    } else if half {
        ("%h", "b16")
    } else {
        ("%r", "b32")
    };
    for space in ["global", "shared"] {
        let mut memory = Memory::default();
        let (at, out) = (memory.put(&[start]), memory.put(&[0u64; 2]));
        let mut params = vec![at, out];
        let (mut loads, mut names) = (String::new(), String::new());
        for (index, operand) in operands.iter().enumerate() {
            params.push(*operand);
            loads += &format!("ld.param.{bits} {register}{}, [p{}]; ", index + 1, index + 2);
            names += &format!(", {register}{}", index + 1);
        }
        let address = if space == "global" { "%d10" } else { "s" };
        let body = format!(
            ".shared .align 8 .b64 s; ld.param.u64 %d10, [p0]; ld.param.u64 %d11, [p1]; ld.global.u64 %d12, [%d10]; \
             st.shared.u64 [s], %d12; {loads} atom.{space}.{op} {register}0, [{address}]{names}; st.global.{bits} [%d11], {register}0; \
             ld.{space}.u64 %d13, [{address}]; st.global.u64 [%d11+8], %d13;"
        );
        run(&text("", params.len(), &body), &mut memory, (1, 1), &params, &SERIAL).unwrap();
        let bytes = memory.bytes(out);
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        found.push((word(0), word(8)));
    }
    assert_eq!(found[0], found[1], "{op} in global and in shared memory");
    found[0]
}

#[test]
fn atomic_operations_return_the_old_value_and_leave_the_new() {
    let float = |x: f32| u64::from(x.to_bits());
    let (minus, one) = (u64::from(u32::MAX), 1);
    for (op, start, operands, wanted) in [
        ("add.u32", minus, vec![2], 1),
        ("relaxed.gpu.add.s32", 5, vec![minus], 4),
        ("add.u64", u64::MAX, vec![2], 1),
        ("add.f32", float(1.5), vec![float(2.25)], float(3.75)),
        ("add.f64", 1.5f64.to_bits(), vec![2.25f64.to_bits()], 3.75f64.to_bits()),
        ("add.noftz.f16", 0x3c00, vec![0x4000], u64::from(f16::from_f32(3.).to_bits())),
        ("add.noftz.bf16", 0x3f80, vec![0x4000], u64::from(bf16::from_f32(3.).to_bits())),
        ("exch.b32", 5, vec![7], 7),
        ("exch.b64", 5, vec![1 << 40], 1 << 40),
        ("cas.b32", 5, vec![5, 9], 9),
        ("cas.b32", 5, vec![6, 9], 5),
        ("cas.b64", 1 << 40, vec![1 << 40, 9], 9),
        ("cas.b16", 5, vec![5, 9], 9),
        ("and.b32", 0b1100, vec![0b1010], 0b1000),
        ("or.b64", 0b1100, vec![1 << 50], 1 << 50 | 0b1100),
        ("xor.b32", 0b1100, vec![0b1010], 0b0110),
        ("min.s32", minus, vec![one], minus),
        ("min.u32", minus, vec![one], one),
        ("max.s32", minus, vec![one], one),
        ("max.u32", minus, vec![one], minus),
        ("min.s64", u64::MAX, vec![1], u64::MAX),
        ("max.u64", u64::MAX, vec![1], u64::MAX),
        ("inc.u32", 4, vec![5], 5),
        ("inc.u32", 5, vec![5], 0),
        ("dec.u32", 5, vec![5], 4),
        ("dec.u32", 0, vec![5], 5),
        ("dec.u32", 9, vec![5], 5),
    ] {
        assert_eq!(atomic(op, start, &operands), (start, wanted), "{op} of {start} and {operands:?}");
    }
    let packed =
        |a: f32, b: f32| u64::from(f16::from_f32(a).to_bits()) << 16 | u64::from(f16::from_f32(b).to_bits());
    assert_eq!(atomic("add.noftz.f16x2", packed(1., 2.), &[packed(3., 4.)]).1, packed(4., 6.));
    assert_eq!(atomic("add.noftz.bf16x2", 0x3f80_4000, &[0x3f80_3f80]).1, 0x4000_4040);
}

#[test]
fn reductions_of_all_threads_of_all_blocks_lose_nothing() {
    for threads in [1, 2, 3] {
        let mut memory = Memory::default();
        let sum = memory.put(&[0u32; 4]);
        let body = "ld.param.u64 %d1, [p0]; mov.u32 %r1, %tid.x; red.global.add.u32 [%d1], 1; red.global.max.u32 [%d1+4], %r1; \
            red.relaxed.gpu.global.add.f32 [%d1+8], 0f3F800000; red.global.or.b32 [%d1+12], %r1;";
        let settings = Settings { threads, ..SERIAL };
        run(&text("", 1, body), &mut memory, (64, 96), &[sum], &settings).unwrap();
        assert_eq!(memory.words(sum), [6144, 95, 6144f32.to_bits(), 127]);
    }
}

#[test]
fn atomic_sums_in_global_memory_flush_subnormal_numbers() {
    let mut memory = Memory::default();
    let at = memory.put(&[1u32]);
    let body = "ld.param.u64 %d1, [p0]; red.global.add.f32 [%d1], 0f00000001;";
    run(&text("", 1, body), &mut memory, (1, 1), &[at], &SERIAL).unwrap();
    assert_eq!(memory.words(at), [0]);
}

#[test]
fn copies_arrive_when_they_are_waited_for() {
    let mut memory = Memory::default();
    let (from, out) = (memory.put(&(1..=12).collect::<Vec<u32>>()), memory.put(&[9u32; 8]));
    // Of the last copy only four bytes are read; the others become zero.
    let body = ".shared .align 16 .b8 s[48]; ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1]; \
        cp.async.cg.shared.global.L2::128B [s], [%d1], 16; cp.async.commit_group; cp.async.ca.shared.global [s+16], [%d1+16], 8; \
        cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r1, [s+12]; st.global.u32 [%d2], %r1; mov.u32 %r5, 4; \
        cp.async.ca.shared.global [s+32], [%d1+32], 16, %r5; cp.async.ca.shared.global [s+24], [%d1+40], 4; \
        cp.async.wait_all; ld.shared.v4.u32 {%r1, %r2, %r3, %r4}, [s+32]; st.global.v2.u32 [%d2+8], {%r1, %r2}; \
        ld.shared.u32 %r1, [s+20]; st.global.u32 [%d2+16], %r1; ld.shared.u32 %r1, [s+24]; st.global.u32 [%d2+20], %r1;";
    run(&text("", 2, body), &mut memory, (1, 1), &[from, out], &SERIAL).unwrap();
    assert_eq!(memory.words(out), [4, 9, 9, 0, 6, 11, 9, 9]);
}

#[test]
fn bytes_of_device_memory_are_counted() {
    let mut memory = Memory::default();
    let at = memory.put(&[0u32; 32]);
    let body = "ld.param.u64 %d1, [p0]; mov.u32 %r1, %tid.x; mul.wide.u32 %d2, %r1, 4; add.s64 %d1, %d1, %d2; \
        ld.global.u32 %r2, [%d1]; st.global.u8 [%d1], %r2;";
    let counts = run(&text("", 1, body), &mut memory, (1, 32), &[at], &SERIAL).unwrap();
    // The last two are `ret` and the kernel's end, of which the first is executed.
    assert_eq!(
        counts,
        Counts {
            warp_instructions: 7,
            thread_instructions: 224,
            flop: 0,
            bytes_read: 128,
            bytes_written: 32,
            matrix_flop: 0
        }
    );
}

#[test]
fn operations_on_floating_point_numbers_are_counted_for_each_thread_that_executes_them() {
    let mut memory = Memory::default();
    let at = memory.put(&[0u32; 32]);
    let body = "mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 5; mov.f32 %f1, 0f3F800000; fma.rn.f32 %f2, %f1, %f1, %f1; \
        neg.f32 %f2, %f2; @%p1 add.rn.f32 %f2, %f2, %f1;";
    let counts = run(&text("", 1, body), &mut memory, (1, 32), &[at], &SERIAL).unwrap();
    assert_eq!(counts.flop, 32 * 2 + 5);
}
