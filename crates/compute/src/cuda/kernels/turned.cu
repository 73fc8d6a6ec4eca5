// The gradients of LoRA's matrices: out = aᵀ b for factors of as many rows as there are tokens, one of which is thin.
#include "common.cuh"

// For the wide factor [length, columns] and the thin one [length, rank]; number j of column c of the result is at
// c · column + j · number.
struct Turned {
  float *out;
  const float *wide, *thin;
  uint32_t wide_stride, thin_stride, columns, rank, column, number;
  uint32_t add, unused;
};

// Columns of a block, and threads of each, which share its rows.
constexpr uint32_t COLUMNS = 32, SHARES = 8;
// Numbers of a column that a thread sums at a time, and rows of them that are at hand.
constexpr uint32_t HELD = 8, TILE = 64;

// Blocks before `second` have columns of the first product, and the others of the second. Each number is summed in a fixed
// order: over the rows of a share, and over the shares.
extern "C" __global__ void turned_products(Turned first_product, Turned second_product, uint32_t length, uint32_t second) {
  __shared__ float tile[TILE * HELD];
  __shared__ float parts[SHARES][HELD][COLUMNS];
  const bool is_first = blockIdx.x < second;
  const Turned of = is_first ? first_product : second_product;
  const uint32_t lane = threadIdx.x % COLUMNS, share = threadIdx.x / COLUMNS;
  const uint32_t column = (is_first ? blockIdx.x : blockIdx.x - second) * COLUMNS + lane;
  const bool inside = column < of.columns;
  for (uint32_t from = 0; from < of.rank; from += HELD) {
    float sums[HELD] = {};
    for (uint32_t first = 0; first < length; first += TILE) {
      const uint32_t count = min(TILE, length - first);
      // Whoever still reads the rows before must be done.
      __syncthreads();
      for (uint32_t at = threadIdx.x; at < count * HELD; at += blockDim.x) {
        const uint32_t number = from + at % HELD;
        tile[at] = number < of.rank ? of.thin[(u64)(first + at / HELD) * of.thin_stride + number] : 0.f;
      }
      __syncthreads();
      if (!inside) continue;
      const float *wide = of.wide + (u64)first * of.wide_stride + column;
#pragma unroll 4
      for (uint32_t row = share; row < count; row += SHARES) {
        const float x = wide[(u64)row * of.wide_stride];
#pragma unroll
        for (uint32_t at = 0; at < HELD; at++) sums[at] += x * tile[row * HELD + at];
      }
    }
#pragma unroll
    for (uint32_t at = 0; at < HELD; at++) parts[share][at][lane] = sums[at];
    __syncthreads();
    // Each share sums one of the numbers of its columns.
    const uint32_t number = from + share;
    if (inside && number < of.rank) {
      float *out = of.out + (u64)column * of.column + (u64)number * of.number;
      float sum = of.add ? *out : 0.f;
      for (uint32_t other = 0; other < SHARES; other++) sum += parts[other][share][lane];
      *out = sum;
    }
  }
}
