//! Products of matrices. Which lane holds which element is taken from the figures of PTX ISA, element by element.

use super::*;
use half::{bf16, f16};

/// Small numbers, which every format holds, in an order that no symmetry hides in.
fn number(seed: usize, row: usize, column: usize) -> f64 {
    ((row * 7 + column * 13 + seed * 5) % 11) as f64 - 5.
}

fn encode(ty: &str, x: f64) -> u32 {
    match ty {
        "f16" => u32::from(f16::from_f64(x).to_bits()),
        "bf16" => u32::from(bf16::from_f64(x).to_bits()),
        "s8" => u32::from(x as i8 as u8),
        "u8" => u32::from(x.abs() as u8),
        "s32" => x as i32 as u32,
        _ => (x as f32).to_bits(),
    }
}

fn value(ty: &str, x: f64) -> f64 {
    if ty == "u8" { x.abs() } else { x }
}

/// Registers of one lane's fragment: elements at these places, `per` in a register.
fn pack(ty: &str, per: usize, places: &[(usize, usize)], seed: usize) -> Vec<u32> {
    let bits = 32 / per;
    let of = |chunk: &[(usize, usize)]| {
        chunk.iter().enumerate().fold(0, |found, (i, (row, column))| {
            found | encode(ty, number(seed, *row, *column)) << (bits * i)
        })
    };
    places.chunks(per).map(of).collect()
}

/// Runs `mma` on fragments that are laid out by PTX ISA's formulas, and returns d by row and column.
fn product(shape: &str, k: usize, d_type: &str, a_type: &str, b_type: &str, suffix: &str) -> Vec<Vec<f64>> {
    let per = match a_type {
        "f16" | "bf16" => 2,
        "s8" | "u8" => 4,
        _ => 1,
    };
    let c_per = if d_type == "f16" { 2 } else { 1 };
    let mut registers: Vec<Vec<u32>> = Vec::new();
    for lane in 0..32 {
        let (group, thread) = (lane / 4, lane % 4);
        // a: for each i, row = group for even pairs of registers' halves, column by the thread.
        let mut a = Vec::new();
        for i in 0..16 * k / 32 {
            let (register, part) = (i / per, i % per);
            let row = if register % 2 == 0 { group } else { group + 8 };
            let column = thread * per + part + if register < 2 { 0 } else { k / 2 };
            a.push((row, column));
        }
        let mut b = Vec::new();
        for i in 0..8 * k / 32 {
            let (register, part) = (i / per, i % per);
            b.push((thread * per + part + if register < 1 { 0 } else { k / 2 }, group));
        }
        let c: Vec<_> = (0..4).map(|i| (if i < 2 { group } else { group + 8 }, thread * 2 + i % 2)).collect();
        let mut all = pack(a_type, per, &a, 1);
        all.extend(pack(b_type, per, &b, 2));
        all.extend(pack(d_type, c_per, &c, 3));
        registers.push(all);
    }
    let inputs: Vec<[u32; 32]> =
        (0..registers[0].len()).map(|index| std::array::from_fn(|lane| registers[lane][index])).collect();
    let names = |from: usize, count: usize| {
        let list: Vec<String> = (from..from + count).map(|n| format!("%r{n}")).collect();
        format!("{{{}}}", list.join(", "))
    };
    let (a, b, c) = (16 * k / 32 / per, 8 * k / 32 / per, 4 / c_per);
    let mut found = vec![vec![0.; 8]; 16];
    for i in 0..4 {
        let code = format!(
            "mma.sync.aligned.{shape}.row.col{suffix}.{d_type}.{a_type}.{b_type}.{d_type} {}, {}, {}, {}; mov.b32 %r0, %r{};",
            names(20, c),
            names(2, a),
            names(2 + a, b),
            names(2 + a + b, c),
            20 + i / c_per
        );
        let (values, _) = lanes(&code, 32, &inputs).unwrap();
        for (lane, bits) in values.into_iter().enumerate() {
            let (row, column) = (lane / 4 + if i < 2 { 0 } else { 8 }, lane % 4 * 2 + i % 2);
            found[row][column] = match d_type {
                "f16" => f16::from_bits((bits >> (16 * (i % 2))) as u16).to_f64(),
                "s32" => f64::from(bits as i32),
                _ => f64::from(f32::from_bits(bits)),
            };
        }
    }
    found
}

