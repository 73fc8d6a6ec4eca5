// A row of each text out of those of its tokens, and the way back. `offsets` [texts + 1] say where texts begin and end.
#include "common.cuh"

// As compute::Pool, in this order.
enum Pool : uint32_t { FIRST, LAST, MEAN, BAG };

// Which tokens of a text of n count, and what each of them is multiplied by.
struct Counted {
  uint32_t from, to;
  float share;
};

__device__ __forceinline__ Counted counted(uint32_t pool, uint32_t n) {
  if (pool == FIRST) return {0, min(n, 1u), 1.f};
  if (pool == LAST) return {n > 0 ? n - 1 : 0, n, 1.f};
  const float count = max(n, 1u);
  return {0, n, pool == MEAN ? 1.f / count : 1.f / sqrtf(count)};
}

// Columns of a block, and threads that share the rows of one.
constexpr uint32_t COLUMNS = 32, SHARERS = 8;

// out [texts, d] of x [total, d]: of a text and some columns each thread sums every 8th row, and one of them their sums.
extern "C" __global__ void pool(float *out, const float *x, const uint32_t *offsets, uint32_t d, uint32_t pool) {
  __shared__ float sums[SHARERS][COLUMNS];
  const uint32_t lane = threadIdx.x % COLUMNS, sharer = threadIdx.x / COLUMNS, column = blockIdx.x * COLUMNS + lane;
  const uint32_t start = offsets[blockIdx.y];
  const Counted rows = counted(pool, offsets[blockIdx.y + 1] - start);
  float sum = 0.f;
  if (column < d)
    for (uint32_t row = rows.from + sharer; row < rows.to; row += SHARERS) sum += x[(u64)(start + row) * d + column];
  sums[sharer][lane] = sum;
  __syncthreads();
  if (sharer != 0 || column >= d) return;
  for (uint32_t other = 1; other < SHARERS; other++) sum += sums[other][lane];
  out[(u64)blockIdx.y * d + column] = sum * rows.share;
}

// Rows of which a thread has the same column; as in cuda/pool.rs.
constexpr uint32_t ROWS = 16;

// dx [total, d] by g [texts, d].
extern "C" __global__ void pool_backward(float *dx, const float *g, const uint32_t *offsets, uint32_t texts, uint32_t total,
                                         uint32_t d, uint32_t pool) {
  const uint32_t column = blockIdx.x * blockDim.x + threadIdx.x, first = blockIdx.y * ROWS, last = min(first + ROWS, total);
  if (column >= d) return;
  // The last text that begins no later than the first row, which is the text of that row.
  uint32_t text = 0;
  for (uint32_t above = texts; above - text > 1;) {
    const uint32_t middle = text + (above - text) / 2;
    if (offsets[middle] <= first)
      text = middle;
    else
      above = middle;
  }
  for (uint32_t row = first; row < last; row++) {
    while (offsets[text + 1] <= row) text++;
    const uint32_t start = offsets[text], token = row - start;
    const Counted rows = counted(pool, offsets[text + 1] - start);
    const bool counts = rows.from <= token && token < rows.to;
    dx[(u64)row * d + column] = counts ? g[(u64)text * d + column] * rows.share : 0.f;
  }
}
