//! Comparison and Selection Instructions, and `testp`.

use super::*;

#[test]
fn integers_compare_by_their_sign() {
    let (a, b) = (u32::MAX, 1u32);
    for (op, signed, unsigned) in [
        ("eq", false, false),
        ("ne", true, true),
        ("lt", true, false),
        ("le", true, false),
        ("gt", false, true),
        ("ge", false, true),
    ] {
        assert_eq!(p(&format!("setp.{op}.s32 %p0, %r1, %r2;"), &[R(a), R(b)]), signed, "{op}");
        assert_eq!(p(&format!("setp.{op}.u32 %p0, %r1, %r2;"), &[R(a), R(b)]), unsigned, "{op}");
        assert_eq!(p(&format!("setp.{op}.s64 %p0, %d1, %d2;"), &[D(u64::MAX), D(1)]), signed, "{op}");
        assert_eq!(p(&format!("setp.{op}.u16 %p0, %h1, %h2;"), &[H(0xffff), H(1)]), unsigned, "{op}");
        assert_eq!(p(&format!("setp.{op}.s16 %p0, %h1, %h2;"), &[H(0xffff), H(1)]), signed, "{op}");
        assert_eq!(p(&format!("setp.{op}.u64 %p0, %d1, %d2;"), &[D(u64::MAX), D(1)]), unsigned, "{op}");
    }
    for (op, wanted) in [("lo", false), ("ls", false), ("hi", true), ("hs", true)] {
        assert_eq!(p(&format!("setp.{op}.u32 %p0, %r1, %r2;"), &[R(a), R(b)]), wanted, "{op}");
    }
    assert!(p("setp.eq.b32 %p0, %r1, %r2;", &[R(7), R(7)]));
    assert!(refused("", "setp.lo.s32 %p0, %r1, %r2;").contains("that comparison"));
    assert!(refused("", "setp.lt.b32 %p0, %r1, %r2;").contains("that comparison"));
    assert!(refused("", "setp.equ.s32 %p0, %r1, %r2;").contains("that comparison"));
}

#[test]
fn numbers_compare_ordered_and_unordered() {
    let numbers = [-1f32, -0., 0., 1., f32::INFINITY, f32::NAN];
    type Holds = fn(f32, f32) -> bool;
    let tests: [(&str, Holds); 14] = [
        ("eq", |a, b| a == b),
        ("ne", |a, b| a != b && !a.is_nan() && !b.is_nan()),
        ("lt", |a, b| a < b),
        ("le", |a, b| a <= b),
        ("gt", |a, b| a > b),
        ("ge", |a, b| a >= b),
        ("equ", |a, b| a == b || a.is_nan() || b.is_nan()),
        ("neu", |a, b| a != b),
        ("ltu", |a, b| a < b || a.is_nan() || b.is_nan()),
        ("leu", |a, b| a <= b || a.is_nan() || b.is_nan()),
        ("gtu", |a, b| a > b || a.is_nan() || b.is_nan()),
        ("geu", |a, b| a >= b || a.is_nan() || b.is_nan()),
        ("num", |a, b| !a.is_nan() && !b.is_nan()),
        ("nan", |a, b| a.is_nan() || b.is_nan()),
    ];
    for (op, holds) in tests {
        for a in numbers {
            for b in numbers {
                let text = format!("{op} of {a} and {b}");
                let code = format!("setp.{op}.f32 %p0, %r1, %r2;");
                assert_eq!(p(&code, &[f(a), f(b)]), holds(a, b), "{text}");
                let code = format!("setp.{op}.f64 %p0, %d1, %d2;");
                assert_eq!(p(&code, &[d(f64::from(a)), d(f64::from(b))]), holds(a, b), "{text}");
                let half = |x: f32| H(half::f16::from_f32(x).to_bits());
                let code = format!("setp.{op}.f16 %p0, %h1, %h2;");
                assert_eq!(p(&code, &[half(a), half(b)]), holds(a, b), "{text}");
                let half = |x: f32| H(half::bf16::from_f32(x).to_bits());
                let code = format!("setp.{op}.bf16 %p0, %h1, %h2;");
                assert_eq!(p(&code, &[half(a), half(b)]), holds(a, b), "{text}");
            }
        }
    }
    let tiny = f32::from_bits(1);
    assert!(p("setp.gt.f32 %p0, %r1, %r2;", &[f(tiny), f(0.)]));
    assert!(!p("setp.gt.ftz.f32 %p0, %r1, %r2;", &[f(tiny), f(0.)]));
    assert!(!p("setp.gt.ftz.f16 %p0, %h1, %h2;", &[H(1), H(0)]));
}

