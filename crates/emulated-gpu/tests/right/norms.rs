use crate::common::{
    Arg::{F32, I32, Pointer},
    Gpu, assert_near, bf16s, bytes, doubles, floats,
};
use half::bf16;

const ROWS: usize = 20;
const WIDTH: usize = 96;
const EPS: f64 = 1e-5;

/// Mean and reciprocal of the standard deviation of a row.
fn moments(row: &[f64]) -> (f64, f64) {
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / row.len() as f64;
    (mean, 1.0 / (variance + EPS).sqrt())
}

pub fn layer_norm(gpu: &mut Gpu) -> Vec<u8> {
    let (x, g, b) = (bf16s(1, ROWS * WIDTH), floats(2, WIDTH), floats(3, WIDTH));
    let (x_at, g_at, b_at) = (gpu.upload(&x), gpu.upload(&g), gpu.upload(&b));
    let y_at = gpu.room::<bf16>(ROWS * WIDTH);
    let sizes = [I32(ROWS as i32), I32(WIDTH as i32), F32(EPS as f32)];
    let args = [&[Pointer(x_at), Pointer(g_at), Pointer(b_at), Pointer(y_at)][..], &sizes].concat();
    gpu.launch("layer_norm", (ROWS / 4) as u32, 128, &args);
    let mut wanted = Vec::new();
    for row in doubles(&x).chunks(WIDTH) {
        let (mean, scale) = moments(row);
        wanted.extend(
            row.iter().enumerate().map(|(i, x)| (x - mean) * scale * f64::from(g[i]) + f64::from(b[i])),
        );
    }
    let y = gpu.download::<bf16>(y_at, ROWS * WIDTH);
    assert_near(&y, &wanted, 1.0 / 256.0, 1e-5);
    bytes(&y)
}

pub fn layer_norm_backward(gpu: &mut Gpu) -> Vec<u8> {
    let (dy, x, g) = (floats(4, ROWS * WIDTH), floats(5, ROWS * WIDTH), floats(6, WIDTH));
    let (dy_at, x_at, g_at) = (gpu.upload(&dy), gpu.upload(&x), gpu.upload(&g));
    let dx_at = gpu.room::<f32>(ROWS * WIDTH);
    let (dg_at, db_at) = (gpu.zeros::<f32>(WIDTH), gpu.zeros::<f32>(WIDTH));
    let pointers = [dy_at, x_at, g_at, dx_at, dg_at, db_at].map(Pointer);
    let args = [&pointers[..], &[I32(ROWS as i32), I32(WIDTH as i32), F32(EPS as f32)]].concat();
    gpu.try_launch("layer_norm_backward", [ROWS as u32, 1, 1], [64, 1, 1], 256, &args).unwrap();
    let (mut dx, mut dg, mut db) = (Vec::new(), vec![0.0; WIDTH], vec![0.0; WIDTH]);
    for (x, dy) in doubles(&x).chunks(WIDTH).zip(doubles(&dy).chunks(WIDTH)) {
        let (mean, scale) = moments(x);
        let h: Vec<f64> = x.iter().map(|x| (x - mean) * scale).collect();
        let d: Vec<f64> = dy.iter().zip(&g).map(|(dy, &g)| dy * f64::from(g)).collect();
        let s1 = d.iter().sum::<f64>() / WIDTH as f64;
        let s2 = d.iter().zip(&h).map(|(d, h)| d * h).sum::<f64>() / WIDTH as f64;
        dx.extend(d.iter().zip(&h).map(|(d, h)| scale * (d - s1 - h * s2)));
        for i in 0..WIDTH {
            dg[i] += dy[i] * h[i];
            db[i] += dy[i];
        }
    }
    let got = gpu.download::<f32>(dx_at, ROWS * WIDTH);
    assert_near(&got, &dx, 1e-5, 1e-5);
    assert_near(&gpu.download::<f32>(dg_at, WIDTH), &dg, 1e-5, 1e-4);
    assert_near(&gpu.download::<f32>(db_at, WIDTH), &db, 1e-5, 1e-4);
    // The other two are sums by atomics of f32, whose order is open.
    bytes(&got)
}