#[test]
fn mma_multiplies_as_its_figures_lay_matrices_out() {
    for (shape, k, d, a, b) in [
        ("m16n8k16", 16, "f32", "bf16", "bf16"),
        ("m16n8k8", 8, "f32", "bf16", "bf16"),
        ("m16n8k16", 16, "f32", "f16", "f16"),
        ("m16n8k16", 16, "f16", "f16", "f16"),
        ("m16n8k8", 8, "f16", "f16", "f16"),
        ("m16n8k8", 8, "f32", "tf32", "tf32"),
        ("m16n8k4", 4, "f32", "tf32", "tf32"),
        ("m16n8k32", 32, "s32", "s8", "s8"),
        ("m16n8k16", 16, "s32", "u8", "s8"),
        ("m16n8k32", 32, "s32", "s8", "u8"),
    ] {
        let found = product(shape, k, d, a, b, "");
        for (row, values) in found.iter().enumerate() {
            for (column, found) in values.iter().enumerate() {
                let sum: f64 =
                    (0..k).map(|i| value(a, number(1, row, i)) * value(b, number(2, i, column))).sum();
                assert_eq!(*found, sum + number(3, row, column), "{shape} {d} {a} {b}, ({row}, {column})");
            }
        }
    }
}

#[test]
fn sums_of_integers_wrap_or_saturate() {
    let code = |suffix: &str| {
        format!(
            "mov.b32 %r3, 0x7f7f7f7f; mov.b32 %r4, 0x7fffffff; mma.sync.aligned.m16n8k16.row.col{suffix}.s32.s8.s8.s32 \
             {{%r5, %r6, %r7, %r8}}, {{%r3, %r3}}, {{%r3}}, {{%r4, %r4, %r4, %r4}}; mov.b32 %r0, %r5;"
        )
    };
    assert_eq!(lanes(&code(".satfinite"), 32, &[]).unwrap().0, vec![0x7fff_ffff; 32]);
    let wrapped = 0x7fff_ffffu32.wrapping_add(16 * 127 * 127);
    assert_eq!(lanes(&code(""), 32, &[]).unwrap().0, vec![wrapped; 32]);
}

#[test]
fn tf32_looks_at_no_lower_bits() {
    let code = "mov.b32 %r3, 0x3f801fff; mov.b32 %r4, 0; mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 \
        {%r5, %r6, %r7, %r8}, {%r3, %r3}, {%r3}, {%r4, %r4, %r4, %r4}; mov.b32 %r0, %r5;";
    assert_eq!(lanes(code, 32, &[]).unwrap().0, vec![4f32.to_bits(); 32]);
}

#[test]
fn a_product_needs_the_whole_warp() {
    let code = "mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%r5, %r6, %r7, %r8}, {%r3, %r3}, {%r3}, {%r4, %r4, %r4, %r4};";
    let fault = lanes(code, 16, &[]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::MaskNamesAbsentLanes { mask: u32::MAX, absent: 0xffff_0000 });
    let fault = lanes(&format!("setp.lt.u32 %p1, %r1, 3; @%p1 bra end; {code} end:"), 32, &[]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::LanesMissing { mask: u32::MAX, missing: 7 });
}

