// What LoRA adds to a layer's result, where that is read next.
#pragma once
#include "common.cuh"

// low wᵀ for low [n, rank]: number j of column c of w is at c · column + j · number. Of rank 0 it is nothing.
struct LowRank {
  const float *low, *w;
  uint32_t rank, column, number;
};

// The most rows of a block, and numbers of a row of low that are at hand at a time.
constexpr uint32_t ROWS = 32, HELD = 8;

// The part of low that a block works with.
typedef float LowTile[ROWS * HELD];

// Brings numbers of `count` rows of low from `first` on to the block's threads, all of which call it. Zeros stand in place of
// further rows, up to `room`, as a compiler may read them before it asks for a row.
__device__ __forceinline__ void bring_low(LowTile &tile, const LowRank &added, uint32_t first, uint32_t count, uint32_t from,
                                          uint32_t room = 0) {
  // Whoever still reads the part before must be done.
  __syncthreads();
  for (uint32_t at = threadIdx.x; at < max(count, room) * HELD; at += blockDim.x) {
    const uint32_t number = from + at % HELD;
    tile[at] = number < added.rank && at < count * HELD ? added.low[(u64)(first + at / HELD) * added.rank + number] : 0.f;
  }
  __syncthreads();
}

// The numbers of w that belong to a column, from number `from` on.
struct OfColumn {
  float w[HELD];
};

__device__ __forceinline__ OfColumn of_column(const LowRank &added, uint32_t column, uint32_t from) {
  OfColumn of;
#pragma unroll
  for (uint32_t at = 0; at < HELD; at++)
    of.w[at] = from + at < added.rank ? added.w[(u64)column * added.column + (u64)(from + at) * added.number] : 0.f;
  return of;
}

// x of a column and a row of the tile, with what is at hand of low wᵀ.
__device__ __forceinline__ float plus_low(float x, const LowTile &tile, uint32_t row, const OfColumn &of,
                                          const LowRank &added) {
  if (added.rank == 0) return x;
#pragma unroll
  for (uint32_t at = 0; at < HELD; at++) x += tile[row * HELD + at] * of.w[at];
  return x;
}

// Adds what is at hand to a column of `count` rows of x. What belongs to the column is read once for all of the rows.
__device__ __forceinline__ void add_to_column(float *x, u64 stride, const LowTile &tile, const LowRank &added, uint32_t count,
                                              uint32_t column, uint32_t from) {
  const OfColumn of = of_column(added, column, from);
  for (uint32_t row = 0; row < count; row++) {
    float *at = x + row * stride + column;
    *at = plus_low(*at, tile, row, of, added);
  }
}

// Adds low wᵀ to `count` rows of x, the first of which is row `first` of low, but for the last numbers of low, which it brings
// to hand so that they are added where x is read: see plus_low; from which number on. It is done to all of the columns that a
// thread has, of which there may be two or none. All threads of the block call it.
__device__ __forceinline__ uint32_t begin_low_rank(float *x, u64 stride, LowTile &tile, const LowRank &added, uint32_t first,
                                                   uint32_t count, uint32_t columns, uint32_t column, uint32_t other) {
  uint32_t from = 0;
  for (; from + HELD < added.rank; from += HELD) {
    bring_low(tile, added, first, count, from);
    if (columns > 0) add_to_column(x, stride, tile, added, count, column, from);
    if (columns > 1) add_to_column(x, stride, tile, added, count, other, from);
  }
  bring_low(tile, added, first, count, from, ROWS);
  return from;
}
