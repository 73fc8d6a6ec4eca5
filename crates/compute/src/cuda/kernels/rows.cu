// What is done number by number between the products, and sums of columns. Matrices that are parts of others have a
// stride from row to row.
#include "low_rank.cuh"

// out = x for parts of the same shape.
extern "C" __global__ void copy_rows(float *out, u64 out_stride, const float *x, u64 x_stride, u64 rows, uint32_t cols) {
  const u64 at = thread_number();
  if (at >= rows * cols) return;
  out[at / cols * out_stride + at % cols] = x[at / cols * x_stride + at % cols];
}

// x = 0 for a part of a matrix.
extern "C" __global__ void clear(float *x, u64 stride, u64 rows, uint32_t cols) {
  const u64 at = thread_number();
  if (at < rows * cols) x[at / cols * stride + at % cols] = 0.f;
}

// out += x
extern "C" __global__ void add(float *out, const float *x, u64 count) {
  const u64 at = thread_number();
  if (at < count) out[at] += x[at];
}

// x += bias in every row.
extern "C" __global__ void add_bias(float *x, u64 stride, const float *bias, u64 rows, uint32_t cols) {
  const u64 at = thread_number();
  if (at < rows * cols) x[at / cols * stride + at % cols] += bias[at % cols];
}

// x = dropout(x + low wᵀ + bias) + residual for some rows of a column; bias may be null.
extern "C" __global__ void close_block(float *x, LowRank added, const float *bias, const float *residual, uint32_t n, uint32_t d,
                                       u64 seed, uint32_t threshold, float factor) {
  const uint32_t column = blockIdx.x * blockDim.x + threadIdx.x, first = blockIdx.y * ROWS, last = min(first + ROWS, n);
  const Dropout dropout = {seed, threshold, factor};
  __shared__ LowTile tile;
  const uint32_t from = begin_low_rank(x + (u64)first * d, d, tile, added, first, last - first, column < d, column, 0);
  if (column >= d) return;
  const OfColumn of = of_column(added, column, from);
  for (uint32_t row = first; row < last; row++) {
    const u64 at = (u64)row * d + column;
    const float value = plus_low(x[at], tile, row - first, of, added), sum = bias ? value + bias[column] : value;
    x[at] = sum * dropout_factor(dropout, at) + residual[at];
  }
}

// x = dropout(y); x and y may be the same.
extern "C" __global__ void drop(float *x, const float *y, u64 count, u64 seed, uint32_t threshold, float factor) {
  const u64 at = thread_number();
  const Dropout dropout = {seed, threshold, factor};
  if (at < count) x[at] = y[at] * dropout_factor(dropout, at);
}

// The sums of a piece of rows for each column, into `parts` [pieces, cols].
extern "C" __global__ void column_parts(float *parts, const float *x, u64 stride, uint32_t rows, uint32_t cols,
                                        uint32_t piece) {
  const uint32_t at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= cols) return;
  const uint32_t first = blockIdx.y * piece, last = min(first + piece, rows);
  float sum = 0.f;
  for (uint32_t row = first; row < last; row++) sum += x[row * stride + at];
  parts[(u64)blockIdx.y * cols + at] = sum;
}

// out = Σ of the pieces, or out += it.
extern "C" __global__ void sum_parts(float *out, const float *parts, uint32_t pieces, uint32_t cols, uint32_t add) {
  const uint32_t at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= cols) return;
  float sum = add ? out[at] : 0.f;
  for (uint32_t piece = 0; piece < pieces; piece++) sum += parts[(u64)piece * cols + at];
  out[at] = sum;
}

// f32 to bf16, to nearest even.
extern "C" __global__ void narrow(__nv_bfloat16 *out, const float *x, u64 stride, u64 rows, uint32_t cols) {
  const u64 at = thread_number();
  if (at < rows * cols) out[at] = __float2bfloat16_rn(x[at / cols * stride + at % cols]);
}

extern "C" __global__ void widen(float *out, const __nv_bfloat16 *x, u64 count) {
  const u64 at = thread_number();
  if (at < count) out[at] = __bfloat162float(x[at]);
}