#[test]
fn ldmatrix_spreads_rows_over_lanes() {
    // Four matrices of 8 × 8 halves, whose elements are their numbers.
    for (transposed, count) in [(false, 4), (true, 4), (false, 2), (true, 1)] {
        for index in 0..count {
            let registers: Vec<String> = (0..count).map(|n| format!("%r{}", 10 + n)).collect();
            let trans = if transposed { ".trans" } else { "" };
            let code = format!(
                ".shared .align 16 .b8 s[512]; mov.u32 %r5, s; shl.b32 %r6, %r1, 4; add.s32 %r5, %r5, %r6; mul.lo.u32 %r7, %r1, 8; \
                 mad.lo.u32 %r8, %r7, 0x10001, 0x10000; st.shared.b32 [%r5], %r8; add.s32 %r8, %r8, 0x20002; st.shared.b32 [%r5+4], %r8; \
                 add.s32 %r8, %r8, 0x20002; st.shared.b32 [%r5+8], %r8; add.s32 %r8, %r8, 0x20002; st.shared.b32 [%r5+12], %r8; \
                 bar.warp.sync -1; ldmatrix.sync.aligned.m8n8.x{count}{trans}.shared.b16 {{{}}}, [%r5]; mov.b32 %r0, %r{};",
                registers.join(", "),
                10 + index
            );
            let (values, _) = lanes(&code, 32, &[]).unwrap();
            for (lane, bits) in values.into_iter().enumerate() {
                let element = |part: usize| {
                    let (row, column) = (lane / 4, lane % 4 * 2 + part);
                    let (row, column) = if transposed { (column, row) } else { (row, column) };
                    (index * 64 + row * 8 + column) as u32
                };
                assert_eq!(bits, element(0) | element(1) << 16, "matrix {index} of {count}, lane {lane}");
            }
        }
    }
}

#[test]
fn wmma_loads_multiplies_and_stores_in_every_layout() {
    for ty in ["bf16", "f16"] {
        for (a_layout, b_layout, d_layout) in
            [("row", "col", "row"), ("row", "row", "col"), ("col", "col", "row"), ("col", "row", "row")]
        {
            let mut memory = Memory::default();
            let place = |layout: &str, at: usize, stride: usize| {
                if layout == "row" { (at / stride, at % stride) } else { (at % stride, at / stride) }
            };
            let halves = |seed: usize, layout: &str| -> Vec<u16> {
                (0..16 * 24)
                    .map(|at| place(layout, at, 24))
                    .map(|(row, column)| encode(ty, number(seed, row, column)) as u16)
                    .collect()
            };
            let (a, b) = (memory.put(&halves(1, a_layout)), memory.put(&halves(2, b_layout)));
            let c: Vec<f32> = (0..256).map(|at| number(3, at / 16, at % 16) as f32).collect();
            let (c, out) = (memory.put(&c), memory.put(&[0f32; 256]));
            let count = if ty == "bf16" { 4 } else { 8 };
            let list = |prefix: &str, count: usize| {
                format!("{{{}}}", (0..count).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>().join(", "))
            };
            let types = if ty == "bf16" { "f32.bf16.bf16.f32" } else { "f32.f32" };
            let body = format!(
                ".reg .b32 %a<8>; .reg .b32 %b<8>; .reg .f32 %c<8>; .reg .f32 %e<8>; ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1]; \
                 ld.param.u64 %d3, [p2]; ld.param.u64 %d4, [p3]; mov.u32 %r1, 24; mov.u32 %r2, 16; \
                 wmma.load.a.sync.aligned.{a_layout}.m16n16k16.global.{ty} {a}, [%d1], %r1; \
                 wmma.load.b.sync.aligned.{b_layout}.m16n16k16.global.{ty} {b}, [%d2], %r1; \
                 wmma.load.c.sync.aligned.row.m16n16k16.global.f32 {c}, [%d3], %r2; \
                 wmma.mma.sync.aligned.{a_layout}.{b_layout}.m16n16k16.{types} {e}, {a}, {b}, {c}; \
                 wmma.store.d.sync.aligned.{d_layout}.m16n16k16.global.f32 [%d4], {e}, %r2;",
                a = list("%a", count),
                b = list("%b", count),
                c = list("%c", 8),
                e = list("%e", 8)
            );
            run(&text("", 4, &body), &mut memory, (1, 32), &[a, b, c, out], &RACES).unwrap();
            for (at, bits) in memory.words(out).into_iter().enumerate() {
                let (row, column) = place(d_layout, at, 16);
                let sum: f64 = (0..16).map(|k| number(1, row, k) * number(2, k, column)).sum();
                let wanted = sum + number(3, row, column);
                assert_eq!(
                    f64::from(f32::from_bits(bits)),
                    wanted,
                    "{ty} {a_layout} {b_layout} ({row}, {column})"
                );
            }
        }
    }
}
