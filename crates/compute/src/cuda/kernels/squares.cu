// Σ x² in double precision, piece by piece.
#include "common.cuh"

// The sum of a piece of a matrix of some rows, all or those of `ids`, into parts[block].
extern "C" __global__ void squares(double *parts, const float *x, u64 stride, const uint32_t *ids, u64 rows, uint32_t cols,
                                   u64 piece) {
  __shared__ double of_warps[32];
  const u64 count = rows * cols, first = blockIdx.x * piece, last = min(first + piece, count);
  double sum = 0.;
  for (u64 at = first + threadIdx.x; at < last; at += blockDim.x) {
    const u64 row = ids ? ids[at / cols] : at / cols;
    const double value = x[row * stride + at % cols];
    sum += value * value;
  }
  for (int offset = 16; offset > 0; offset >>= 1) sum += __shfl_xor_sync(ALL_LANES, sum, offset);
  if ((threadIdx.x & 31) == 0) of_warps[threadIdx.x >> 5] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    sum = 0.;
    for (uint32_t warp = 0; warp < blockDim.x >> 5; warp++) sum += of_warps[warp];
    parts[blockIdx.x] = sum;
  }
}
