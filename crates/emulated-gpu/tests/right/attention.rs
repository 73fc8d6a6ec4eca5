use crate::common::{
    Arg::{F32, I32, Pointer},
    Gpu, assert_near, bf16s, bytes, doubles,
};
use half::bf16;

pub fn attention(gpu: &mut Gpu) -> Vec<u8> {
    const HEADS: usize = 6;
    const GROUPS: usize = 2;
    const WIDTH: usize = 96;
    const WINDOW: usize = 8;
    let ends = [0, 13, 40, 47];
    let tokens = ends[3] as usize;
    let (q, k, v) = (
        bf16s(41, tokens * HEADS * WIDTH),
        bf16s(42, tokens * GROUPS * WIDTH),
        bf16s(43, tokens * GROUPS * WIDTH),
    );
    let (out_at, lse_at) = (gpu.room::<bf16>(q.len()), gpu.room::<f32>(HEADS * tokens));
    let pointers =
        [gpu.upload(&q), gpu.upload(&k), gpu.upload(&v), out_at, lse_at, gpu.upload(&ends)].map(Pointer);
    let scale = 1.0 / (WIDTH as f64).sqrt();
    let sizes = [HEADS, GROUPS, WIDTH].map(|n| I32(n as i32));
    let args = [&pointers[..], &sizes, &[F32(scale as f32), I32(WINDOW as i32)]].concat();
    gpu.try_launch("attention", [7, 3, HEADS as u32], [128, 1, 1], 0, &args).unwrap();

    let (q64, k64, v64) = (doubles(&q), doubles(&k), doubles(&v));
    let (mut wanted, mut logs) = (vec![0.0; q.len()], vec![0.0; HEADS * tokens]);
    for text in ends.windows(2) {
        for t in text[0] as usize..text[1] as usize {
            for head in 0..HEADS {
                let query = &q64[(t * HEADS + head) * WIDTH..][..WIDTH];
                let row = |from: &'_ [f64], j: usize| -> Vec<f64> {
                    from[(j * GROUPS + head / (HEADS / GROUPS)) * WIDTH..][..WIDTH].to_vec()
                };
                let keys: Vec<usize> = (text[0] as usize..=t).filter(|j| t - j < WINDOW).collect();
                let scores: Vec<f64> = keys
                    .iter()
                    .map(|&j| scale * query.iter().zip(row(&k64, j)).map(|(q, k)| q * k).sum::<f64>())
                    .collect();
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scores.iter().map(|score| (score - most).exp()).sum();
                logs[head * tokens + t] = most + sum.ln();
                for (&j, score) in keys.iter().zip(&scores) {
                    let share = (score - most).exp() / sum;
                    let out = &mut wanted[(t * HEADS + head) * WIDTH..][..WIDTH];
                    out.iter_mut().zip(row(&v64, j)).for_each(|(out, v)| *out += share * v);
                }
            }
        }
    }
    let (out, lse) = (gpu.download::<bf16>(out_at, q.len()), gpu.download::<f32>(lse_at, HEADS * tokens));
    assert_near(&out, &wanted, 1.0 / 256.0, 1e-4);
    assert_near(&lse, &logs, 1e-5, 1e-4);
    [bytes(&out), bytes(&lse)].concat()
}
