// Tiles of bf16 in shared memory and products of them on tensor cores, by a warp: mma.sync m16n8k16 with sums in f32.
//
// Names of lanes' parts are PTX ISA's. Of a 16 × 8 tile of sums a lane has, in row lane / 4 and in the 8th row after it,
// the columns 2 (lane % 4) and the one after it, in this order.
#pragma once
#include "common.cuh"

// Two numbers in bf16, the first in the lower half; rounded to the nearest, to even where two are as near.
__device__ __forceinline__ uint32_t pair(float first, float second) {
  const __nv_bfloat162 both = __floats2bfloat162_rn(first, second);
  return *reinterpret_cast<const uint32_t *>(&both);
}

__device__ __forceinline__ float rounded(float x) { return __bfloat162float(__float2bfloat16_rn(x)); }

// Shared memory that is asked for at the launch; places in it are told in bytes from its beginning.
extern __shared__ __align__(128) unsigned char shared[];

// A tile has rows of D features. The 16 bytes of each 8 features, a chunk, are moved within their row, by the row, in such a
// way that the same chunk of 8 rows that follow each other lies in 8 different sets of 4 banks: ldmatrix reads it at once,
// and so is a row written. Within MOVED chunks a place is the chunk's number with bits of the row's turned over in it.
template <int D>
constexpr int MOVED = D % 64 == 0 ? 8 : 4;

template <int D>
__device__ __forceinline__ uint32_t place(uint32_t row, uint32_t chunk) {
  static_assert(D % 32 == 0, "chunks are moved among four or among eight");
  const uint32_t turn = MOVED<D> == 8 ? row & 7 : row >> 1 & 3;
  return row * (2 * D) + (chunk ^ turn) * 16;
}

// Rows of D features on their way from f32 in the device's memory to a tile of bf16. Eight threads share a row, so that
// each reads a line of 128 bytes together, and 128 threads take 16 rows at once.
template <int D, int ROWS>
struct Ahead {
  float4 quads[ROWS / 16][D / 32];
};

// The row of 16 that this thread takes a part of. Of two rows that a half of a warp writes at once, chunks lie in unlike
// halves of the banks.
template <int D>
__device__ __forceinline__ uint32_t taken_row() {
  const uint32_t at = threadIdx.x / 8;
  return MOVED<D> == 8 ? (at & 8) | (at & 1) << 2 | (at >> 1 & 3) : at;
}

// Begins to read rows that are `stride` apart; zeros stand in their place from row `rows` on.
template <int D, int ROWS>
__device__ __forceinline__ void take(Ahead<D, ROWS> &ahead, const float *from, uint32_t stride, uint32_t rows) {
  const uint32_t row = taken_row<D>();
  from += (u64)row * stride + threadIdx.x % 8 * 4;
#pragma unroll
  for (int at = 0; at < ROWS / 16; at++)
#pragma unroll
    for (int part = 0; part < D / 32; part++) {
      ahead.quads[at][part] = make_float4(0.f, 0.f, 0.f, 0.f);
      if (row + 16 * at < rows)
        ahead.quads[at][part] = *reinterpret_cast<const float4 *>(from + (u64)(16 * at) * stride + 32 * part);
    }
}

// Rounds what was read and writes it to a tile.
template <int D, int ROWS>
__device__ __forceinline__ void put(uint32_t tile, const Ahead<D, ROWS> &ahead) {
  const uint32_t row = taken_row<D>(), chunk = threadIdx.x % 8 / 2, half = threadIdx.x % 2 * 8;
#pragma unroll
  for (int at = 0; at < ROWS / 16; at++)
#pragma unroll
    for (int part = 0; part < D / 32; part++) {
      const float4 x = ahead.quads[at][part];
      const uint32_t to = tile + place<D>(row, chunk + 4 * part) + at * (32 * D) + half;
      *reinterpret_cast<uint2 *>(shared + to) = make_uint2(pair(x.x, x.y), pair(x.z, x.w));
    }
}

// Both at once, 16 rows after 16 rows.
template <int D, int ROWS>
__device__ __forceinline__ void bring(uint32_t tile, const float *from, uint32_t stride, uint32_t rows) {
#pragma unroll
  for (int at = 0; at < ROWS; at += 16) {
    Ahead<D, 16> ahead;
    take(ahead, from + (u64)at * stride, stride, rows > at ? rows - at : 0);
    put(tile + at * (2 * D), ahead);
  }
}

// Begins to copy a number of 32 bits to shared memory, or zero where it is not `wanted`.
__device__ __forceinline__ void begin_copy(uint32_t to, const void *from, bool wanted) {
  const uint32_t address = (uint32_t)__cvta_generic_to_shared(shared) + to;
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(address), "l"(from), "r"(wanted ? 4 : 0) : "memory");
}

// Waits for all copies that this thread has begun.
__device__ __forceinline__ void wait_for_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }

// Begins to copy eight numbers in bf16, which lie at a multiple of 16 bytes on both sides, or zeros where they are not
// `wanted`.
__device__ __forceinline__ void begin_copy_of_chunk(uint32_t to, const void *from, bool wanted) {
  const uint32_t address = (uint32_t)__cvta_generic_to_shared(shared) + to;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(wanted ? 16 : 0) : "memory");
}

