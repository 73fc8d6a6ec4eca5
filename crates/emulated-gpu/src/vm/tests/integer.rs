//! Integer Arithmetic, Extended-Precision Arithmetic, Logic and Shift Instructions.

use super::*;

#[test]
fn add_and_sub_wrap_and_saturate() {
    assert_eq!(r("add.s32 %r0, %r1, %r2;", &[R(0x7fff_ffff), R(1)]), 0x8000_0000);
    assert_eq!(r("add.sat.s32 %r0, %r1, %r2;", &[R(0x7fff_ffff), R(1)]), 0x7fff_ffff);
    assert_eq!(r("add.u32 %r0, %r1, 1;", &[R(u32::MAX)]), 0);
    assert_eq!(h("add.u16 %h0, %h1, %h2;", &[H(0xffff), H(2)]), 1);
    assert_eq!(eval("add.s64 %d0, %d1, -1;", &[D(0)], "%d0"), u64::MAX);
    assert_eq!(r("sub.s32 %r0, %r1, %r2;", &[R(0x8000_0000), R(1)]), 0x7fff_ffff);
    assert_eq!(r("sub.sat.s32 %r0, %r1, %r2;", &[R(0x8000_0000), R(1)]), 0x8000_0000);
    assert_eq!(h("sub.s16 %h0, %h1, %h2;", &[H(0), H(1)]), 0xffff);
    assert_eq!(eval("sub.u64 %d0, %d1, %d2;", &[D(0), D(1)], "%d0"), u64::MAX);
}

#[test]
fn carries_pass_from_instruction_to_instruction() {
    let code = "add.cc.u32 %r5, %r1, %r3; addc.cc.u32 %r6, %r2, %r4; addc.u32 %r0, 0, 0;";
    assert_eq!(r(code, &[R(u32::MAX), R(u32::MAX), R(1), R(0)]), 1);
    assert_eq!(r(code, &[R(u32::MAX), R(u32::MAX - 1), R(1), R(0)]), 0);
    let code = "sub.cc.u32 %r5, %r1, %r2; subc.u32 %r0, %r3, 0;";
    assert_eq!(r(code, &[R(0), R(1), R(10)]), 9);
    assert_eq!(r(code, &[R(1), R(1), R(10)]), 10);
    let code = "sub.cc.u64 %d5, %d1, %d2; subc.cc.u64 %d6, 0, 0; subc.u64 %d0, 0, 0;";
    assert_eq!(eval(code, &[D(0), D(1)], "%d0"), u64::MAX);
    // A product of 64 × 64 bits by parts of 32, as libraries do it.
    let (x, y) = (0xfedc_ba98_7654_3210u64, 0x0123_4567_89ab_cdefu64);
    let code = "mov.b64 {%r1, %r2}, %d1; mov.b64 {%r3, %r4}, %d2; mul.lo.u32 %r5, %r1, %r3; mul.hi.u32 %r6, %r1, %r3; \
        mad.lo.cc.u32 %r6, %r1, %r4, %r6; madc.hi.u32 %r7, %r1, %r4, 0; mad.lo.cc.u32 %r6, %r2, %r3, %r6; \
        madc.hi.cc.u32 %r7, %r2, %r3, %r7; addc.u32 %r8, 0, 0; mad.lo.cc.u32 %r7, %r2, %r4, %r7; \
        madc.hi.u32 %r8, %r2, %r4, %r8; ";
    let product = u128::from(x) * u128::from(y);
    assert_eq!(eval(&format!("{code} mov.b64 %d0, {{%r5, %r6}};"), &[D(x), D(y)], "%d0"), product as u64);
    assert_eq!(
        eval(&format!("{code} mov.b64 %d0, {{%r7, %r8}};"), &[D(x), D(y)], "%d0"),
        (product >> 64) as u64
    );
    // A plain addition leaves the carry alone.
    assert_eq!(r("add.cc.u32 %r5, %r1, 1; add.u32 %r6, 1, 1; addc.u32 %r0, 0, 0;", &[R(u32::MAX)]), 1);
    let signed = "mad.hi.cc.s32 %r5, %r1, %r2, %r3; addc.u32 %r0, 0, 0;";
    assert_eq!(r(signed, &[R(-2i32 as u32), R(3), R(1)]), 1, "-1 + 1 carries");
    assert_eq!(r("add.cc.u64 %d5, %d1, 1; addc.u32 %r0, 0, 0;", &[D(u64::MAX)]), 1);
}

