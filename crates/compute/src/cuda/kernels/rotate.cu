// Rotary position embeddings, in place.
#include "common.cuh"

// Of each head's pair of features i and i + half: y1 = x1 cos − x2 sin, y2 = x2 cos + x1 sin.
extern "C" __global__ void rotate(float *x, u64 stride, const float *cos, const float *sin, u64 rows, uint32_t heads,
                                  uint32_t d, uint32_t half, float sign) {
  const u64 number = thread_number();
  if (number >= rows * heads * half) return;
  const uint32_t pair = number % half, head = number / half % heads;
  const u64 row = number / half / heads;
  float *first = x + row * stride + (u64)head * d + pair;
  const float c = cos[row * half + pair], s = sign * sin[row * half + pair];
  const float a = first[0], b = first[half];
  first[0] = a * c - b * s;
  first[half] = b * c + a * s;
}
