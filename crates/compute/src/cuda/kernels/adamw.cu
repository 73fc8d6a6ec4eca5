// AdamW, with moments in 32 bits or in blocks of 8. Compiled without contraction to fused multiply-adds: a step is the
// CPU's to the last bit.
#include "common.cuh"

// See compute::Step.
struct Step {
  float clip, beta1, beta2, rest1, rest2, step_size, root_correction, epsilon, keep;
};

__device__ __forceinline__ float moved(const Step &step, float w, float g, float *first, float *second) {
  g = g * step.clip;
  *first = step.beta1 * *first + step.rest1 * g;
  *second = step.beta2 * *second + step.rest2 * g * g;
  const float root = sqrtf(*second) * step.root_correction + step.epsilon;
  return w * step.keep - step.step_size * *first / root;
}

// A weight as it is held: in f32 (`rest` null), or its upper half in bf16 with the rest of its bits beside it.
__device__ __forceinline__ float read_weight(const void *weight, const int16_t *rest, u64 at) {
  if (!rest) return ((const float *)weight)[at];
  return __uint_as_float(((uint32_t)((const uint16_t *)weight)[at] << 16) + (int32_t)rest[at]);
}

__device__ __forceinline__ void write_weight(void *weight, int16_t *rest, u64 at, float w) {
  if (!rest) {
    ((float *)weight)[at] = w;
    return;
  }
  const uint32_t bits = __float_as_uint(w), upper = (bits + 0x8000u) >> 16;
  ((uint16_t *)weight)[at] = (uint16_t)upper;
  rest[at] = (int16_t)(bits - (upper << 16));
}

extern "C" __global__ void adamw_f32(void *weight, int16_t *rest, const float *g, float *first, float *second, u64 count,
                                     Step step) {
  const u64 at = thread_number();
  if (at >= count) return;
  const float w = moved(step, read_weight(weight, rest, at), g[at], first + at, second + at);
  write_weight(weight, rest, at, w);
}

// The code of the number of a book that is nearest to x: the first whose limit is not below it.
__device__ __forceinline__ uint8_t nearest(const float *limits, float x) {
  int from = 0, to = 255;
  while (from < to) {
    const int middle = (from + to) / 2;
    if (x > limits[middle]) {
      from = middle + 1;
    } else {
      to = middle;
    }
  }
  return (uint8_t)from;
}

// The largest of a block's 256 numbers, none of which is negative, in each thread.
__device__ __forceinline__ float block_max(float x, float *parts) {
  x = warp_max(x);
  __syncthreads();
  if ((threadIdx.x & 31) == 0) parts[threadIdx.x >> 5] = x;
  __syncthreads();
  float most = parts[0];
  for (int warp = 1; warp < 8; warp++) most = fmaxf(most, parts[warp]);
  return most;
}

// `book` has the numbers of the signed and the unsigned code book and then the limits of each, [4, 256].
extern "C" __global__ void adamw_blocks8(void *weight, int16_t *rest, const float *g, uint8_t *first, float *first_scale,
                                         uint8_t *second, float *second_scale, const float *book, uint32_t zero_first,
                                         uint32_t zero_second, u64 count, Step step) {
  __shared__ float parts[8];
  const u64 at = thread_number();
  const bool inside = at < count;
  float m = 0.f, v = 0.f;
  if (inside) {
    m = book[first[at]] * first_scale[blockIdx.x];
    v = book[256 + second[at]] * second_scale[blockIdx.x];
    const float w = moved(step, read_weight(weight, rest, at), g[at], &m, &v);
    write_weight(weight, rest, at, w);
  }
  // Infinity over itself would not be a number.
  const float most_m = fminf(block_max(fabsf(m), parts), 3.402823466e38f);
  const float most_v = fminf(block_max(fabsf(v), parts), 3.402823466e38f);
  if (threadIdx.x == 0) {
    first_scale[blockIdx.x] = most_m;
    second_scale[blockIdx.x] = most_v;
  }
  if (!inside) return;
  first[at] = most_m == 0.f ? (uint8_t)zero_first : nearest(book + 512, m / most_m);
  second[at] = most_v == 0.f ? (uint8_t)zero_second : nearest(book + 768, v / most_v);
}
