//! `cvt`.

use super::*;
use half::{bf16, f16};

#[test]
fn integers_are_cut_extended_or_saturated() {
    assert_eq!(h("cvt.u8.u32 %h0, %r1;", &[R(0x1234)]), 0x34);
    assert_eq!(r("cvt.s8.s32 %r0, %r1;", &[R(0x80)]), 0xffff_ff80);
    assert_eq!(r("cvt.u32.s8 %r0, %h1;", &[H(0x80)]), 0xffff_ff80);
    assert_eq!(r("cvt.s32.u8 %r0, %h1;", &[H(0xff80)]), 0x80);
    assert_eq!(h("cvt.sat.u8.s32 %h0, %r1;", &[R(-5i32 as u32)]), 0);
    assert_eq!(h("cvt.sat.u8.s32 %h0, %r1;", &[R(300)]), 255);
    assert_eq!(h("cvt.sat.s8.s32 %h0, %r1;", &[R(-300i32 as u32)]), 0xff80);
    assert_eq!(h("cvt.sat.s16.u32 %h0, %r1;", &[R(u32::MAX)]), 0x7fff);
    assert_eq!(eval("cvt.s64.s32 %d0, %r1;", &[R(u32::MAX)], "%d0"), u64::MAX);
    assert_eq!(eval("cvt.u64.u32 %d0, %r1;", &[R(u32::MAX)], "%d0"), 0xffff_ffff);
    assert_eq!(eval("cvt.s64.s16 %d0, %h1;", &[H(0x8000)], "%d0"), -32768i64 as u64);
    assert_eq!(r("cvt.u32.u64 %r0, %d1;", &[D(0x1_2345_6789)]), 0x2345_6789);
    assert_eq!(r("cvt.sat.s32.s64 %r0, %d1;", &[D(1 << 40)]), 0x7fff_ffff);
    assert_eq!(eval("cvt.sat.u64.s64 %d0, %d1;", &[D(u64::MAX)], "%d0"), 0);
}

#[test]
fn numbers_to_integers_round_clamp_and_know_nan() {
    for (mode, wanted) in [("rni", 2i32), ("rzi", 2), ("rmi", 2), ("rpi", 3)] {
        assert_eq!(r(&format!("cvt.{mode}.s32.f32 %r0, %r1;"), &[f(2.5)]) as i32, wanted, "{mode}");
        let wanted = match mode {
            "rni" | "rzi" | "rpi" => -2,
            _ => -3,
        };
        assert_eq!(r(&format!("cvt.{mode}.s32.f64 %r0, %d1;"), &[d(-2.5)]) as i32, wanted, "{mode}");
    }
    assert_eq!(r("cvt.rzi.s32.f32 %r0, %r1;", &[f(3e9)]), 0x7fff_ffff);
    assert_eq!(r("cvt.rzi.u32.f32 %r0, %r1;", &[f(-3.)]), 0);
    assert_eq!(h("cvt.rzi.u8.f32 %h0, %r1;", &[f(300.)]), 255);
    assert_eq!(h("cvt.rni.s8.f32 %h0, %r1;", &[f(-300.)]), 0xff80);
    assert_eq!(eval("cvt.rzi.u64.f64 %d0, %d1;", &[d(1e30)], "%d0"), u64::MAX);
    assert_eq!(eval("cvt.rzi.s64.f32 %d0, %r1;", &[f(f32::NEG_INFINITY)], "%d0"), 1 << 63);
    // NaN: zero, but the upper bit alone where either type has 64 bits.
    assert_eq!(r("cvt.rzi.s32.f32 %r0, %r1;", &[f(f32::NAN)]), 0);
    assert_eq!(h("cvt.rzi.u16.f16 %h0, %h1;", &[H(0x7e00)]), 0);
    assert_eq!(eval("cvt.rzi.s64.f32 %d0, %r1;", &[f(f32::NAN)], "%d0"), 1 << 63);
    assert_eq!(eval("cvt.rzi.u64.f64 %d0, %d1;", &[d(f64::NAN)], "%d0"), 1 << 63);
    assert_eq!(r("cvt.rzi.u32.f64 %r0, %d1;", &[d(f64::NAN)]), 1 << 31);
    assert_eq!(h("cvt.rni.s16.f16 %h0, %h1;", &[H(f16::from_f32(-3.5).to_bits())]), -4i16 as u16);
    assert_eq!(r("cvt.rpi.ftz.s32.f32 %r0, %r1;", &[R(1)]), 0);
    assert_eq!(r("cvt.rpi.s32.f32 %r0, %r1;", &[R(1)]), 1);
}