// All copies that this thread has begun since the last such call, or none, are a group.
__device__ __forceinline__ void end_group() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits for all groups of this thread but the last LEFT.
template <int LEFT>
__device__ __forceinline__ void wait_for_groups() {
  asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

// Four matrices of 8 × 8, the rows of the n-th at the addresses of the lanes from 8 n on; turned with TURNED.
template <bool TURNED>
__device__ __forceinline__ void load_matrices(uint32_t (&to)[4], uint32_t row) {
  const uint32_t address = (uint32_t)__cvta_generic_to_shared(shared) + row;
  if (TURNED)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
}

// The place of the row that a lane gives, with chunk 0 or 1, as it is told here: one register for each of two kinds, to
// which the rest is added at compile time, but for the bits that are turned over.
template <int D>
__device__ __forceinline__ uint32_t at_step(uint32_t of_lane, uint32_t row, int step) {
  const uint32_t within = 2 * step % MOVED<D>, before = 2 * step - within;
  return (of_lane ^ within * 16) + before * 16 + row * (2 * D);
}

// The left factor of a product: 16 rows from `row` on, 16 features from 16 `step` on.
template <int D>
__device__ __forceinline__ void left(uint32_t (&to)[4], uint32_t tile, uint32_t row, int step) {
  const uint32_t lane = threadIdx.x & 31;
  load_matrices<false>(to, tile + at_step<D>(place<D>(lane & 15, lane >> 4), row, step));
}

// The right factor of two products over features, rows as columns: 16 rows from `row` on, 16 features from 16 `step` on.
// The first 8 rows are in the first two numbers.
template <int D>
__device__ __forceinline__ void right(uint32_t (&to)[4], uint32_t tile, uint32_t row, int step) {
  const uint32_t lane = threadIdx.x & 31;
  load_matrices<false>(to, tile + at_step<D>(place<D>((lane & 7) + (lane >> 4) * 8, lane >> 3 & 1), row, step));
}

// The right factor of two products over rows: 16 rows from `row` on, 16 features from 16 `step` on. The first 8 features
// are in the first two numbers.
template <int D>
__device__ __forceinline__ void right_over_rows(uint32_t (&to)[4], uint32_t tile, uint32_t row, int step) {
  const uint32_t lane = threadIdx.x & 31;
  load_matrices<true>(to, tile + at_step<D>(place<D>(lane & 15, lane >> 4), row, step));
}

// sums += left right, over 16.
__device__ __forceinline__ void multiply(float (&sums)[4], const uint32_t (&left)[4], uint32_t right_0, uint32_t right_1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right_0), "r"(right_1));
}

// Two tiles of sums side by side, rounded, as the left factor of the next product.
__device__ __forceinline__ void as_left(uint32_t (&to)[4], const float (&first)[4], const float (&second)[4]) {
  to[0] = pair(first[0], first[1]);
  to[1] = pair(first[2], first[3]);
  to[2] = pair(second[0], second[1]);
  to[3] = pair(second[2], second[3]);
}

// sums [16, COUNT] += 16 rows, as left factors, times those of a tile, over all features.
template <int D, int COUNT>
__device__ __forceinline__ void by_features(float (&sums)[COUNT / 8][4], const uint32_t (&own)[D / 16][4],
                                            uint32_t tile) {
#pragma unroll
  for (int step = 0; step < D / 16; step++)
#pragma unroll
    for (int at = 0; at < COUNT / 16; at++) {
      uint32_t b[4];
      right<D>(b, tile, 16 * at, step);
      multiply(sums[2 * at], own[step], b[0], b[1]);
      multiply(sums[2 * at + 1], own[step], b[2], b[3]);
    }
}

// The same of rows of another tile, from `row` on.
template <int D, int COUNT>
__device__ __forceinline__ void by_features(float (&sums)[COUNT / 8][4], uint32_t own, uint32_t row,
                                            uint32_t tile) {
#pragma unroll
  for (int step = 0; step < D / 16; step++) {
    uint32_t a[4];
    left<D>(a, own, row, step);
#pragma unroll
    for (int at = 0; at < COUNT / 16; at++) {
      uint32_t b[4];
      right<D>(b, tile, 16 * at, step);
      multiply(sums[2 * at], a, b[0], b[1]);
      multiply(sums[2 * at + 1], a, b[2], b[3]);
    }
  }
}

// sums [16, D] += weights [16, COUNT], rounded, times the rows of a tile.
template <int D, int COUNT>
__device__ __forceinline__ void by_rows(float (&sums)[D / 8][4], const float (&weights)[COUNT / 8][4],
                                        uint32_t tile) {
#pragma unroll
  for (int at = 0; at < COUNT / 16; at++) {
    uint32_t a[4];
    as_left(a, weights[2 * at], weights[2 * at + 1]);
#pragma unroll
    for (int step = 0; step < D / 16; step++) {
      uint32_t b[4];
      right_over_rows<D>(b, tile, 16 * at, step);
      multiply(sums[2 * step], a, b[0], b[1]);
      multiply(sums[2 * step + 1], a, b[2], b[3]);
    }
  }
}
