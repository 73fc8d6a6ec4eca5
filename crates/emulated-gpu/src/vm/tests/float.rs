//! Floating-Point and Half-Precision Floating-Point Instructions.

use super::*;
use half::{bf16, f16};

const TINY: f32 = f32::from_bits(1);
const NAN: Value = R(0x7fc0_0001);

#[test]
fn sums_products_and_quotients_round_to_the_nearest() {
    assert_eq!(single("add.f32 %r0, %r1, %r2;", &[f(0.1), f(0.2)]), 0.1 + 0.2);
    assert_eq!(single("add.rn.f32 %r0, %r1, %r2;", &[f(16_777_216.), f(1.)]), 16_777_216.);
    assert_eq!(single("sub.f32 %r0, %r1, %r2;", &[f(1.), f(TINY)]), 1.);
    assert_eq!(single("mul.f32 %r0, %r1, %r2;", &[f(1.1), f(1.3)]), 1.1 * 1.3);
    assert_eq!(single("div.rn.f32 %r0, %r1, %r2;", &[f(1.), f(3.)]), 1. / 3.);
    assert_eq!(single("div.full.f32 %r0, %r1, %r2;", &[f(10.), f(4.)]), 2.5);
    assert_eq!(single("div.approx.f32 %r0, %r1, %r2;", &[f(10.), f(4.)]), 2.5);
    assert_eq!(double("add.f64 %d0, %d1, %d2;", &[d(0.1), d(0.2)]), 0.1 + 0.2);
    assert_eq!(double("sub.rn.f64 %d0, %d1, %d2;", &[d(0.1), d(0.2)]), 0.1 - 0.2);
    assert_eq!(double("mul.f64 %d0, %d1, %d2;", &[d(0.1), d(0.2)]), 0.1 * 0.2);
    assert_eq!(double("div.rn.f64 %d0, %d1, %d2;", &[d(1.), d(3.)]), 1. / 3.);
    assert!(single("add.f32 %r0, %r1, %r2;", &[f(f32::INFINITY), f(f32::NEG_INFINITY)]).is_nan());
}

