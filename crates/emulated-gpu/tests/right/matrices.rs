use crate::common::{
    Arg::{I32, Pointer},
    Gpu, assert_near, bf16s, bytes,
};
use half::bf16;

pub const DEPTH: usize = 64;

/// `a` of 16 rows times the transpose of `b`, whose rows are as long.
fn product(a: &[bf16], b: &[bf16]) -> Vec<f64> {
    let dot = |a: &[bf16], b: &[bf16]| a.iter().zip(b).map(|(a, b)| a.to_f64() * b.to_f64()).sum();
    a.chunks(DEPTH).flat_map(|a| b.chunks(DEPTH).map(move |b| dot(a, b))).collect()
}

fn multiply(gpu: &mut Gpu, kernel: &str, columns: usize) -> Vec<u8> {
    let (a, b) = (bf16s(11, 16 * DEPTH), bf16s(12, columns * DEPTH));
    let (a_at, b_at, c_at) = (gpu.upload(&a), gpu.upload(&b), gpu.room::<f32>(16 * columns));
    gpu.launch(kernel, 1, 32, &[Pointer(a_at), Pointer(b_at), Pointer(c_at), I32(DEPTH as i32)]);
    let c = gpu.download::<f32>(c_at, 16 * columns);
    assert_near(&c, &product(&a, &b), 1e-5, 1e-4);
    bytes(&c)
}

pub fn mma(gpu: &mut Gpu) -> Vec<u8> {
    multiply(gpu, "mma", 8)
}

pub fn wmma_async(gpu: &mut Gpu) -> Vec<u8> {
    multiply(gpu, "wmma_async", 16)
}

/// PTX ISA, "Matrix Load Instruction: ldmatrix": lane `l` gets the elements `2 (l mod 4)` and the one after it of row
/// `l / 4` of each matrix of 8 × 8; transposed, of its column.
pub fn ldmatrix(gpu: &mut Gpu) -> Vec<u8> {
    let a: Vec<u16> = (0..256).collect();
    let (a_at, out_at) = (gpu.upload(&a), gpu.room::<u32>(192));
    gpu.launch("ldmatrix", 1, 32, &[Pointer(a_at), Pointer(out_at)]);
    let out = gpu.download::<u32>(out_at, 192);
    let at = |row: usize, column: usize| u32::from(a[row * 16 + column]);
    for lane in 0..32 {
        let (row, pair) = (lane / 4, lane % 4 * 2);
        for matrix in 0..4 {
            let (down, right) = (matrix % 2 * 8, matrix / 2 * 8);
            let wanted = at(down + row, right + pair) | at(down + row, right + pair + 1) << 16;
            assert_eq!(out[lane * 4 + matrix], wanted, "lane {lane}, matrix {matrix}");
        }
        for matrix in 0..2 {
            let wanted = at(matrix * 8 + pair, row) | at(matrix * 8 + pair + 1, row) << 16;
            assert_eq!(out[128 + lane * 2 + matrix], wanted, "lane {lane}, matrix {matrix} transposed");
        }
    }
    bytes(&out)
}
