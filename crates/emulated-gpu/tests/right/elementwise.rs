use crate::common::{
    Arg::{F32, I32, Pointer, U32},
    Gpu, assert_near, bf16s, bits, bytes, doubles, floats,
};
use half::bf16;

/// Numbers of the case of GELU: no multiple of a block.
pub const GELU: usize = 1000;

pub fn gelu_backward(gpu: &mut Gpu) -> Vec<u8> {
    let (x, d) = (floats(21, GELU), floats(22, GELU));
    let (x_at, d_at, out_at) = (gpu.upload(&x), gpu.upload(&d), gpu.room::<f32>(GELU));
    gpu.launch("gelu_backward", 4, 256, &[Pointer(x_at), Pointer(d_at), Pointer(out_at), I32(GELU as i32)]);
    let slope = |x: f64| {
        let normal = (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
        0.5 * (1.0 + libm::erf(x / std::f64::consts::SQRT_2)) + x * normal
    };
    let wanted: Vec<f64> = doubles(&x).into_iter().zip(doubles(&d)).map(|(x, d)| d * slope(x)).collect();
    let out = gpu.download::<f32>(out_at, GELU);
    assert_near(&out, &wanted, 1e-5, 1e-6);
    bytes(&out)
}

pub fn swiglu(gpu: &mut Gpu) -> Vec<u8> {
    let x = bf16s(23, 1024);
    let (x_at, out_at) = (gpu.upload(&x), gpu.room::<bf16>(512));
    gpu.launch("swiglu", 1, 256, &[Pointer(x_at), Pointer(out_at), I32(256), I32(256)]);
    let (gates, values) = (doubles(&x[..512]), doubles(&x[512..]));
    let wanted: Vec<f64> =
        gates.iter().zip(&values).map(|(gate, value)| gate / (1.0 + (-gate).exp()) * value).collect();
    let out = gpu.download::<bf16>(out_at, 512);
    assert_near(&out, &wanted, 1.0 / 256.0, 1e-6);
    bytes(&out)
}

pub fn rotate(gpu: &mut Gpu) -> Vec<u8> {
    const TOKENS: usize = 7;
    const HEADS: usize = 3;
    const WIDTH: usize = 12;
    let q = bf16s(24, TOKENS * HEADS * WIDTH);
    let places: Vec<i32> = (0..TOKENS as i32).map(|t| (t * 5) % 9).collect();
    let angle = |place: usize, pair: usize| place as f64 * 0.3f64.powi(pair as i32);
    let table = |f: fn(f64) -> f64| -> Vec<f32> {
        (0..9 * WIDTH / 2).map(|i| f(angle(i / (WIDTH / 2), i % (WIDTH / 2))) as f32).collect()
    };
    let n = TOKENS * HEADS * WIDTH / 2;
    let pointers =
        [gpu.upload(&q), gpu.upload(&table(f64::cos)), gpu.upload(&table(f64::sin)), gpu.upload(&places)];
    let args = [&pointers.map(Pointer)[..], &[I32(HEADS as i32), I32(WIDTH as i32), I32(n as i32)]].concat();
    gpu.launch("rotate", 2, 64, &args);
    let mut wanted = doubles(&q);
    for (index, head) in wanted.chunks_mut(WIDTH).enumerate() {
        for pair in 0..WIDTH / 2 {
            let (sine, cosine) = angle(places[index / HEADS] as usize, pair).sin_cos();
            let (a, b) = (head[pair], head[pair + WIDTH / 2]);
            head[pair] = a * cosine - b * sine;
            head[pair + WIDTH / 2] = b * cosine + a * sine;
        }
    }
    let got = gpu.download::<bf16>(pointers[0], q.len());
    assert_near(&got, &wanted, 1.0 / 256.0, 1e-5);
    bytes(&got)
}

/// Philox 4x32-10 in words of twice the width (Salmon et al., 2011).
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let [a, b] = [(counter[0], 0xD251_1F53u64), (counter[2], 0xCD9E_8D57)].map(|(c, m)| u64::from(c) * m);
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

pub fn dropout(gpu: &mut Gpu) -> Vec<u8> {
    // The first of the known answers that the paper's library is tested with.
    assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
    const N: usize = 1000;
    let x = floats(25, N);
    let (x_at, out_at) = (gpu.upload(&x), gpu.room::<f32>(N));
    let limit = u32::MAX / 4;
    let rest = [I32(N as i32), U32(77), U32(99), U32(limit), F32(4.0 / 3.0)];
    gpu.launch("dropout", 2, 128, &[&[Pointer(x_at), Pointer(out_at)][..], &rest].concat());
    let kept = |i: usize| philox([(i & !3) as u32, 0, 0, 0], [77, 99])[i % 4] >= limit;
    let wanted: Vec<f64> =
        (0..N).map(|i| if kept(i) { f64::from(x[i] * (4.0 / 3.0)) } else { 0.0 }).collect();
    let out = gpu.download::<f32>(out_at, N);
    assert_near(&out, &wanted, 0.0, 0.0);
    bytes(&out)
}

/// Small whole numbers, whose sums bf16 holds exactly: the order of the atomics makes no difference.
pub fn embedding_backward(gpu: &mut Gpu) -> Vec<u8> {
    const WIDTH: usize = 64;
    let ids: Vec<u32> = (0..40).map(|i| (bits(i) % 5) as u32).collect();
    let d: Vec<bf16> = (0..40 * WIDTH).map(|i| bf16::from_f32((bits(i as u64) % 7) as f32 - 3.0)).collect();
    let (ids_at, d_at, g_at) = (gpu.upload(&ids), gpu.upload(&d), gpu.zeros::<bf16>(5 * WIDTH));
    gpu.launch("embedding_backward", 40, 32, &[Pointer(ids_at), Pointer(d_at), Pointer(g_at), I32(32)]);
    let mut wanted = vec![0.0; 5 * WIDTH];
    for (row, &id) in ids.iter().enumerate() {
        for column in 0..WIDTH {
            wanted[id as usize * WIDTH + column] += d[row * WIDTH + column].to_f64();
        }
    }
    let g = gpu.download::<bf16>(g_at, 5 * WIDTH);
    assert_near(&g, &wanted, 0.0, 0.0);
    bytes(&g)
}

/// Every value that E4M3 has, by its definition (Micikevicius et al., 2022): four bits of exponent with a bias of 7,
/// three of mantissa, no infinities.
fn e4m3(code: u8) -> f64 {
    let (exponent, mantissa) = (i32::from(code >> 3 & 15), f64::from(code & 7));
    let size = if exponent == 0 {
        mantissa / 8.0 * 2f64.powi(-6)
    } else {
        (1.0 + mantissa / 8.0) * 2f64.powi(exponent - 7)
    };
    if code & 128 == 0 { size } else { -size }
}

pub fn to_fp8(gpu: &mut Gpu) -> Vec<u8> {
    let mut x: Vec<f32> =
        floats(26, 240).iter().enumerate().map(|(i, x)| x * 2f32.powi(i as i32 % 16 - 8)).collect();
    x.extend([
        1e9,
        -1e9,
        0.0,
        -0.0,
        f32::INFINITY,
        448.0,
        449.0,
        1e-9,
        17.0,
        19.0,
        0.001_953_125,
        0.000_976_562_5,
    ]);
    x.extend([f32::NAN; 4]);
    let (x_at, out_at) = (gpu.upload(&x), gpu.room::<u8>(x.len()));
    gpu.launch("to_fp8", 1, 256, &[Pointer(x_at), Pointer(out_at), I32(x.len() as i32)]);
    let out = gpu.download::<u8>(out_at, x.len());
    for (&x, &got) in x.iter().zip(&out) {
        if x.is_nan() {
            assert_eq!(got & 127, 127, "NaN stays NaN");
            continue;
        }
        let clamped = f64::from(x.clamp(-448.0, 448.0));
        let codes = if x.is_sign_negative() { 128..=254u8 } else { 0..=126 };
        // The nearest; of two as near, the one with an even mantissa.
        let nearest = codes.min_by(|&a, &b| {
            let distance = |code| (e4m3(code) - clamped).abs();
            distance(a).total_cmp(&distance(b)).then((a & 1).cmp(&(b & 1)))
        });
        assert_eq!(Some(got), nearest, "{x}");
    }
    out
}