#[test]
fn directed_roundings_bracket_the_exact_value() {
    let numbers = [
        1.0f32,
        -1.0,
        3.0,
        1.0e-30,
        -7.7e20,
        0.1,
        16_777_217.0,
        f32::MAX,
        -f32::MIN_POSITIVE,
        TINY,
        1.0 / 3.0,
    ];
    type Exact = fn(f64, f64) -> f64;
    let exact: [(&str, Exact); 3] = [("mul", |a, b| a * b), ("add", |a, b| a + b), ("sub", |a, b| a - b)];
    for (op, of) in exact {
        for a in numbers {
            for b in numbers {
                let (x, y) = (f64::from(a), f64::from(b));
                let wanted = of(x, y);
                // Only what double precision holds exactly can be compared with.
                let big = x.abs().max(y.abs());
                if op != "mul"
                    && (wanted - if op == "add" { y } else { -y } != x || big / x.abs().min(y.abs()) > 1e8)
                {
                    continue;
                }
                let by = |mode: &str| single(&format!("{op}.{mode}.f32 %r0, %r1, %r2;"), &[f(a), f(b)]);
                let (down, up, zero) = (by("rm"), by("rp"), by("rz"));
                let text = format!("{op} of {a:e} and {b:e}: {down:e} {zero:e} {up:e}, exactly {wanted:e}");
                assert!(f64::from(down) <= wanted && wanted <= f64::from(up), "{text}");
                assert!(down == up || down.next_up() == up, "{text}");
                assert_eq!(zero, if wanted < 0. { up } else { down }, "{text}");
            }
        }
    }
    // What single precision's neighbours lack is far below double precision's last bit, too.
    assert_eq!(single("add.rp.f32 %r0, %r1, %r2;", &[f(1.), f(TINY)]), 1f32.next_up());
    assert_eq!(single("add.rm.f32 %r0, %r1, %r2;", &[f(1.), f(-TINY)]), 1f32.next_down());
    assert_eq!(single("add.rz.f32 %r0, %r1, %r2;", &[f(-1.), f(TINY)]), (-1f32).next_up());
    assert_eq!(single("fma.rp.f32 %r0, %r1, %r2, %r3;", &[f(1.), f(1.), f(1e-40)]), 1f32.next_up());
    assert_eq!(single("mul.rz.f32 %r0, %r1, %r2;", &[f(f32::MAX), f(2.)]), f32::MAX);
    assert_eq!(single("mul.rp.f32 %r0, %r1, %r2;", &[f(f32::MAX), f(2.)]), f32::INFINITY);
    assert_eq!(r("add.rm.f32 %r0, %r1, %r2;", &[f(1.), f(-1.)]), 0x8000_0000);
    assert_eq!(r("add.rn.f32 %r0, %r1, %r2;", &[f(1.), f(-1.)]), 0);
    // 1 / 3 lies between two neighbours, and so do √2 and 1 / 3 in double precision.
    for (code, low) in [
        ("div.rm.f32 %r0, %r1, %r2;", true),
        ("div.rz.f32 %r0, %r1, %r2;", true),
        ("div.rp.f32 %r0, %r1, %r2;", false),
    ] {
        let third = single(code, &[f(1.), f(3.)]);
        assert_eq!(f64::from(third) * 3. < 1., low, "{code}");
    }
    let (down, up) = (single("sqrt.rm.f32 %r0, %r1;", &[f(2.)]), single("sqrt.rp.f32 %r0, %r1;", &[f(2.)]));
    assert!(f64::from(down).powi(2) < 2. && f64::from(up).powi(2) > 2. && down.next_up() == up);
    let (down, up) = (single("rcp.rz.f32 %r0, %r1;", &[f(3.)]), single("rcp.rp.f32 %r0, %r1;", &[f(3.)]));
    assert!(f64::from(down) * 3. < 1. && f64::from(up) * 3. > 1. && down.next_up() == up);
    assert_eq!(double("add.rp.f64 %d0, %d1, %d2;", &[d(1.), d(1e-300)]), 1f64.next_up());
    assert_eq!(double("sub.rz.f64 %d0, %d1, %d2;", &[d(1.), d(1e-300)]), 1f64.next_down());
    assert_eq!(double("mul.rm.f64 %d0, %d1, %d2;", &[d(-1e-200), d(1e-200)]), -f64::from_bits(1));
    assert_eq!(double("mul.rz.f64 %d0, %d1, %d2;", &[d(-1e-200), d(1e-200)]), -0.);
    let (down, up) = (
        double("mul.rm.f64 %d0, %d1, %d2;", &[d(0.1), d(0.1)]),
        double("mul.rp.f64 %d0, %d1, %d2;", &[d(0.1), d(0.1)]),
    );
    assert!(down.next_up() == up && (0.1 * 0.1 == down || 0.1 * 0.1 == up));
    // The exact product is above the lower one.
    assert!(0.1f64.mul_add(0.1, -down) > 0. && 0.1f64.mul_add(0.1, -up) < 0.);
    let (down, up) = (double("sqrt.rm.f64 %d0, %d1;", &[d(2.)]), double("sqrt.rp.f64 %d0, %d1;", &[d(2.)]));
    assert_eq!(down.next_up(), up);
    let (down, up) =
        (double("div.rm.f64 %d0, %d1, %d2;", &[d(1.), d(3.)]), double("rcp.rp.f64 %d0, %d1;", &[d(3.)]));
    assert_eq!(down.next_up(), up);
    assert_eq!(double("div.rp.f64 %d0, %d1, %d2;", &[d(1.), d(4.)]), 0.25);
}

