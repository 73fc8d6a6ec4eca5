// The functions of compute::Activation, plain and gated, forward and backward.
#include "common.cuh"

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

// y = f(u), or f(a) b with a and b beside one another in u [n, 2 d].
extern "C" __global__ void activation_forward(float *y, const float *u, u64 count, uint32_t d, uint32_t activation,
                                              uint32_t gated) {
  const u64 at = thread_number();
  if (at >= count) return;
  if (!gated) {
    y[at] = value(activation, u[at]);
    return;
  }
  const float *row = u + at / d * 2 * d;
  y[at] = value(activation, row[at % d]) * row[d + at % d];
}

// u becomes its own gradient, and g becomes y.
extern "C" __global__ void activation_backward(float *u, float *g, u64 count, uint32_t d, uint32_t activation,
                                               uint32_t gated) {
  const u64 at = thread_number();
  if (at >= count) return;
  const float of_y = g[at];
  if (!gated) {
    const float x = u[at];
    u[at] = of_y * derivative(activation, x);
    g[at] = value(activation, x);
    return;
  }
  float *row = u + at / d * 2 * d;
  const float a = row[at % d], b = row[d + at % d], f = value(activation, a);
  row[at % d] = of_y * b * derivative(activation, a);
  row[d + at % d] = of_y * f;
  g[at] = f * b;
}
