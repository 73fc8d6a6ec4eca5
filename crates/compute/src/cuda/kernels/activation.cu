// The functions of compute::Activation, plain and gated, forward and backward. A thread has a column of some rows; what
// `rounded` is given for is written in bf16 besides.
#include "low_rank.cuh"

enum Activation : uint32_t { GELU, GELU_TANH, SILU, RELU, TANH };

constexpr float DENSITY = 0.3989422804014327f;     // 1 / √(2π)
constexpr float TANH_SCALE = 0.7978845608028654f;  // √(2/π)
constexpr float TANH_CUBIC = 0.044715f;

__device__ __forceinline__ float normal_cdf(float x) { return 0.5f + 0.5f * erff(x * 0.7071067811865476f); }

__device__ __forceinline__ float value(uint32_t activation, float x) {
  switch (activation) {
    case GELU: return x * normal_cdf(x);
    case GELU_TANH: return 0.5f * x * (1.f + tanhf(TANH_SCALE * (x + TANH_CUBIC * x * x * x)));
    case SILU: return x / (1.f + expf(-x));
    case RELU: return fmaxf(x, 0.f);
    default: return tanhf(x);
  }
}

__device__ __forceinline__ float derivative(uint32_t activation, float x) {
  switch (activation) {
    case GELU: return normal_cdf(x) + x * DENSITY * expf(-0.5f * x * x);
    case GELU_TANH: {
      const float t = tanhf(TANH_SCALE * (x + TANH_CUBIC * x * x * x));
      const float inner = TANH_SCALE * (1.f + 3.f * TANH_CUBIC * x * x);
      return 0.5f * (1.f + t) + 0.5f * x * (1.f - t * t) * inner;
    }
    case SILU: {
      const float s = 1.f / (1.f + expf(-x));
      return s * (1.f + x * (1.f - s));
    }
    case RELU: return x > 0.f ? 1.f : 0.f;
    default: {
      const float t = tanhf(x);
      return 1.f - t * t;
    }
  }
}

// y = f(u), or f(a) b with a and b beside one another in u [n, 2 d], to which is added first what LoRA adds.
extern "C" __global__ void activation_forward(float *y, __nv_bfloat16 *rounded, float *u, LowRank added, uint32_t n, uint32_t d,
                                              uint32_t activation, uint32_t gated) {
  const uint32_t column = blockIdx.x * blockDim.x + threadIdx.x, first = blockIdx.y * ROWS, last = min(first + ROWS, n);
  const uint32_t width = gated ? 2 * d : d;
  float *rows = u + (u64)first * width;
  __shared__ LowTile tile;
  const uint32_t columns = column >= d ? 0 : gated ? 2 : 1;
  const uint32_t from = begin_low_rank(rows, width, tile, added, first, last - first, columns, column, d + column);
  if (column >= d) return;
  const OfColumn of_a = of_column(added, column, from), of_b = gated ? of_column(added, d + column, from) : OfColumn{};
  for (uint32_t row = first; row < last; row++, rows += width) {
    const float a = plus_low(rows[column], tile, row - first, of_a, added), f = value(activation, a);
    const float b = gated ? plus_low(rows[d + column], tile, row - first, of_b, added) : 1.f;
    if (added.rank > 0) {
      rows[column] = a;
      if (gated) rows[d + column] = b;
    }
    const float result = gated ? f * b : f;
    const u64 at = (u64)row * d + column;
    y[at] = result;
    if (rounded) rounded[at] = __float2bfloat16_rn(result);
  }
}

// u becomes its own gradient, and g becomes y, after adding to g what LoRA adds.
extern "C" __global__ void activation_backward(float *u, __nv_bfloat16 *rounded, float *g, LowRank added, uint32_t n,
                                               uint32_t d, uint32_t activation, uint32_t gated) {
  const uint32_t column = blockIdx.x * blockDim.x + threadIdx.x, first = blockIdx.y * ROWS, last = min(first + ROWS, n);
  const uint32_t width = gated ? 2 * d : d;
  __shared__ LowTile tile;
  const uint32_t from = begin_low_rank(g + (u64)first * d, d, tile, added, first, last - first, column < d, column, 0);
  if (column >= d) return;
  const OfColumn of = of_column(added, column, from);
  for (uint32_t row = first; row < last; row++) {
    float *of_y = g + (u64)row * d + column, *of_u = u + (u64)row * width + column;
    const float a = *of_u, b = gated ? of_u[d] : 1.f, f = value(activation, a);
    const float to_y = plus_low(*of_y, tile, row - first, of, added);
    const float to_a = to_y * b * derivative(activation, a), to_b = to_y * f;
    *of_u = to_a;
    if (gated) of_u[d] = to_b;
    *of_y = f * b;
    if (!rounded) continue;
    __nv_bfloat16 *of_rounded = rounded + (u64)row * width + column;
    *of_rounded = __float2bfloat16_rn(to_a);
    if (gated) of_rounded[d] = __float2bfloat16_rn(to_b);
  }
}