#[test]
fn fma_rounds_once() {
    let (a, b) = (1. + f32::EPSILON, 1. - f32::EPSILON);
    // The product lacks ε² of 1, which a product rounded by itself loses.
    let wanted = -(f64::from(f32::EPSILON).powi(2)) as f32;
    assert_eq!(single("fma.rn.f32 %r0, %r1, %r2, %r3;", &[f(a), f(b), f(-1.)]), wanted);
    assert_eq!(single("mad.rn.f32 %r0, %r1, %r2, %r3;", &[f(a), f(b), f(-1.)]), wanted);
    assert_eq!(single("mul.f32 %r4, %r1, %r2; add.f32 %r0, %r4, %r3;", &[f(a), f(b), f(-1.)]), 0.);
    let (a, b) = (1. + f64::EPSILON, 1. - f64::EPSILON);
    assert_eq!(double("fma.rn.f64 %d0, %d1, %d2, %d3;", &[d(a), d(b), d(-1.)]), -f64::EPSILON * f64::EPSILON);
    assert!(single("fma.rn.f32 %r0, %r1, %r2, %r3;", &[f(f32::INFINITY), f(0.), f(1.)]).is_nan());
}

#[test]
fn fma_of_a_full_warp_is_that_of_a_lane() {
    let a: [u32; 32] = std::array::from_fn(|lane| (1. + lane as f32 * f32::EPSILON).to_bits());
    let (values, _) = lanes("fma.rn.f32 %r0, %r2, %r2, 0fBF800000;", 32, &[a]).unwrap();
    for (lane, value) in values.into_iter().enumerate() {
        let exact = f64::from(f32::from_bits(a[lane])).powi(2) - 1.;
        assert_eq!(f32::from_bits(value), exact as f32, "lane {lane}");
    }
}

#[test]
fn subnormal_numbers_are_kept_or_flushed() {
    assert_eq!(single("add.f32 %r0, %r1, %r2;", &[f(TINY), f(TINY)]), f32::from_bits(2));
    assert_eq!(r("add.ftz.f32 %r0, %r1, %r2;", &[f(TINY), f(-TINY)]), 0);
    assert_eq!(single("add.ftz.f32 %r0, %r1, %r2;", &[f(TINY), f(1.)]), 1.);
    assert_eq!(r("mul.ftz.f32 %r0, %r1, %r2;", &[f(-f32::MIN_POSITIVE), f(0.5)]), 0x8000_0000);
    assert_eq!(single("mul.f32 %r0, %r1, %r2;", &[f(f32::MIN_POSITIVE), f(0.5)]), f32::MIN_POSITIVE / 2.);
    assert_eq!(r("fma.rn.ftz.f32 %r0, %r1, %r2, %r3;", &[f(TINY), f(1e30), f(0.)]), 0);
    assert_eq!(r("neg.ftz.f32 %r0, %r1;", &[f(TINY)]), 0x8000_0000);
    assert_eq!(r("abs.ftz.f32 %r0, %r1;", &[f(-TINY)]), 0);
    assert_eq!(r("max.ftz.f32 %r0, %r1, %r2;", &[f(TINY), f(0.)]), 0);
    assert_eq!(h("fma.rn.ftz.f16 %h0, %h1, %h2, %h3;", &[H(1), H(0x3c00), H(0)]), 0);
    assert_eq!(h("fma.rn.f16 %h0, %h1, %h2, %h3;", &[H(1), H(0x3c00), H(0)]), 1);
}

#[test]
fn saturation_clamps_and_makes_nan_zero() {
    assert_eq!(single("add.sat.f32 %r0, %r1, %r2;", &[f(0.75), f(0.75)]), 1.);
    assert_eq!(single("mul.sat.f32 %r0, %r1, %r2;", &[f(-2.), f(3.)]), 0.);
    assert_eq!(r("fma.rn.sat.f32 %r0, %r1, %r2, %r3;", &[NAN, f(1.), f(1.)]), 0);
    assert_eq!(single("fma.rn.sat.f32 %r0, %r1, %r2, %r3;", &[f(0.25), f(1.), f(0.25)]), 0.5);
    assert_eq!(
        h("add.sat.f16 %h0, %h1, %h2;", &[H(f16::ONE.to_bits()), H(f16::ONE.to_bits())]),
        f16::ONE.to_bits()
    );
    assert_eq!(h("fma.rn.relu.bf16 %h0, %h1, %h2, %h3;", &[H(0x3f80), H(0xbf80), H(0)]), 0);
    assert_eq!(h("fma.rn.relu.f16 %h0, %h1, %h2, %h3;", &[H(0x7e01), H(0x3c00), H(0)]), 0x7fff);
}

