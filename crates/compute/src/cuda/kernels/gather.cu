// Rows of tables and matrices by their ids. Ids have been checked on the host.
#include "common.cuh"

template <typename T>
__device__ __forceinline__ float wide(T x);
template <>
__device__ __forceinline__ float wide<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ float wide<__nv_bfloat16>(__nv_bfloat16 x) {
  return __bfloat162float(x);
}

template <typename T>
__device__ __forceinline__ void gather(float *x, const T *table, u64 stride, const uint32_t *ids, u64 count, uint32_t d,
                                       uint32_t add) {
  const u64 at = thread_number();
  if (at >= count * d) return;
  const float value = wide(table[ids[at / d] * stride + at % d]);
  x[at] = add ? x[at] + value : value;
}

// x = table[ids], or x += it.
extern "C" __global__ void gather_f32(float *x, const float *table, u64 stride, const uint32_t *ids, u64 count, uint32_t d,
                                      uint32_t add) {
  gather(x, table, stride, ids, count, d, add);
}

extern "C" __global__ void gather_bf16(float *x, const __nv_bfloat16 *table, u64 stride, const uint32_t *ids, u64 count,
                                       uint32_t d, uint32_t add) {
  gather(x, table, stride, ids, count, d, add);
}

// Adds rows of g to the rows that their ids name. `groups` [ids + 1] says where in `order` the places of each id begin, so
// that one thread sums all that goes to a number, in the order of the rows.
extern "C" __global__ void scatter(float *sum, u64 stride, const uint32_t *ids, const uint32_t *groups,
                                   const uint32_t *order, const float *g, uint32_t d) {
  const uint32_t at = blockIdx.y * blockDim.x + threadIdx.x;
  if (at >= d) return;
  float *to = sum + ids[blockIdx.x] * stride + at;
  float total = *to;
  for (uint32_t member = groups[blockIdx.x]; member < groups[blockIdx.x + 1]; member++)
    total += g[(u64)order[member] * d + at];
  *to = total;
}

// Clears rows, whose ids are all different.
extern "C" __global__ void clear_rows(float *x, u64 stride, const uint32_t *ids, u64 count, uint32_t d) {
  const u64 at = thread_number();
  if (at < count * d) x[ids[at / d] * stride + at % d] = 0.f;
}