#[test]
fn products_have_a_low_a_high_and_a_wide_form() {
    assert_eq!(r("mul.lo.s32 %r0, %r1, %r2;", &[R(0x10001), R(0x10001)]), 0x20001);
    assert_eq!(h("mul.lo.u16 %h0, %h1, %h2;", &[H(300), H(300)]), (300u32 * 300) as u16);
    assert_eq!(h("mul.hi.s16 %h0, %h1, %h2;", &[H(-300i16 as u16), H(300)]), ((-300i32 * 300) >> 16) as u16);
    assert_eq!(r("mul.hi.s32 %r0, %r1, %r2;", &[R(-5i32 as u32), R(7)]), u32::MAX);
    assert_eq!(r("mul.hi.u32 %r0, %r1, %r2;", &[R(-5i32 as u32), R(7)]), 6);
    assert_eq!(eval("mul.hi.u64 %d0, %d1, %d2;", &[D(u64::MAX), D(u64::MAX)], "%d0"), u64::MAX - 1);
    assert_eq!(eval("mul.hi.s64 %d0, %d1, %d2;", &[D(u64::MAX), D(2)], "%d0"), u64::MAX);
    assert_eq!(eval("mul.lo.s64 %d0, %d1, %d2;", &[D(u64::MAX), D(2)], "%d0"), -2i64 as u64);
    assert_eq!(eval("mul.wide.s32 %d0, %r1, %r2;", &[R(-5i32 as u32), R(7)], "%d0"), -35i64 as u64);
    assert_eq!(
        eval("mul.wide.u32 %d0, %r1, %r2;", &[R(u32::MAX), R(u32::MAX)], "%d0"),
        0xffff_fffe_0000_0001
    );
    assert_eq!(r("mul.wide.s16 %r0, %h1, %h2;", &[H(0xffff), H(3)]), -3i32 as u32);
    assert_eq!(r("mul.wide.u16 %r0, %h1, %h2;", &[H(0xffff), H(3)]), 0x2fffd);
    assert_eq!(r("mad.lo.s32 %r0, %r1, %r2, %r3;", &[R(3), R(4), R(-20i32 as u32)]), -8i32 as u32);
    assert_eq!(r("mad.hi.s32 %r0, %r1, %r2, %r3;", &[R(0x4000_0000), R(8), R(1)]), 3);
    assert_eq!(r("mad.hi.sat.s32 %r0, %r1, %r2, %r3;", &[R(0x4000_0000), R(8), R(0x7fff_ffff)]), 0x7fff_ffff);
    assert_eq!(eval("mad.wide.s32 %d0, %r1, %r2, %d3;", &[R(-2i32 as u32), R(3), D(5)], "%d0"), u64::MAX);
    assert_eq!(eval("mad.wide.u32 %d0, %r1, %r2, %d3;", &[R(u32::MAX), R(2), D(1)], "%d0"), 0x1_ffff_ffff);
    assert_eq!(r("mad.wide.u16 %r0, %h1, %h2, %r3;", &[H(0xffff), H(2), R(1)]), 0x1ffff);
    assert_eq!(r("mad.wide.s16 %r0, %h1, %h2, %r3;", &[H(0xffff), H(2), R(1)]), u32::MAX);
    assert_eq!(h("mad.lo.u16 %h0, %h1, %h2, %h3;", &[H(1000), H(100), H(7)]), (100_007u32) as u16);
    assert_eq!(eval("mad.lo.u64 %d0, %d1, %d2, %d3;", &[D(1 << 40), D(1 << 30), D(9)], "%d0"), 9);
}