#[test]
fn extremes_know_nan_and_the_sign_of_zero() {
    assert_eq!(single("min.f32 %r0, %r1, %r2;", &[NAN, f(1.)]), 1.);
    assert_eq!(single("max.f32 %r0, %r1, %r2;", &[f(1.), NAN]), 1.);
    assert_eq!(r("max.f32 %r0, %r1, %r2;", &[NAN, NAN]), 0x7fff_ffff);
    assert_eq!(r("max.NaN.f32 %r0, %r1, %r2;", &[f(1.), NAN]), 0x7fff_ffff);
    assert_eq!(r("min.f32 %r0, %r1, %r2;", &[f(0.), f(-0.)]), 0x8000_0000);
    assert_eq!(r("max.f32 %r0, %r1, %r2;", &[f(-0.), f(0.)]), 0);
    assert_eq!(single("max.xorsign.abs.f32 %r0, %r1, %r2;", &[f(-3.), f(2.)]), -3.);
    assert_eq!(single("min.xorsign.abs.f32 %r0, %r1, %r2;", &[f(-3.), f(-2.)]), 2.);
    assert_eq!(double("min.f64 %d0, %d1, %d2;", &[d(f64::NAN), d(2.)]), 2.);
    assert_eq!(eval("max.f64 %d0, %d1, %d2;", &[d(-0.), d(0.)], "%d0"), 0);
    assert_eq!(h("max.NaN.bf16 %h0, %h1, %h2;", &[H(0x7fc0), H(0x3f80)]), 0x7fff);
    assert_eq!(h("min.f16 %h0, %h1, %h2;", &[H(0x7e00), H(0x3c00)]), 0x3c00);
    assert_eq!(r("max.bf16x2 %r0, %r1, %r2;", &[R(0x3f80_bf80), R(0x4000_c000)]), 0x4000_bf80);
    assert_eq!(r("min.NaN.f16x2 %r0, %r1, %r2;", &[R(0x7e00_3c00), R(0x3c00_4000)]), 0x7fff_3c00);
}

#[test]
fn signs_are_bits() {
    assert_eq!(r("abs.f32 %r0, %r1;", &[f(-0.)]), 0);
    assert_eq!(r("neg.f32 %r0, %r1;", &[f(0.)]), 0x8000_0000);
    assert_eq!(double("abs.f64 %d0, %d1;", &[d(-2.5)]), 2.5);
    assert_eq!(double("neg.f64 %d0, %d1;", &[d(-2.5)]), 2.5);
    assert_eq!(h("abs.bf16 %h0, %h1;", &[H(0xbf80)]), 0x3f80);
    assert_eq!(h("neg.f16 %h0, %h1;", &[H(0x3c00)]), 0xbc00);
    assert_eq!(r("neg.bf16x2 %r0, %r1;", &[R(0x3f80_bf80)]), 0xbf80_3f80);
    assert_eq!(r("abs.f16x2 %r0, %r1;", &[R(0xbc00_bc00)]), 0x3c00_3c00);
    assert_eq!(single("copysign.f32 %r0, %r1, %r2;", &[f(-1.), f(3.)]), -3.);
    assert_eq!(double("copysign.f64 %d0, %d1, %d2;", &[d(1.), d(-3.)]), 3.);
}

