//! The bytes that a layer has to move, given what is launched: each operation reads each of its operands once and writes
//! each of its results once, those in f32 that are in f32 and those in bf16 that products of frozen weights read. What a
//! kernel reads again, of another block's rows or as LoRA's matrices for each few rows, is not in here.

use std::collections::BTreeMap;

use crate::{RANK, model_folder::Shape};

/// Bytes by kernel.
pub type Least = BTreeMap<&'static str, i64>;

/// Bytes of so many numbers.
fn f32s(count: usize) -> usize {
    4 * count
}

fn bf16s(count: usize) -> usize {
    2 * count
}

/// A product of x `[n, in]` in bf16 with a frozen weight in bf16, into `[n, out]` in f32; either way, a weight read once.
fn frozen(n: usize, x: usize, out: usize) -> usize {
    bf16s(x * out) + bf16s(n * x) + f32s(n * out)
}

/// A product of `[n, wide]` with one of LoRA's matrices `[rank, wide]` into `[n, rank]`.
fn thin(n: usize, wide: usize) -> usize {
    f32s(n * wide) + of_norm(n, wide)
}

/// The same where the wide factor is at hand.
fn of_norm(n: usize, wide: usize) -> usize {
    f32s(RANK * wide + n * RANK)
}

/// What LoRA adds where something is read anyway: low `[n, rank]` and w `[wide, rank]`.
fn added(n: usize, wide: usize) -> usize {
    f32s(RANK * wide + n * RANK)
}

/// The gradients of LoRA's matrices: g `[n, out]` with low, x `[n, in]` with the gradient of low.
fn gradients(n: usize, out: usize, x: usize) -> usize {
    f32s(n * out + n * x + 2 * n * RANK + RANK * (out + x))
}

fn sums<const N: usize>(parts: [(&'static str, usize); N]) -> Least {
    let mut least = Least::new();
    for (kernel, bytes) in parts {
        *least.entry(kernel).or_default() += bytes as i64;
    }
    least
}

/// The end of a block's half and the norm that follows, with what LoRA makes of that for a layer.
fn closes(n: usize, h: usize) -> usize {
    // x and the residual are read, and x, y and y rounded written.
    f32s(4 * n * h + h) + bf16s(n * h) + added(n, h) + of_norm(n, h)
}

/// Of a norm's way back: g, x and dx are read, dx, dx rounded and y written.
fn norm_back(n: usize, h: usize) -> usize {
    f32s(5 * n * h + h) + bf16s(n * h) + added(n, h)
}

pub fn forward(shape: Shape) -> Least {
    let Shape { hidden: h, inner: i, heads, .. } = shape;
    let (n, d) = (shape.total(), h / heads);
    let kept = f32s(n * heads);
    sums([
        ("cublasGemmEx", frozen(n, h, 3 * h) + frozen(n, h, h) + frozen(n, h, 2 * i) + frozen(n, i, h)),
        ("cublasGemmEx", thin(n, h) + thin(n, i)),
        ("rotate", f32s(2 * n * 3 * h + n * d) + added(n, 3 * h)),
        ("attention_forward_bf16_96", f32s(n * 4 * h) + bf16s(n * h) + kept),
        ("close_and_norm", 2 * closes(n, h)),
        // Both halves, with what LoRA adds, are kept for the backward.
        ("activation_forward", f32s(2 * n * 2 * i + n * i) + bf16s(n * i) + added(n, 2 * i)),
    ])
}

pub fn backward(shape: Shape) -> Least {
    let Shape { hidden: h, inner: i, heads, .. } = shape;
    let (n, d) = (shape.total(), h / heads);
    // The logs of the sums and Σ g out.
    let of_rows = f32s(2 * n * heads);
    sums([
        ("cublasGemmEx", frozen(n, 3 * h, h) + frozen(n, h, h) + frozen(n, 2 * i, h) + frozen(n, h, i)),
        ("cublasGemmEx", thin(n, 3 * h) + thin(n, h) + thin(n, 2 * i) + thin(n, h)),
        // What comes back through LoRA to the result of attention.
        ("cublasGemmEx", added(n, h) + f32s(2 * n * h)),
        ("activation_backward", f32s(2 * n * 2 * i + 2 * n * i) + bf16s(n * 2 * i) + added(n, i)),
        ("norm_backward", 2 * norm_back(n, h)),
        // Queries, keys, values, g and the result, into the gradient of queries; and without the result into the others.
        ("attention_backward_queries_bf16_96", f32s(6 * n * h) + of_rows),
        ("attention_backward_keys_bf16_96", f32s(6 * n * h) + of_rows),
        // Queries and keys turn; values are rounded alone.
        ("rotate", f32s(5 * n * h + n * d) + bf16s(n * 3 * h)),
        (
            "turned_products",
            gradients(n, 3 * h, h) + gradients(n, h, h) + gradients(n, 2 * i, h) + gradients(n, h, i),
        ),
    ])
}
