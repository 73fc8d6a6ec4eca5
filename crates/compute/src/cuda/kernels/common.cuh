// What kernels share: sums in a fixed order, and dropout's mask.
#pragma once
#include <cuda_bf16.h>
#include <stdint.h>

// Parameters that say where a matrix lies: see compute::Place.
typedef unsigned long long u64;

constexpr unsigned ALL_LANES = 0xffffffffu;

// The sum over the lanes of a warp, in each of them. Pairs are summed in the same order each time.
__device__ __forceinline__ float warp_sum(float x) {
  for (int offset = 16; offset > 0; offset >>= 1) x += __shfl_xor_sync(ALL_LANES, x, offset);
  return x;
}

__device__ __forceinline__ float warp_max(float x) {
  for (int offset = 16; offset > 0; offset >>= 1) x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, offset));
  return x;
}

// The sum over a block of whole warps, in each thread. `parts` has a place for each warp.
__device__ __forceinline__ float block_sum(float x, float *parts) {
  x = warp_sum(x);
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  // Whoever still reads the sum before must be done.
  __syncthreads();
  if (lane == 0) parts[warp] = x;
  __syncthreads();
  float sum = 0.f;
  for (int at = 0; at < warps; at++) sum += parts[at];
  return sum;
}

// The number of this thread among all threads of a grid of one dimension.
__device__ __forceinline__ u64 thread_number() { return (u64)blockIdx.x * blockDim.x + threadIdx.x; }

// The finalizer of SplitMix64, as compute::math::mix.
__device__ __forceinline__ u64 mix(u64 z) {
  z += 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

// Probability and seed of dropout; `threshold` is p 2^32, and 0 with a factor of 1 where nothing is dropped.
struct Dropout {
  u64 seed;
  uint32_t threshold;
  float factor;
};

// What dropout multiplies an element with by the lower half of its number, where mix(seed ^ mix(index >> 32)) is known; see compute::math::dropout_factor.
__device__ __forceinline__ float factor_of_low_half(const Dropout &dropout, u64 seed, uint32_t index) {
  uint32_t z = index ^ (uint32_t)seed;
  z = (z ^ (z >> 16)) * 0x85ebca6bu + (uint32_t)(seed >> 32);
  z = (z ^ (z >> 13)) * 0xc2b2ae35u;
  return (z ^ (z >> 16)) >= dropout.threshold ? dropout.factor : 0.f;
}

__device__ __forceinline__ bool drops(const Dropout &dropout) { return dropout.threshold != 0 || dropout.factor != 1.f; }

// What dropout multiplies element `index` with: the mask of compute::math::dropout_factor, bit by bit.
__device__ __forceinline__ float dropout_factor(const Dropout &dropout, u64 index) {
  if (!drops(dropout)) return 1.f;
  return factor_of_low_half(dropout, mix(dropout.seed ^ mix(index >> 32)), (uint32_t)index);
}