#[test]
fn halves_round_ties_to_even() {
    let half = |x: f32| H(f16::from_f32(x).to_bits());
    // 2048 + 1 lies in the middle between two halves, 2048 and 2050; 2050 + 1 between 2050 and 2052.
    assert_eq!(h("add.f16 %h0, %h1, %h2;", &[half(2048.), half(1.)]), f16::from_f32(2048.).to_bits());
    assert_eq!(h("add.f16 %h0, %h1, %h2;", &[half(2050.), half(1.)]), f16::from_f32(2052.).to_bits());
    assert_eq!(h("sub.f16 %h0, %h1, %h2;", &[half(2048.), half(-3.)]), f16::from_f32(2052.).to_bits());
    assert_eq!(h("mul.f16 %h0, %h1, %h2;", &[half(65504.), half(2.)]), f16::INFINITY.to_bits());
    assert_eq!(r("add.f16x2 %r0, %r1, %r2;", &[R(0x3c00_4000), R(0x3c00_3c00)]), 0x4000_4200);
    assert_eq!(r("mul.f16x2 %r0, %r1, %r2;", &[R(0x4000_4000), R(0x4000_3c00)]), 0x4400_4000);
    assert_eq!(r("sub.f16x2 %r0, %r1, %r2;", &[R(0x4000_4000), R(0x4000_3c00)]), 0x0000_3c00);
    let brain = |x: f32| H(bf16::from_f32(x).to_bits());
    // Of bf16 the middle between 256 and 258 is 257.
    assert_eq!(h("fma.rn.bf16 %h0, %h1, %h2, %h3;", &[brain(256.), brain(1.), brain(1.)]), 0x4380);
    assert_eq!(h("fma.rn.bf16 %h0, %h1, %h2, %h3;", &[brain(258.), brain(1.), brain(1.)]), 0x4382);
    // 7 · 37 lies in the middle between 258 and 260; with something far below it, it does not.
    assert_eq!(h("fma.rn.bf16 %h0, %h1, %h2, %h3;", &[brain(7.), brain(37.), brain(0.)]), 0x4382);
    assert_eq!(h("fma.rn.bf16 %h0, %h1, %h2, %h3;", &[brain(7.), brain(37.), brain(-1e-30)]), 0x4381);
    let of = &[R(0x3f80_4380), R(0x3f80_3f80), R(0x3f80_3f80)];
    assert_eq!(r("fma.rn.bf16x2 %r0, %r1, %r2, %r3;", of), 0x4000_4380);
    assert_eq!(r("fma.rn.f16x2 %r0, %r1, %r2, %r3;", &[R(0x3c00_4000), R(0x4000_4000), R(0)]), 0x4000_4400);
}

fn near(value: f32, wanted: f64, tolerance: f64) {
    let error = (f64::from(value) - wanted).abs() / wanted.abs().max(f64::from(f32::MIN_POSITIVE));
    assert!(error <= tolerance, "{value:e} instead of {wanted:e}");
}

#[test]
fn approximations_are_within_what_the_isa_promises() {
    for x in [0.1f32, 0.5, 1.5, 3.0, 42.0, 1e-3] {
        let wide = f64::from(x);
        near(single("ex2.approx.f32 %r0, %r1;", &[f(x)]), wide.exp2(), 2f64.powi(-22));
        near(single("ex2.approx.ftz.f32 %r0, %r1;", &[f(-x)]), (-wide).exp2(), 2f64.powi(-22));
        assert!(
            (f64::from(single("lg2.approx.f32 %r0, %r1;", &[f(x)])) - wide.log2()).abs() < 2f64.powi(-21)
        );
        near(single("rcp.approx.f32 %r0, %r1;", &[f(x)]), 1. / wide, 2f64.powi(-23));
        near(single("rsqrt.approx.f32 %r0, %r1;", &[f(x)]), 1. / wide.sqrt(), 2f64.powf(-22.9));
        near(single("sqrt.approx.ftz.f32 %r0, %r1;", &[f(x)]), wide.sqrt(), 2f64.powi(-23));
        near(single("tanh.approx.f32 %r0, %r1;", &[f(x)]), wide.tanh(), 2f64.powi(-11));
        near(single("div.approx.ftz.f32 %r0, %r1, %r2;", &[f(2.), f(x)]), 2. / wide, 2f64.powi(-22));
        assert!(
            (f64::from(single("sin.approx.f32 %r0, %r1;", &[f(x)])) - wide.sin()).abs() < 2f64.powf(-20.5)
        );
        assert!(
            (f64::from(single("cos.approx.ftz.f32 %r0, %r1;", &[f(x)])) - wide.cos()).abs()
                < 2f64.powf(-20.5)
        );
        let root = double("rsqrt.approx.f64 %d0, %d1;", &[d(wide)]);
        assert!((root * wide.sqrt() - 1.).abs() < 1e-15);
        for (code, wanted) in [
            ("rcp.approx.ftz.f64 %d0, %d1;", 1. / wide),
            ("rsqrt.approx.ftz.f64 %d0, %d1;", 1. / wide.sqrt()),
        ] {
            let gross = double(code, &[d(wide)]);
            assert_eq!(gross.to_bits() as u32, 0, "the lower half is zero");
            assert!((gross / wanted - 1.).abs() < 2f64.powi(-18), "{code}");
        }
    }
    assert_eq!(double("sqrt.rn.f64 %d0, %d1;", &[d(2.)]), 2f64.sqrt());
    assert_eq!(double("rcp.rn.f64 %d0, %d1;", &[d(3.)]), 1. / 3.);
    assert_eq!(single("sqrt.rn.f32 %r0, %r1;", &[f(2.)]), 2f32.sqrt());
}