#[test]
fn products_of_24_bits_look_at_no_more() {
    let (a, b) = (0xab12_3456u32, 0xcdff_fff0u32);
    let unsigned = u64::from(a & 0xff_ffff) * u64::from(b & 0xff_ffff);
    assert_eq!(r("mul24.lo.u32 %r0, %r1, %r2;", &[R(a), R(b)]), unsigned as u32);
    assert_eq!(r("mul24.hi.u32 %r0, %r1, %r2;", &[R(a), R(b)]), (unsigned >> 16) as u32);
    // 0xfffff0 is -16 in 24 bits.
    let signed = 0x12_3456i64 * -16;
    assert_eq!(r("mul24.lo.s32 %r0, %r1, %r2;", &[R(a), R(b)]), signed as u32);
    assert_eq!(r("mul24.hi.s32 %r0, %r1, %r2;", &[R(a), R(b)]), (signed >> 16) as u32);
    assert_eq!(r("mad24.lo.s32 %r0, %r1, %r2, %r3;", &[R(a), R(b), R(5)]), (signed + 5) as u32);
    assert_eq!(r("mad24.hi.u32 %r0, %r1, %r2, %r3;", &[R(a), R(b), R(5)]), (unsigned >> 16) as u32 + 5);
    let code = "mad24.hi.sat.s32 %r0, %r1, %r2, %r3;";
    assert_eq!(r(code, &[R(0x7f_ffff), R(0x7f_ffff), R(0x7fff_ffff)]), 0x7fff_ffff);
}

#[test]
fn distances_quotients_and_remainders() {
    assert_eq!(r("sad.s32 %r0, %r1, %r2, %r3;", &[R(-3i32 as u32), R(4), R(10)]), 17);
    assert_eq!(r("sad.u32 %r0, %r1, %r2, %r3;", &[R(-3i32 as u32), R(4), R(0)]), u32::MAX - 6);
    assert_eq!(h("sad.u16 %h0, %h1, %h2, %h3;", &[H(1), H(3), H(0xffff)]), 1);
    assert_eq!(r("div.s32 %r0, %r1, %r2;", &[R(-7i32 as u32), R(2)]), -3i32 as u32);
    assert_eq!(r("div.s32 %r0, %r1, %r2;", &[R(i32::MIN as u32), R(-1i32 as u32)]), i32::MIN as u32);
    assert_eq!(r("div.u32 %r0, %r1, %r2;", &[R(-7i32 as u32), R(2)]), 0x7fff_fffc);
    assert_eq!(r("rem.s32 %r0, %r1, %r2;", &[R(-7i32 as u32), R(2)]), -1i32 as u32);
    assert_eq!(h("rem.u16 %h0, %h1, %h2;", &[H(1000), H(7)]), 6);
    assert_eq!(eval("div.u64 %d0, %d1, %d2;", &[D(u64::MAX), D(10)], "%d0"), u64::MAX / 10);
    assert_eq!(eval("rem.s64 %d0, %d1, %d2;", &[D(-7i64 as u64), D(4)], "%d0"), -3i64 as u64);
}

#[test]
fn a_division_by_zero_is_a_fault_of_the_lane_that_makes_it() {
    for op in ["div", "rem"] {
        let fault =
            lanes(&format!("{op}.s32 %r0, 5, %r2;"), 32, &[std::array::from_fn(|i| 9 - i.min(9) as u32)]);
        let fault = fault.unwrap_err();
        assert_eq!(fault.kind, FaultKind::DivisionByZero);
        assert_eq!(fault.at.unwrap().thread, [9, 0, 0]);
    }
}

#[test]
fn signs_and_extremes() {
    assert_eq!(r("abs.s32 %r0, %r1;", &[R(-5i32 as u32)]), 5);
    assert_eq!(r("abs.s32 %r0, %r1;", &[R(i32::MIN as u32)]), i32::MIN as u32);
    assert_eq!(h("abs.s16 %h0, %h1;", &[H(0xfffe)]), 2);
    assert_eq!(eval("neg.s64 %d0, %d1;", &[D(1)], "%d0"), u64::MAX);
    assert_eq!(r("neg.s32 %r0, %r1;", &[R(7)]), -7i32 as u32);
    for (op, ty, wanted) in
        [("min", "s32", u32::MAX), ("min", "u32", 1), ("max", "s32", 1), ("max", "u32", u32::MAX)]
    {
        assert_eq!(r(&format!("{op}.{ty} %r0, %r1, %r2;"), &[R(u32::MAX), R(1)]), wanted, "{op}.{ty}");
    }
    assert_eq!(h("min.s16 %h0, %h1, %h2;", &[H(0x8000), H(3)]), 0x8000);
    assert_eq!(eval("max.u64 %d0, %d1, %d2;", &[D(1 << 63), D(3)], "%d0"), 1 << 63);
}

