// Layer norm and root mean square norm of rows, and their backward. A block works on some rows, each of its threads on the
// same columns throughout; what `rounded` is given for is written in bf16 besides. The weights' gradients are summed over
// pieces of rows in their order, and the pieces after that.
#include "thin.cuh"

// The most threads of a block.
constexpr int THREADS = 256;

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

// A thread's part of the first sum that the statistics need: Σ x where numbers are centred, else Σ x².
__device__ __forceinline__ float add_to_sum(float sum, float x, const Norm &norm) {
  return norm.centred ? sum + x : fmaf(x, x, sum);
}

// The statistics of a row, with each thread's part of that sum.
__device__ __forceinline__ Statistics statistics(const float *row, float sum, const Norm &norm, float *parts) {
  const float mean_of_sum = block_sum(sum, parts) / norm.d;
  if (!norm.centred) return {0.f, 1.f / sqrtf(mean_of_sum + norm.eps)};
  float squares = 0.f;
  for (uint32_t at = threadIdx.x; at < norm.d; at += blockDim.x) {
    const float off = row[at] - mean_of_sum;
    squares = fmaf(off, off, squares);
  }
  return {mean_of_sum, 1.f / sqrtf(block_sum(squares, parts) / norm.d + norm.eps)};
}

// w x̂ + b
__device__ __forceinline__ float weighted(const Norm &norm, float normed, float w, uint32_t at) {
  return norm.b ? normed * w + norm.b[at] : normed * w;
}

// The norm of `count` rows of a block, whose statistics are given, and what the thin products make of it; rounded may be
// null. A thread reads again only what it has written itself.
__device__ __forceinline__ void write_norms(float *y, __nv_bfloat16 *rounded, const float *x,
                                            const Statistics (&of_rows)[AT_ONCE], uint32_t first, uint32_t count,
                                            const Norm &norm, const Thin &one, const Thin &two, const Thin &three) {
  const u64 start = (u64)first * norm.d;
  y += start;
  x += start;
  if (rounded) rounded += start;
  bool written = false;
#pragma unroll 1
  for (uint32_t which = 0; which < 3; which++) {
    const Thin thin = which == 0 ? one : which == 1 ? two : three;
    const Dropout dropout = {thin.seed, thin.threshold, thin.factor};
#pragma unroll 1
    for (uint32_t from = 0; from < thin.rank || !written; from += HELD) {
      float sums[SUMS] = {};
      const float *of_a = thin.a + (u64)from * norm.d;
      for (uint32_t at = threadIdx.x; at < norm.d; at += blockDim.x) {
        const float w = written ? 0.f : norm.w[at];
        float values[AT_ONCE] = {};
#pragma unroll
        for (uint32_t row = 0; row < AT_ONCE; row++) {
          if (row >= count) continue;
          const uint32_t place = row * norm.d + at;
          if (written) {
            values[row] = y[place];
          } else {
            values[row] = weighted(norm, (x[place] - of_rows[row].mean) * of_rows[row].r, w, at);
            y[place] = values[row];
            if (rounded) rounded[place] = __float2bfloat16_rn(values[row]);
          }
          if (thin.rank > 0 && drops(dropout)) values[row] *= dropout_factor(dropout, start + place);
        }
#pragma unroll
        for (uint32_t number = 0; number < HELD; number++) {
          if (from + number >= thin.rank) continue;
          const float a = of_a[number * norm.d + at];
#pragma unroll
          for (uint32_t row = 0; row < AT_ONCE; row++)
            sums[row * HELD + number] = fmaf(values[row], a, sums[row * HELD + number]);
        }
      }
      written = true;
      if (thin.rank > 0) write_thin(thin, sums, first, count, from);
    }
  }
}

// Zeros stand for rows that a block does not have, so that whoever reads all at once reads no memory that was not written.
// Whoever writes a row waits for the others before.
__device__ __forceinline__ void clear_rows_at_hand(Statistics (&of_rows)[AT_ONCE]) {
  if (threadIdx.x < AT_ONCE) of_rows[threadIdx.x] = {0.f, 0.f};
}

// The same as begin_low_rank for all columns of some rows: adds all but the last numbers of low, and brings those to hand.
__device__ __forceinline__ uint32_t begin_low_rank_of_rows(float *x, LowTile &tile, const LowRank &added, uint32_t first,
                                                           uint32_t count, uint32_t d) {
  uint32_t from = 0;
  for (; from + HELD < added.rank; from += HELD) {
    bring_low(tile, added, first, count, from);
    for (uint32_t at = threadIdx.x; at < d; at += blockDim.x)
      add_to_column(x + (u64)first * d, d, tile, added, count, at, from);
  }
  bring_low(tile, added, first, count, from, AT_ONCE);
  return from;
}

// y = w x̂ + b for `each` of n rows, and thin products of it.
extern "C" __global__ void __launch_bounds__(THREADS, 3) norm_forward(float *y, __nv_bfloat16 *rounded, const float *x,
                                                                      uint32_t n, uint32_t each, Norm norm, Thin one,
                                                                      Thin two, Thin three) {
  __shared__ float parts[32];
  __shared__ Statistics of_rows[AT_ONCE];
  const uint32_t first = blockIdx.x * each, count = min(each, n - first);
  clear_rows_at_hand(of_rows);
  for (uint32_t row = 0; row < count; row++) {
    const float *of_row = x + (u64)(first + row) * norm.d;
    float sum = 0.f;
    for (uint32_t at = threadIdx.x; at < norm.d; at += blockDim.x) sum = add_to_sum(sum, of_row[at], norm);
    const Statistics found = statistics(of_row, sum, norm, parts);
    if (threadIdx.x == 0) of_rows[row] = found;
  }
  __syncthreads();
  write_norms(y, rounded, x, of_rows, first, count, norm, one, two, three);
}

