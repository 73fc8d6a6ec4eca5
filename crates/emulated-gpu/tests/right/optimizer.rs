use crate::common::{
    Arg::{F32, I32, Pointer},
    Gpu, assert_near, bits, bytes, floats,
};
use half::bf16;

/// Dettmers et al., 2023, appendix E, as in the kernel.
const NF4: [f32; 16] = [
    -1.0, -0.6961928, -0.5250731, -0.3949175, -0.2844414, -0.1847734, -0.09105, 0.0, 0.0795803, 0.1609302,
    0.2461123, 0.3379152, 0.4407098, 0.562617, 0.7229568, 1.0,
];

pub fn nf4_dequantise(gpu: &mut Gpu) -> Vec<u8> {
    const N: usize = 256;
    let codes: Vec<u8> = (0..N as u64 / 2).map(|i| bits(i) as u8).collect();
    let scales: Vec<f32> = floats(31, N / 64).iter().map(|s| s.abs() + 0.1).collect();
    let (codes_at, scales_at, out_at) = (gpu.upload(&codes), gpu.upload(&scales), gpu.room::<bf16>(N));
    gpu.launch(
        "nf4_dequantise",
        1,
        128,
        &[Pointer(codes_at), Pointer(scales_at), Pointer(out_at), I32(N as i32)],
    );
    let out = gpu.download::<bf16>(out_at, N);
    for (i, got) in out.iter().enumerate() {
        let code = codes[i / 2] >> if i % 2 == 0 { 4 } else { 0 } & 15;
        assert_eq!(*got, bf16::from_f32(NF4[code as usize] * scales[i / 64]), "weight {i}");
    }
    bytes(&out)
}

pub fn adamw_8bit(gpu: &mut Gpu) -> Vec<u8> {
    const N: usize = 512;
    let (weights, g) = (floats(32, N), floats(33, N));
    let upper: Vec<bf16> = weights.iter().map(|&w| bf16::from_f32(w)).collect();
    let low: Vec<i16> = weights
        .iter()
        .zip(&upper)
        .map(|(w, u)| w.to_bits().wrapping_sub(u32::from(u.to_bits()) << 16) as i16)
        .collect();
    let code_m: Vec<f32> = (0..256).map(|i| i as f32 / 127.5 - 1.0).collect();
    let code_v: Vec<f32> = (0..256).map(|i| i as f32 / 255.0).collect();
    let [w_at, low_at] = [gpu.upload(&upper), gpu.upload(&low)];
    let (g_at, m_at, v_at) = (gpu.upload(&g), gpu.upload(&vec![128u8; N]), gpu.upload(&vec![0u8; N]));
    let (ms_at, vs_at) = (gpu.zeros::<f32>(2), gpu.zeros::<f32>(2));
    let (code_m_at, code_v_at) = (gpu.upload(&code_m), gpu.upload(&code_v));
    let pointers = [w_at, low_at, g_at, m_at, v_at, ms_at, vs_at, code_m_at, code_v_at].map(Pointer);
    let numbers = [1e-2, 0.9, 0.999, 1e-8, 0.01, 0.1, 0.001].map(F32);
    gpu.launch("adamw_8bit", 2, 256, &[&pointers[..], &[I32(N as i32)], &numbers].concat());

    // The first step: moments are 0 before, and their corrections give back the gradient.
    let step = |w: f32, g: f32| {
        let (w, g) = (f64::from(w), f64::from(g));
        w - 1e-2 * (g / (g.abs() + 1e-8) + 0.01 * w)
    };
    let wanted: Vec<f64> = weights.iter().zip(&g).map(|(&w, &g)| step(w, g)).collect();
    let (upper, low) = (gpu.download::<bf16>(w_at, N), gpu.download::<i16>(low_at, N));
    let joined = |(u, l): (&bf16, &i16)| {
        f32::from_bits((u32::from(u.to_bits()) << 16).wrapping_add_signed(i32::from(*l)))
    };
    let weights: Vec<f32> = upper.iter().zip(&low).map(joined).collect();
    assert_near(&weights, &wanted, 1e-5, 1e-6);

    let (m, v) = (gpu.download::<u8>(m_at, N), gpu.download::<u8>(v_at, N));
    let (ms, vs) = (gpu.download::<f32>(ms_at, 2), gpu.download::<f32>(vs_at, 2));
    for block in 0..2 {
        let g = &g[block * 256..][..256];
        let most = g.iter().fold(0.0, |most, g| f64::from(g.abs()).max(most));
        assert_near(&[ms[block], vs[block]], &[0.1 * most, 0.001 * most * most], 1e-4, 0.0);
        for (i, &g) in g.iter().enumerate() {
            let (m, v) = (m[block * 256 + i], v[block * 256 + i]);
            let (mean, square) = (f64::from(g) / most, (f64::from(g) / most).powi(2));
            assert!((f64::from(code_m[m as usize]) - mean).abs() <= 0.5 / 127.5 + 1e-4, "mean of weight {i}");
            assert!(
                (f64::from(code_v[v as usize]) - square).abs() <= 0.5 / 255.0 + 1e-4,
                "square of weight {i}"
            );
        }
    }
    [bytes(&upper), bytes(&low), m, v, bytes(&ms), bytes(&vs)].concat()
}