#[test]
fn logic_of_bits_and_of_predicates() {
    let (a, b) = (0b1100, 0b1010);
    assert_eq!(r("and.b32 %r0, %r1, %r2;", &[R(a), R(b)]), 0b1000);
    assert_eq!(r("or.b32 %r0, %r1, %r2;", &[R(a), R(b)]), 0b1110);
    assert_eq!(r("xor.b32 %r0, %r1, %r2;", &[R(a), R(b)]), 0b0110);
    assert_eq!(h("not.b16 %h0, %h1;", &[H(0xf0f0)]), 0x0f0f);
    assert_eq!(eval("not.b64 %d0, %d1;", &[D(1)], "%d0"), u64::MAX - 1);
    assert_eq!(r("cnot.b32 %r0, %r1;", &[R(0)]), 1);
    assert_eq!(r("cnot.b32 %r0, %r1;", &[R(9)]), 0);
    assert_eq!(eval("xor.b64 %d0, %d1, %d2;", &[D(1 << 40), D(u64::MAX)], "%d0"), !(1 << 40));
    for (x, y) in [(false, false), (false, true), (true, false), (true, true)] {
        assert_eq!(p("and.pred %p0, %p1, %p2;", &[P(x), P(y)]), x && y);
        assert_eq!(p("or.pred %p0, %p1, %p2;", &[P(x), P(y)]), x || y);
        assert_eq!(p("xor.pred %p0, %p1, %p2;", &[P(x), P(y)]), x != y);
        assert_eq!(p("not.pred %p0, %p1;", &[P(x)]), !x);
    }
}

#[test]
fn lop3_computes_every_one_of_its_256_functions() {
    let (a, b, c) = (0xf0u32, 0xccu32, 0xaau32);
    for table in 0..=255u32 {
        // With these operands each bit of the result is the bit of the table that belongs to it.
        let code = format!("lop3.b32 %r0, %r1, %r2, %r3, {table};");
        assert_eq!(r(&code, &[R(a), R(b), R(c)]) & 255, table);
    }
}

#[test]
fn shifts_past_the_width_clamp() {
    assert_eq!(r("shl.b32 %r0, %r1, %r2;", &[R(3), R(31)]), 0x8000_0000);
    assert_eq!(r("shl.b32 %r0, %r1, %r2;", &[R(3), R(32)]), 0);
    assert_eq!(r("shr.u32 %r0, %r1, %r2;", &[R(0x8000_0000), R(31)]), 1);
    assert_eq!(r("shr.u32 %r0, %r1, %r2;", &[R(0x8000_0000), R(32)]), 0);
    assert_eq!(r("shr.b32 %r0, %r1, %r2;", &[R(0x8000_0000), R(u32::MAX)]), 0);
    assert_eq!(r("shr.s32 %r0, %r1, %r2;", &[R(0x8000_0000), R(1000)]), u32::MAX);
    assert_eq!(h("shr.s16 %h0, %h1, %r2;", &[H(0x8000), R(15)]), 0xffff);
    assert_eq!(h("shr.s16 %h0, %h1, %r2;", &[H(0x4000), R(16)]), 0);
    assert_eq!(h("shl.b16 %h0, %h1, %r2;", &[H(1), R(16)]), 0);
    assert_eq!(eval("shl.b64 %d0, %d1, %r2;", &[D(1), R(63)], "%d0"), 1 << 63);
    assert_eq!(eval("shr.s64 %d0, %d1, %r2;", &[D(1 << 63), R(64)], "%d0"), u64::MAX);
    assert_eq!(eval("shr.u64 %d0, %d1, %r2;", &[D(1 << 63), R(64)], "%d0"), 0);
}

#[test]
fn funnel_shifts_wrap_or_clamp() {
    let (low, high) = (0x89ab_cdef, 0x0123_4567);
    let both = u64::from(high) << 32 | u64::from(low);
    for n in [0, 1, 8, 31] {
        for mode in ["wrap", "clamp"] {
            let code = format!("shf.l.{mode}.b32 %r0, %r1, %r2, %r3;");
            assert_eq!(r(&code, &[R(low), R(high), R(n)]), (both << n >> 32) as u32);
            let code = format!("shf.r.{mode}.b32 %r0, %r1, %r2, %r3;");
            assert_eq!(r(&code, &[R(low), R(high), R(n)]), (both >> n) as u32);
        }
    }
    let by = |code: &str, n| r(code, &[R(low), R(high), R(n)]);
    assert_eq!(by("shf.l.clamp.b32 %r0, %r1, %r2, %r3;", 40), low);
    assert_eq!(by("shf.r.clamp.b32 %r0, %r1, %r2, %r3;", 40), high);
    assert_eq!(by("shf.l.wrap.b32 %r0, %r1, %r2, %r3;", 40), (both << 8 >> 32) as u32);
    assert_eq!(by("shf.r.wrap.b32 %r0, %r1, %r2, %r3;", 32), low);
}

