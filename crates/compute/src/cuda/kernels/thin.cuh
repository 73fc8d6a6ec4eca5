// What LoRA makes of a norm's result, where that is made.
#pragma once
#include "low_rank.cuh"

// out [n, rank] = scale · dropout(y) aᵀ for y [n, d] and a [rank, d]. Of rank 0 it is nothing.
struct Thin {
  float *out;
  const float *a;
  u64 seed;
  uint32_t rank;
  float scale;
  uint32_t threshold;
  float factor;
};

// The most rows of a block, whose numbers of a are read once for all of them.
constexpr uint32_t AT_ONCE = 4;
// With HELD numbers of each there is a sum for each lane of a warp.
constexpr uint32_t SUMS = AT_ONCE * HELD;
static_assert(SUMS == 32, "");

// Sums over the lanes of a warp, in the same order each time: lane n has that of the n-th numbers.
__device__ __forceinline__ float sum_for_each_lane(float (&x)[SUMS]) {
#pragma unroll
  for (int offset = 16; offset > 0; offset >>= 1) {
    const bool upper = threadIdx.x & offset;
#pragma unroll
    for (int at = 0; at < offset; at++) {
      const float kept = upper ? x[at + offset] : x[at], given = upper ? x[at] : x[at + offset];
      x[at] = kept + __shfl_xor_sync(ALL_LANES, given, offset);
    }
  }
  return x[0];
}

// Writes HELD numbers, from number `from` on, of `count` rows of out: the sums of a block's threads, all of which call it.
__device__ __forceinline__ void write_thin(const Thin &thin, float (&sums)[SUMS], uint32_t first, uint32_t count,
                                           uint32_t from) {
  __shared__ float of_warps[8][SUMS];
  const uint32_t lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  const float of_warp = sum_for_each_lane(sums);
  // Whoever still reads the sums before must be done.
  __syncthreads();
  of_warps[warp][lane] = of_warp;
  __syncthreads();
  const uint32_t row = lane / HELD, number = from + lane % HELD;
  if (warp != 0 || row >= count || number >= thin.rank) return;
  float sum = 0.f;
  for (uint32_t other = 0; other < blockDim.x >> 5; other++) sum += of_warps[other][lane];
  thin.out[(u64)(first + row) * thin.rank + number] = thin.scale * sum;
}
