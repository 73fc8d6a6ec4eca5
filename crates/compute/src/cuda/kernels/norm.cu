// Layer norm and root mean square norm of rows, and their backward. A block works on a row; the weights' gradients are
// summed over pieces of rows in their order, and the pieces after that.
#include "common.cuh"

// What a row's numbers are normed by: x̂ = (x − mean) r, with a mean of 0 where they are not centred.
struct Statistics {
  float mean, r;
};

__device__ __forceinline__ Statistics statistics(const float *row, uint32_t d, float eps, uint32_t centred, float *parts) {
  float mean = 0.f;
  if (centred) {
    float sum = 0.f;
    for (uint32_t at = threadIdx.x; at < d; at += blockDim.x) sum += row[at];
    mean = block_sum(sum, parts) / d;
  }
  float squares = 0.f;
  for (uint32_t at = threadIdx.x; at < d; at += blockDim.x) {
    const float off = row[at] - mean;
    squares += off * off;
  }
  return {mean, 1.f / sqrtf(block_sum(squares, parts) / d + eps)};
}

// y = w x̂ + b for a row of d numbers; b may be null.
extern "C" __global__ void norm_forward(float *y, const float *x, const float *w, const float *b, uint32_t d, float eps,
                                        uint32_t centred) {
  __shared__ float parts[32];
  const float *row = x + (u64)blockIdx.x * d;
  float *out = y + (u64)blockIdx.x * d;
  const Statistics of_row = statistics(row, d, eps, centred, parts);
  const float mean = of_row.mean, r = of_row.r;
  for (uint32_t at = threadIdx.x; at < d; at += blockDim.x) {
    const float normed = (row[at] - mean) * r;
    out[at] = b ? normed * w[at] + b[at] : normed * w[at];
  }
}

// dx of a row, and its mean and r into `rows` [n, 2] for the gradients of the weights.
extern "C" __global__ void norm_backward(float *dx, float *rows, const float *x, const float *g, const float *w,
                                         uint32_t d, float eps, uint32_t centred) {
  __shared__ float parts[32];
  const u64 from = (u64)blockIdx.x * d;
  const float *row = x + from, *of_g = g + from;
  const Statistics of_row = statistics(row, d, eps, centred, parts);
  const float mean = of_row.mean, r = of_row.r;
  float sum_h = 0.f, sum_hx = 0.f;
  for (uint32_t at = threadIdx.x; at < d; at += blockDim.x) {
    const float h = of_g[at] * w[at];
    sum_h += h;
    sum_hx += h * ((row[at] - mean) * r);
  }
  const float mean_h = centred ? block_sum(sum_h, parts) / d : 0.f;
  const float mean_hx = block_sum(sum_hx, parts) / d;
  for (uint32_t at = threadIdx.x; at < d; at += blockDim.x) {
    const float normed = (row[at] - mean) * r;
    dx[from + at] = r * (of_g[at] * w[at] - mean_h - normed * mean_hx);
  }
  if (threadIdx.x == 0) {
    rows[2 * (u64)blockIdx.x] = mean;
    rows[2 * (u64)blockIdx.x + 1] = r;
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