#[test]
fn counts_and_places_of_bits() {
    assert_eq!(r("popc.b32 %r0, %r1;", &[R(0xf0f)]), 8);
    assert_eq!(r("popc.b64 %r0, %d1;", &[D(u64::MAX)]), 64);
    assert_eq!(r("clz.b32 %r0, %r1;", &[R(0)]), 32);
    assert_eq!(r("clz.b64 %r0, %d1;", &[D(1 << 40)]), 23);
    assert_eq!(r("bfind.u32 %r0, %r1;", &[R(0)]), u32::MAX);
    assert_eq!(r("bfind.u32 %r0, %r1;", &[R(0x10)]), 4);
    assert_eq!(r("bfind.shiftamt.u32 %r0, %r1;", &[R(0x10)]), 27);
    assert_eq!(r("bfind.s32 %r0, %r1;", &[R(-1i32 as u32)]), u32::MAX);
    assert_eq!(r("bfind.s32 %r0, %r1;", &[R(-17i32 as u32)]), 4);
    assert_eq!(r("bfind.s64 %r0, %d1;", &[D(1 << 50)]), 50);
    assert_eq!(r("brev.b32 %r0, %r1;", &[R(1)]), 0x8000_0000);
    assert_eq!(eval("brev.b64 %d0, %d1;", &[D(2)], "%d0"), 1 << 62);
    let bits = 0b1011_0100u32;
    for (base, offset, wanted) in
        [(2, 0, 2), (3, 0, u32::MAX), (0, 1, 2), (0, 2, 4), (0, 4, 7), (0, 5, u32::MAX)]
    {
        assert_eq!(
            r("fns.b32 %r0, %r1, %r2, %r3;", &[R(bits), R(base), R(offset)]),
            wanted,
            "{base} {offset}"
        );
    }
    assert_eq!(r("fns.b32 %r0, %r1, %r2, %r3;", &[R(bits), R(7), R(-2i32 as u32)]), 5);
}

/// `bfe` as PTX ISA writes it down, bit by bit.
fn extracted(a: u64, pos: u32, len: u32, bits: u32, signed: bool) -> u64 {
    let (msb, pos, len) = (bits - 1, pos & 255, len & 255);
    let bit = |at: u32| a >> at & 1;
    let sbit = if !signed || len == 0 { 0 } else { bit((pos + len - 1).min(msb)) };
    (0..bits).fold(0, |d, i| d | (if i < len && pos + i <= msb { bit(pos + i) } else { sbit }) << i)
}

#[test]
fn fields_are_extracted_as_their_pseudocode_says() {
    let a = 0xf123_4567_89ab_cdefu64;
    for pos in [0, 1, 7, 15, 31, 32, 40, 63, 64, 255, 256] {
        for len in [0, 1, 5, 8, 31, 32, 33, 64, 127, 128, 255, 260] {
            for signed in [false, true] {
                let s = if signed { 's' } else { 'u' };
                let code = format!("bfe.{s}32 %r0, %r1, %r2, %r3;");
                let wanted = extracted(u64::from(a as u32), pos, len, 32, signed) as u32;
                assert_eq!(r(&code, &[R(a as u32), R(pos), R(len)]), wanted, "{code} {pos} {len}");
                let code = format!("bfe.{s}64 %d0, %d1, %r2, %r3;");
                let wanted = extracted(a, pos, len, 64, signed);
                assert_eq!(eval(&code, &[D(a), R(pos), R(len)], "%d0"), wanted, "{code} {pos} {len}");
            }
        }
    }
}