#[test]
fn approximations_have_the_special_values_of_the_isa() {
    let inf = f32::INFINITY;
    for (code, x, wanted) in [
        ("ex2.approx.f32", -inf, 0.),
        ("ex2.approx.f32", inf, inf),
        ("ex2.approx.ftz.f32", TINY, 1.),
        ("lg2.approx.f32", 0., -inf),
        ("lg2.approx.f32", inf, inf),
        ("lg2.approx.ftz.f32", TINY, -inf),
        ("rcp.approx.f32", 0., inf),
        ("rcp.approx.f32", -inf, -0.),
        ("rcp.approx.ftz.f32", -TINY, -inf),
        ("rsqrt.approx.f32", 0., inf),
        ("rsqrt.approx.f32", inf, 0.),
        ("sqrt.approx.f32", -0., -0.),
        ("tanh.approx.f32", -inf, -1.),
    ] {
        assert_eq!(r(&format!("{code} %r0, %r1;"), &[f(x)]), f32::to_bits(wanted), "{code} of {x}");
    }
    for (code, x) in [
        ("lg2.approx.f32", -1.),
        ("rsqrt.approx.f32", -1.),
        ("sqrt.approx.f32", -1.),
        ("sin.approx.f32", inf),
        ("cos.approx.f32", -inf),
        ("ex2.approx.f32", f32::NAN),
    ] {
        assert!(single(&format!("{code} %r0, %r1;"), &[f(x)]).is_nan(), "{code} of {x}");
    }
    // Past 2^126 the approximate quotient is zero, or NaN where the dividend is infinite.
    let large = 2f32.powi(127);
    assert_eq!(single("div.approx.f32 %r0, %r1, %r2;", &[f(large), f(large)]), 0.);
    assert!(single("div.approx.f32 %r0, %r1, %r2;", &[f(inf), f(large)]).is_nan());
    assert_eq!(single("div.full.f32 %r0, %r1, %r2;", &[f(large), f(large)]), 1.);
    // Halves.
    assert_eq!(h("ex2.approx.f16 %h0, %h1;", &[H(0x4000)]), 0x4400);
    assert_eq!(r("ex2.approx.f16x2 %r0, %r1;", &[R(0x4000_3c00)]), 0x4400_4000);
    assert_eq!(h("ex2.approx.ftz.bf16 %h0, %h1;", &[H(0x4000)]), 0x4080);
    assert_eq!(h("tanh.approx.bf16 %h0, %h1;", &[H(0x7f80)]), 0x3f80);
    assert_eq!(h("tanh.approx.f16 %h0, %h1;", &[H(0)]), 0);
    assert_eq!(r("tanh.approx.f16x2 %r0, %r1;", &[R(0x7c00_fc00)]), 0x3c00_bc00);
}