#[test]
fn integers_to_numbers_round_in_every_direction() {
    // 2^24 + 1 and 2^24 + 3 lie in the middle between two numbers in single precision.
    for (n, down) in [(16_777_217u32, 16_777_216f32), (16_777_219, 16_777_218.)] {
        let up = down + 2.;
        let even = if (down as u32 / 2).is_multiple_of(2) { down } else { up };
        for (mode, wanted) in [("rn", even), ("rz", down), ("rm", down), ("rp", up)] {
            assert_eq!(single(&format!("cvt.{mode}.f32.u32 %r0, %r1;"), &[R(n)]), wanted, "{mode} {n}");
            let wanted = match mode {
                "rm" => -up,
                "rp" => -down,
                _ => -wanted,
            };
            assert_eq!(
                single(&format!("cvt.{mode}.f32.s32 %r0, %r1;"), &[R(n.wrapping_neg())]),
                wanted,
                "{mode}"
            );
        }
    }
    assert_eq!(single("cvt.rp.f32.u64 %r0, %d1;", &[D((1 << 60) + 1)]), 2f32.powi(60).next_up());
    assert_eq!(single("cvt.rn.f32.u64 %r0, %d1;", &[D(u64::MAX)]), 2f32.powi(64));
    assert_eq!(single("cvt.rz.f32.u64 %r0, %d1;", &[D(u64::MAX)]), 2f32.powi(64).next_down());
    assert_eq!(double("cvt.rm.f64.u64 %d0, %d1;", &[D(u64::MAX)]), 2f64.powi(64).next_down());
    assert_eq!(double("cvt.rn.f64.s32 %d0, %r1;", &[R(u32::MAX)]), -1.);
    assert_eq!(h("cvt.rn.f16.s32 %h0, %r1;", &[R(2049)]), f16::from_f32(2048.).to_bits());
    assert_eq!(h("cvt.rp.f16.s32 %h0, %r1;", &[R(2049)]), f16::from_f32(2050.).to_bits());
    assert_eq!(h("cvt.rz.f16.u32 %h0, %r1;", &[R(1 << 20)]), f16::MAX.to_bits());
    assert_eq!(h("cvt.rn.f16.u32 %h0, %r1;", &[R(1 << 20)]), f16::INFINITY.to_bits());
    assert_eq!(single("cvt.rn.f32.u8 %r0, %h1;", &[H(0xff07)]), 7.);
    assert_eq!(single("cvt.rn.f32.s8 %r0, %h1;", &[H(0x00ff)]), -1.);
    assert_eq!(single("cvt.rn.sat.f32.s32 %r0, %r1;", &[R(9)]), 1.);
}

/// The halves around a number, by a search among all of them.
fn neighbours(x: f64, value: impl Fn(u16) -> f64) -> (u16, u16) {
    let finite = || (0..=u16::MAX).filter(|bits| value(*bits).is_finite() && (*bits != 0x8000));
    let down =
        finite().filter(|bits| value(*bits) <= x).max_by(|a, b| value(*a).total_cmp(&value(*b))).unwrap();
    let up =
        finite().filter(|bits| value(*bits) >= x).min_by(|a, b| value(*a).total_cmp(&value(*b))).unwrap();
    (down, up)
}

#[test]
fn numbers_round_to_halves_in_every_direction() {
    let numbers =
        [1.0003, -1.0003, 1.00048828125, 1.00146484375, 0.1, 3.1e-8, -5.96e-8, 6.0e-5, 65503.0, 1e-7];
    for x in numbers {
        let x = x as f32;
        for (ty, value) in [
            ("f16", (|bits| f16::from_bits(bits).to_f64()) as fn(u16) -> f64),
            ("bf16", |bits| bf16::from_bits(bits).to_f64()),
        ] {
            let exact = f64::from(x);
            let (down, up) = neighbours(exact, value);
            let nearer = (exact - value(down)) - (value(up) - exact);
            let even = if down % 2 == 0 { down } else { up };
            let nearest = if nearer < 0. {
                down
            } else if nearer > 0. {
                up
            } else {
                even
            };
            let zero = if x < 0. { up } else { down };
            let modes: &[(&str, u16)] = match ty {
                "f16" => &[("rn", nearest), ("rz", zero), ("rm", down), ("rp", up)],
                _ => &[("rn", nearest), ("rz", zero)],
            };
            for (mode, wanted) in modes {
                let found = h(&format!("cvt.{mode}.{ty}.f32 %h0, %r1;"), &[f(x)]);
                // Zero has two signs, of which the search knows one.
                assert!(
                    found == *wanted || value(found) == 0. && value(*wanted) == 0.,
                    "{mode} {ty} of {x:e}"
                );
            }
        }
    }
}