#[test]
fn fields_are_inserted_as_their_pseudocode_says() {
    let (a, b) = (0xf123_4567_89ab_cdefu64, 0x5555_aaaa_0f0f_f0f0u64);
    let inserted = |bits: u32, pos: u32, len: u32| {
        let (pos, len) = (pos & 255, len & 255);
        (0..len)
            .take_while(|i| pos + i < bits)
            .fold(b, |f, i| f & !(1 << (pos + i)) | (a >> i & 1) << (pos + i))
    };
    for pos in [0, 3, 31, 32, 63, 64, 255] {
        for len in [0, 1, 8, 32, 64, 255] {
            let of = &[R(a as u32), R(b as u32), R(pos), R(len)];
            assert_eq!(
                r("bfi.b32 %r0, %r1, %r2, %r3, %r4;", of),
                inserted(32, pos, len) as u32,
                "{pos} {len}"
            );
            let of = &[D(a), D(b), R(pos), R(len)];
            assert_eq!(
                eval("bfi.b64 %d0, %d1, %d2, %r3, %r4;", of, "%d0"),
                inserted(64, pos, len),
                "{pos} {len}"
            );
        }
    }
}

#[test]
fn prmt_selects_bytes_in_all_modes() {
    let (a, b) = (0x8322_1100u32, 0x7766_5544u32);
    let byte = |n: u32| [0x00, 0x11, 0x22, 0x83, 0x44, 0x55, 0x66, 0x77u32][n as usize];
    let by = |mode: &str, c| r(&format!("prmt.b32{mode} %r0, %r1, %r2, %r3;"), &[R(a), R(b), R(c)]);
    assert_eq!(by("", 0x7531), byte(7) << 24 | byte(5) << 16 | byte(3) << 8 | byte(1));
    // The upper bit of a selector replicates the byte's sign.
    assert_eq!(by("", 0xb8), 0x0000_ff00 & 0xff00 | byte(0) << 24 | byte(0) << 16);
    // The tables of PTX ISA, byte 3 first.
    let tables = [
        (".f4e", [[3, 2, 1, 0], [4, 3, 2, 1], [5, 4, 3, 2], [6, 5, 4, 3]]),
        (".b4e", [[5, 6, 7, 0], [6, 7, 0, 1], [7, 0, 1, 2], [0, 1, 2, 3]]),
        (".rc8", [[0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3]]),
        (".ecl", [[3, 2, 1, 0], [3, 2, 1, 1], [3, 2, 2, 2], [3, 3, 3, 3]]),
        (".ecr", [[0, 0, 0, 0], [1, 1, 1, 0], [2, 2, 1, 0], [3, 2, 1, 0]]),
        (".rc16", [[1, 0, 1, 0], [3, 2, 3, 2], [1, 0, 1, 0], [3, 2, 3, 2]]),
    ];
    for (mode, rows) in tables {
        for (c, row) in rows.into_iter().enumerate() {
            let wanted = row.into_iter().fold(0, |found, n| found << 8 | byte(n));
            assert_eq!(by(mode, c as u32), wanted, "{mode} {c}");
        }
    }
}

#[test]
fn dot_products_of_bytes_take_each_side_signed_or_not() {
    let (a, b, c) = (0x80ff_0102u32, 0x7f02_fe03u32, 1000u32);
    for (sa, sb) in [('s', 's'), ('s', 'u'), ('u', 's'), ('u', 'u')] {
        let part = |x: u32, q: u32, s| {
            let byte = (x >> (8 * q)) as u8;
            if s == 's' { i64::from(byte as i8) } else { i64::from(byte) }
        };
        let wanted = (0..4).map(|q| part(a, q, sa) * part(b, q, sb)).sum::<i64>() + i64::from(c);
        assert_eq!(r(&format!("dp4a.{sa}32.{sb}32 %r0, %r1, %r2, %r3;"), &[R(a), R(b), R(c)]), wanted as u32);
        for (half, first) in [("lo", 0), ("hi", 2)] {
            let word = |q: u32| {
                let word = (a >> (16 * q)) as u16;
                if sa == 's' { i64::from(word as i16) } else { i64::from(word) }
            };
            let wanted = (0..2).map(|q| word(q) * part(b, q + first, sb)).sum::<i64>() + i64::from(c);
            let code = format!("dp2a.{half}.{sa}32.{sb}32 %r0, %r1, %r2, %r3;");
            assert_eq!(r(&code, &[R(a), R(b), R(c)]), wanted as u32, "{code}");
        }
    }
}