#[test]
fn setp_has_a_second_result_and_combines_with_a_predicate() {
    for (a, c) in [(1, false), (1, true), (2, false), (2, true)] {
        let less = a < 2;
        for (op, of) in
            [("and", (|x, y| x & y) as fn(bool, bool) -> bool), ("or", |x, y| x | y), ("xor", |x, y| x ^ y)]
        {
            for (sign, c3) in [("", c), ("!", !c)] {
                let code = format!("setp.lt.{op}.s32 %p0|%p5, %r1, 2, {sign}%p2;");
                assert_eq!(p(&code, &[R(a), P(c)]), of(less, c3), "{code}");
                assert_eq!(eval(&code, &[R(a), P(c)], "%p5") == 1, of(!less, c3), "{code}");
            }
        }
    }
    // Of packed halves the two results are those of the halves.
    let code = "setp.lt.f16x2 %p0|%p5, %r1, %r2;";
    assert_eq!(eval(code, &[R(0x3c00_4000), R(0x4000_3c00)], "%p0"), 0);
    assert_eq!(eval(code, &[R(0x3c00_4000), R(0x4000_3c00)], "%p5"), 1);
}

#[test]
fn set_gives_ones_or_one() {
    assert_eq!(r("set.lt.u32.s32 %r0, %r1, %r2;", &[R(1), R(2)]), u32::MAX);
    assert_eq!(r("set.lt.s32.f32 %r0, %r1, %r2;", &[f(2.), f(1.)]), 0);
    assert_eq!(single("set.ge.f32.u32 %r0, %r1, %r2;", &[R(2), R(1)]), 1.);
    assert_eq!(r("set.eq.and.u32.u64 %r0, %d1, %d2, %p3;", &[D(5), D(5), P(false)]), 0);
    assert_eq!(h("set.lt.f16.f16 %h0, %h1, %h2;", &[H(0x3c00), H(0x4000)]), 0x3c00);
    assert_eq!(h("set.gt.u16.f16 %h0, %h1, %h2;", &[H(0x4000), H(0x3c00)]), 0xffff);
    assert_eq!(r("set.gt.f16x2.f16x2 %r0, %r1, %r2;", &[R(0x4000_3c00), R(0x3c00_3c00)]), 0x3c00_0000);
    assert_eq!(r("set.neu.bf16x2.bf16x2 %r0, %r1, %r2;", &[R(0x7fc0_3f80), R(0x7fc0_3f80)]), 0x3f80_0000);
    assert_eq!(h("set.le.bf16.bf16 %h0, %h1, %h2;", &[H(0x3f80), H(0x3f80)]), 0x3f80);
}

#[test]
fn selections() {
    assert_eq!(r("selp.b32 %r0, %r1, %r2, %p3;", &[R(1), R(2), P(true)]), 1);
    assert_eq!(r("selp.f32 %r0, %r1, %r2, %p3;", &[R(1), R(2), P(false)]), 2);
    assert_eq!(h("selp.b16 %h0, %h1, %h2, %p3;", &[H(1), H(2), P(false)]), 2);
    assert_eq!(eval("selp.b64 %d0, %d1, %d2, %p3;", &[D(1 << 40), D(2), P(true)], "%d0"), 1 << 40);
    assert_eq!(r("slct.u32.s32 %r0, %r1, %r2, %r3;", &[R(1), R(2), R(0)]), 1);
    assert_eq!(r("slct.u32.s32 %r0, %r1, %r2, %r3;", &[R(1), R(2), R(u32::MAX)]), 2);
    assert_eq!(eval("slct.f64.f32 %d0, %d1, %d2, %r3;", &[D(1), D(2), f(-0.)], "%d0"), 1);
    assert_eq!(r("slct.b32.f32 %r0, %r1, %r2, %r3;", &[R(1), R(2), f(f32::NAN)]), 2);
    let minus = -f32::from_bits(1);
    assert_eq!(r("slct.b32.f32 %r0, %r1, %r2, %r3;", &[R(1), R(2), f(minus)]), 2);
    assert_eq!(r("slct.ftz.b32.f32 %r0, %r1, %r2, %r3;", &[R(1), R(2), f(minus)]), 1);
}

#[test]
fn testp_classifies_numbers() {
    let numbers = [0f32, -1., f32::from_bits(1), f32::NEG_INFINITY, f32::NAN];
    for (test, wanted) in [
        ("finite", [true, true, true, false, false]),
        ("infinite", [false, false, false, true, false]),
        ("number", [true, true, true, true, false]),
        ("notanumber", [false, false, false, false, true]),
        ("normal", [false, true, false, false, false]),
        ("subnormal", [false, false, true, false, false]),
    ] {
        for (x, wanted) in numbers.into_iter().zip(wanted) {
            assert_eq!(p(&format!("testp.{test}.f32 %p0, %r1;"), &[f(x)]), wanted, "{test} of {x}");
        }
    }
    assert!(p("testp.subnormal.f64 %p0, %d1;", &[D(1)]));
    assert!(p("testp.normal.f64 %p0, %d1;", &[d(1e-40)]));
}