#[test]
fn numbers_between_formats() {
    assert_eq!(single("cvt.f32.f16 %r0, %h1;", &[H(0x3555)]), f16::from_bits(0x3555).to_f32());
    assert_eq!(single("cvt.f32.f16 %r0, %h1;", &[H(1)]), 2f32.powi(-24));
    assert_eq!(single("cvt.f32.bf16 %r0, %h1;", &[H(0x3fc0)]), 1.5);
    assert_eq!(double("cvt.f64.f32 %d0, %r1;", &[f(0.1)]), f64::from(0.1f32));
    assert_eq!(double("cvt.f64.f16 %d0, %h1;", &[H(0x3c00)]), 1.);
    // In the middle between 1 and its neighbour, and a little more.
    let tie = 1. + 2f64.powi(-24);
    assert_eq!(single("cvt.rn.f32.f64 %r0, %d1;", &[d(tie)]), 1.);
    assert_eq!(single("cvt.rn.f32.f64 %r0, %d1;", &[d(tie + 1e-15)]), 1f32.next_up());
    assert_eq!(single("cvt.rp.f32.f64 %r0, %d1;", &[d(1. + 1e-15)]), 1f32.next_up());
    assert_eq!(single("cvt.rm.f32.f64 %r0, %d1;", &[d(-1. - 1e-15)]), (-1f32).next_down());
    assert_eq!(single("cvt.rz.f32.f64 %r0, %d1;", &[d(1e300)]), f32::MAX);
    assert_eq!(single("cvt.rn.f32.f64 %r0, %d1;", &[d(1e300)]), f32::INFINITY);
    assert_eq!(r("cvt.rn.ftz.f32.f64 %r0, %d1;", &[d(-1e-40)]), 0x8000_0000);
    // A tie of f16 that double precision's lower half decides.
    let tie = 1. + 2f64.powi(-11);
    assert_eq!(h("cvt.rn.f16.f64 %h0, %d1;", &[d(tie)]), 0x3c00);
    assert_eq!(h("cvt.rn.f16.f64 %h0, %d1;", &[d(tie + 1e-15)]), 0x3c01);
    assert_eq!(h("cvt.rn.f16.f32 %h0, %r1;", &[f(f32::NAN)]), 0x7fff);
    assert_eq!(h("cvt.rn.bf16.f32 %h0, %r1;", &[R(0xffc0_0000)]), 0x7fff);
    assert_eq!(h("cvt.rn.bf16.f32 %h0, %r1;", &[f(f32::MAX)]), 0x7f80);
    assert_eq!(h("cvt.rz.bf16.f32 %h0, %r1;", &[f(f32::MAX)]), 0x7f7f);
    assert_eq!(h("cvt.rn.relu.bf16.f32 %h0, %r1;", &[f(-2.)]), 0);
    assert_eq!(h("cvt.rn.relu.f16.f32 %h0, %r1;", &[f(-0.)]), 0);
    assert_eq!(single("cvt.sat.f32.f32 %r0, %r1;", &[f(-1.)]), 0.);
    assert_eq!(r("cvt.sat.f32.f32 %r0, %r1;", &[f(f32::NAN)]), 0);
    assert_eq!(single("cvt.ftz.f32.f16 %r0, %h1;", &[H(1)]), 2f32.powi(-24));
}

#[test]
fn numbers_round_to_integral_ones() {
    for (mode, wanted) in [("rni", [2., -2.]), ("rzi", [2., -2.]), ("rmi", [2., -3.]), ("rpi", [3., -2.])] {
        for (x, wanted) in [2.5, -2.5].into_iter().zip(wanted) {
            assert_eq!(
                single(&format!("cvt.{mode}.f32.f32 %r0, %r1;"), &[f(x as f32)]),
                wanted as f32,
                "{mode}"
            );
            assert_eq!(double(&format!("cvt.{mode}.f64.f64 %d0, %d1;"), &[d(x)]), wanted, "{mode}");
            let half = H(f16::from_f64(x).to_bits());
            let found = f16::from_bits(h(&format!("cvt.{mode}.f16.f16 %h0, %h1;"), &[half]));
            assert_eq!(found.to_f64(), wanted, "{mode}");
        }
    }
    assert_eq!(r("cvt.rpi.f32.f32 %r0, %r1;", &[f(-0.5)]), 0x8000_0000);
}

#[test]
fn tf32_rounds_ties_away_from_zero() {
    let one = 0x3f80_0000;
    for (low, wanted) in [(0, 0), (0x0fff, 0), (0x1000, 0x2000), (0x1001, 0x2000), (0x3000, 0x4000)] {
        assert_eq!(r("cvt.rna.tf32.f32 %r0, %r1;", &[R(one | low)]), one + wanted, "{low:#x}");
    }
    assert_eq!(r("cvt.rna.tf32.f32 %r0, %r1;", &[R(0xbf80_1000)]), 0xbf80_2000);
}

#[test]
fn pairs_put_their_first_number_into_the_upper_half() {
    let (a, b) = (1.5f32, -2.25f32);
    let halves = |a: u16, b: u16| u32::from(a) << 16 | u32::from(b);
    assert_eq!(
        r("cvt.rn.bf16x2.f32 %r0, %r1, %r2;", &[f(a), f(b)]),
        halves(bf16::from_f32(a).to_bits(), bf16::from_f32(b).to_bits())
    );
    assert_eq!(
        r("cvt.rn.f16x2.f32 %r0, %r1, %r2;", &[f(a), f(b)]),
        halves(f16::from_f32(a).to_bits(), f16::from_f32(b).to_bits())
    );
    assert_eq!(r("cvt.rz.bf16x2.f32 %r0, %r1, %r2;", &[R(0x3f80_ffff), R(0xbf80_ffff)]), 0x3f80_bf80);
    assert_eq!(r("cvt.rn.relu.f16x2.f32 %r0, %r1, %r2;", &[f(a), f(b)]), 0x3e00_0000);
}
