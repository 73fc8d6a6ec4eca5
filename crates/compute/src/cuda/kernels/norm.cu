// Layer norm and root mean square norm of rows, and their backward. A block works on some rows, each of its threads on the
// same columns throughout; what `rounded` is given for is written in bf16 besides. The weights' gradients are summed over
// pieces of rows in their order, and the pieces after that.
#include "low_rank.cuh"

// A norm with its weights [d]; b may be null.
struct Norm {
  const float *w, *b;
  uint32_t d;
  float eps;
  uint32_t centred;
};

// What a row's numbers are normed by: x̂ = (x − mean) r, with a mean of 0 where they are not centred.
struct Statistics {
  float mean, r;
};

__device__ __forceinline__ Statistics statistics(const float *row, const Norm &norm, float *parts) {
  float mean = 0.f;
  if (norm.centred) {
    float sum = 0.f;
    for (uint32_t at = threadIdx.x; at < norm.d; at += blockDim.x) sum += row[at];
    mean = block_sum(sum, parts) / norm.d;
  }
  float squares = 0.f;
  for (uint32_t at = threadIdx.x; at < norm.d; at += blockDim.x) {
    const float off = row[at] - mean;
    squares += off * off;
  }
  return {mean, 1.f / sqrtf(block_sum(squares, parts) / norm.d + norm.eps)};
}

// w x̂ + b
__device__ __forceinline__ float weighted(const Norm &norm, float normed, uint32_t at) {
  return norm.b ? normed * norm.w[at] + norm.b[at] : normed * norm.w[at];
}

// The norm of a row; rounded may be null.
__device__ __forceinline__ void write_norm(float *y, __nv_bfloat16 *rounded, const float *row, u64 from, const Norm &norm,
                                           float *parts) {
  const Statistics of_row = statistics(row, norm, parts);
  for (uint32_t at = threadIdx.x; at < norm.d; at += blockDim.x) {
    const float value = weighted(norm, (row[at] - of_row.mean) * of_row.r, at);
    y[from + at] = value;
    if (rounded) rounded[from + at] = __float2bfloat16_rn(value);
  }
}

// Adds what LoRA adds to some rows of a block.
__device__ __forceinline__ void add_to_rows(float *x, const LowRank &added, uint32_t first, uint32_t last, uint32_t d) {
  __shared__ LowTile tile;
  for (uint32_t from = 0; from < added.rank; from += HELD) {
    bring_low(tile, added, first, last - first, from);
    for (uint32_t at = threadIdx.x; at < d; at += blockDim.x)
      add_to_column(x + (u64)first * d, d, tile, added, last - first, at, from);
  }
}

// y = w x̂ + b for a row.
extern "C" __global__ void norm_forward(float *y, __nv_bfloat16 *rounded, const float *x, Norm norm) {
  __shared__ float parts[32];
  const u64 from = (u64)blockIdx.x * norm.d;
  write_norm(y, rounded, x + from, from, norm, parts);
}

// x = dropout(x + low wᵀ + bias) + residual for `each` of n rows, and y their norm; bias may be null.
extern "C" __global__ void close_and_norm(float *y, __nv_bfloat16 *rounded, float *x, LowRank added, const float *bias,
                                          const float *residual, uint32_t n, uint32_t each, Norm norm, u64 seed,
                                          uint32_t threshold, float factor) {
  __shared__ float parts[32];
  const uint32_t first = blockIdx.x * each, last = min(first + each, n);
  const Dropout dropout = {seed, threshold, factor};
  add_to_rows(x, added, first, last, norm.d);
  for (uint32_t row = first; row < last; row++) {
    const u64 from = (u64)row * norm.d;
    for (uint32_t at = threadIdx.x; at < norm.d; at += blockDim.x) {
      const float sum = bias ? x[from + at] + bias[at] : x[from + at];
      x[from + at] = sum * dropout_factor(dropout, from + at) + residual[from + at];
    }
    write_norm(y, rounded, x + from, from, norm, parts);
  }
}

// dx of `each` of n rows, or added to it, after adding to g what LoRA adds; their means and r into `rows` [n, 2] for the
// gradients of the weights, unless that is null; and, with `again`, y in place of its gradient g.
extern "C" __global__ void norm_backward(float *dx, __nv_bfloat16 *rounded, uint32_t add, float *g, LowRank added,
                                         uint32_t again, const float *x, float *rows, uint32_t n, uint32_t each, Norm norm) {
  __shared__ float parts[32];
  const uint32_t d = norm.d, first = blockIdx.x * each, last = min(first + each, n);
  add_to_rows(g, added, first, last, d);
  for (uint32_t number = first; number < last; number++) {
    const u64 from = (u64)number * d;
    const float *row = x + from;
    float *of_g = g + from;
    const Statistics of_row = statistics(row, norm, parts);
    const float mean = of_row.mean, r = of_row.r;
    float sum_h = 0.f, sum_hx = 0.f;
    for (uint32_t at = threadIdx.x; at < d; at += blockDim.x) {
      const float h = of_g[at] * norm.w[at];
      sum_h += h;
      sum_hx += h * ((row[at] - mean) * r);
    }
    const float mean_h = norm.centred ? block_sum(sum_h, parts) / d : 0.f;
    const float mean_hx = block_sum(sum_hx, parts) / d;
    for (uint32_t at = threadIdx.x; at < d; at += blockDim.x) {
      const float normed = (row[at] - mean) * r;
      const float own = r * (of_g[at] * norm.w[at] - mean_h - normed * mean_hx);
      const float value = add ? dx[from + at] + own : own;
      dx[from + at] = value;
      if (rounded) rounded[from + at] = __float2bfloat16_rn(value);
      if (again) of_g[at] = weighted(norm, normed, at);
    }
    if (rows && threadIdx.x == 0) {
      rows[2 * (u64)number] = mean;
      rows[2 * (u64)number + 1] = r;
    }
  }
}

// Σ g x̂ and Σ g over a piece of rows for each column, into `dw` and `db` [pieces, d]; either may be null.
extern "C" __global__ void norm_weight_parts(float *dw, float *db, const float *rows, const float *x, const float *g,
                                             uint32_t n, uint32_t d, uint32_t piece) {
  const uint32_t at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= d) return;
  const uint32_t first = blockIdx.y * piece, last = min(first + piece, n);
  float to_w = 0.f, to_b = 0.f;
  for (uint32_t row = first; row < last; row++) {
    const u64 place = (u64)row * d + at;
    to_w += g[place] * ((x[place] - rows[2 * row]) * rows[2 * row + 1]);
    to_b += g[place];
  }
  const u64 place = (u64)blockIdx.y * d + at;
  if (dw) dw[place] = to_w;
  if (db) db[place] = to_b;
}