// x = dropout(x + low wᵀ + bias) + residual for `each` of n rows, y their norm, and thin products of that; bias may be null.
extern "C" __global__ void __launch_bounds__(THREADS, 3) close_and_norm(float *y, __nv_bfloat16 *rounded, float *x,
                                                                        LowRank added, const float *bias,
                                                                        const float *residual, uint32_t n, uint32_t each,
                                                                        Norm norm, u64 seed, uint32_t threshold,
                                                                        float factor, Thin one, Thin two, Thin three) {
  __shared__ float parts[32];
  __shared__ Statistics of_rows[AT_ONCE];
  __shared__ LowTile tile;
  const uint32_t d = norm.d, first = blockIdx.x * each, count = min(each, n - first);
  const Dropout dropout = {seed, threshold, factor};
  clear_rows_at_hand(of_rows);
  const uint32_t from = begin_low_rank_of_rows(x, tile, added, first, count, d);
  float sums[AT_ONCE] = {};
  for (uint32_t at = threadIdx.x; at < d; at += blockDim.x) {
    const OfColumn last = of_column(added, at, from);
    const float of_bias = bias ? bias[at] : 0.f;
#pragma unroll
    for (uint32_t row = 0; row < AT_ONCE; row++) {
      if (row >= count) continue;
      const u64 place = (u64)(first + row) * d + at;
      float value = x[place];
      value = plus_low(value, tile, row, last, added);
      value = (value + of_bias) * dropout_factor(dropout, place) + residual[place];
      x[place] = value;
      sums[row] = add_to_sum(sums[row], value, norm);
    }
  }
#pragma unroll
  for (uint32_t row = 0; row < AT_ONCE; row++) {
    if (row >= count) continue;
    const Statistics found = statistics(x + (u64)(first + row) * d, sums[row], norm, parts);
    if (threadIdx.x == 0) of_rows[row] = found;
  }
  __syncthreads();
  write_norms(y, rounded, x, of_rows, first, count, norm, one, two, three);
}

// dx of `each` of n rows, or added to it, after adding to g what LoRA adds; their means and r into `rows` [n, 2] for the
// gradients of the weights, unless that is null; and, with `again`, y in place of its gradient g.
extern "C" __global__ void __launch_bounds__(THREADS, 3) norm_backward(float *dx, __nv_bfloat16 *rounded, uint32_t add, float *g,
                                                                       LowRank added, uint32_t again, const float *x,
                                                                       float *rows, uint32_t n, uint32_t each, Norm norm) {
  __shared__ float parts[32];
  __shared__ Statistics of_rows[AT_ONCE];
  // Of each row mean(h) and mean(h x̂).
  __shared__ float means[AT_ONCE][2];
  __shared__ LowTile tile;
  const uint32_t d = norm.d, first = blockIdx.x * each, count = min(each, n - first);
  clear_rows_at_hand(of_rows);
  if (threadIdx.x < AT_ONCE) means[threadIdx.x][0] = means[threadIdx.x][1] = 0.f;
  const uint32_t from = begin_low_rank_of_rows(g, tile, added, first, count, d);
  float sums[AT_ONCE] = {}, sums_hx[AT_ONCE] = {};
  for (uint32_t at = threadIdx.x; at < d; at += blockDim.x) {
    const OfColumn last = of_column(added, at, from);
    const float w = norm.w[at];
#pragma unroll
    for (uint32_t row = 0; row < AT_ONCE; row++) {
      if (row >= count) continue;
      const u64 place = (u64)(first + row) * d + at;
      float of_g = g[place];
      of_g = plus_low(of_g, tile, row, last, added);
      if (added.rank > 0) g[place] = of_g;
      const float of_x = x[place];
      sums[row] = add_to_sum(sums[row], of_x, norm);
      sums_hx[row] += of_g * w * of_x;
    }
  }
#pragma unroll
  for (uint32_t row = 0; row < AT_ONCE; row++) {
    if (row >= count) continue;
    const u64 place = (u64)(first + row) * d;
    const Statistics found = statistics(x + place, sums[row], norm, parts);
    float mean_h = 0.f, mean_hx;
    if (norm.centred) {
      float sum_h = 0.f, sum_hx = 0.f;
      for (uint32_t at = threadIdx.x; at < d; at += blockDim.x) {
        const float h = g[place + at] * norm.w[at];
        sum_h += h;
        sum_hx += h * ((x[place + at] - found.mean) * found.r);
      }
      mean_h = block_sum(sum_h, parts) / d;
      mean_hx = block_sum(sum_hx, parts) / d;
    } else {
      mean_hx = block_sum(sums_hx[row], parts) * found.r / d;
    }
    if (threadIdx.x != 0) continue;
    of_rows[row] = found;
    means[row][0] = mean_h;
    means[row][1] = mean_hx;
    if (!rows) continue;
    rows[2 * (u64)(first + row)] = found.mean;
    rows[2 * (u64)(first + row) + 1] = found.r;
  }
  __syncthreads();
  for (uint32_t at = threadIdx.x; at < d; at += blockDim.x) {
    const float w = norm.w[at];
#pragma unroll
    for (uint32_t row = 0; row < AT_ONCE; row++) {
      if (row >= count) continue;
      const u64 place = (u64)(first + row) * d + at;
      const float r = of_rows[row].r, normed = (x[place] - of_rows[row].mean) * r;
      const float own = r * (g[place] * w - means[row][0] - normed * means[row][1]);
      const float value = add ? dx[place] + own : own;
      dx[place] = value;
      if (rounded) rounded[place] = __float2bfloat16_rn(value);
      if (again) g[place] = weighted(norm, normed, w, at);
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
