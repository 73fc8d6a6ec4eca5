// Kernels without a fault, of the kinds that a trainer is made of. tests/right.rs computes each again in double precision.
#include <cuda_bf16.h>
#include <cuda_fp8.h>
#include <mma.h>
#include <stdint.h>

using bf16 = __nv_bfloat16;
using bf162 = __nv_bfloat162;

__device__ __forceinline__ float warp_sum(float v) {
  for (int offset = 16; offset > 0; offset >>= 1) v += __shfl_xor_sync(~0u, v, offset);
  return v;
}

// One warp a row: shuffles.
extern "C" __global__ void layer_norm(const bf16* x, const float* g, const float* b, bf16* y, int rows, int width,
                                      float eps) {
  int row = blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
  int lane = threadIdx.x & 31;
  if (row >= rows) return;
  const bf16* from = x + (size_t)row * width;
  float sum = 0;
  for (int i = lane; i < width; i += 32) sum += __bfloat162float(from[i]);
  float mean = warp_sum(sum) / width;
  float squares = 0;
  for (int i = lane; i < width; i += 32) {
    float d = __bfloat162float(from[i]) - mean;
    squares += d * d;
  }
  float r = rsqrtf(warp_sum(squares) / width + eps);
  for (int i = lane; i < width; i += 32)
    y[(size_t)row * width + i] = __float2bfloat16((__bfloat162float(from[i]) - mean) * r * g[i] + b[i]);
}

// One block a row: dynamic shared memory, barriers, atomics of f32.
extern "C" __global__ void layer_norm_backward(const float* dy, const float* x, const float* g, float* dx, float* dg,
                                               float* db, int rows, int width, float eps) {
  extern __shared__ float partial[];
  int t = threadIdx.x;
  const float* from = x + (size_t)blockIdx.x * width;
  const float* slope = dy + (size_t)blockIdx.x * width;
  auto reduce = [&](float v) {
    partial[t] = v;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half >>= 1) {
      if (t < half) partial[t] += partial[t + half];
      __syncthreads();
    }
    float sum = partial[0];
    __syncthreads();
    return sum;
  };
  float a = 0;
  for (int i = t; i < width; i += blockDim.x) a += from[i];
  float mean = reduce(a) / width;
  a = 0;
  for (int i = t; i < width; i += blockDim.x) a += (from[i] - mean) * (from[i] - mean);
  float r = rsqrtf(reduce(a) / width + eps);
  float s1 = 0, s2 = 0;
  for (int i = t; i < width; i += blockDim.x) {
    float h = (from[i] - mean) * r, d = slope[i] * g[i];
    s1 += d;
    s2 += d * h;
    atomicAdd(&dg[i], slope[i] * h);
    atomicAdd(&db[i], slope[i]);
  }
  s1 = reduce(s1) / width;
  s2 = reduce(s2) / width;
  for (int i = t; i < width; i += blockDim.x) {
    float h = (from[i] - mean) * r;
    dx[(size_t)blockIdx.x * width + i] = r * (slope[i] * g[i] - s1 - h * s2);
  }
}

// C[16 x 8] = A[16 x k] B[8 x k]^T by mma.sync.
extern "C" __global__ void mma(const bf16* A, const bf16* B, float* C, int k) {
  int group = threadIdx.x >> 2, pair = (threadIdx.x & 3) * 2;
  float c0 = 0, c1 = 0, c2 = 0, c3 = 0;
  for (int at = 0; at < k; at += 16) {
    auto word = [&](const bf16* from, int row, int column) { return *(const uint32_t*)(from + row * k + at + column); };
    uint32_t a0 = word(A, group, pair), a1 = word(A, group + 8, pair), a2 = word(A, group, pair + 8),
             a3 = word(A, group + 8, pair + 8), b0 = word(B, group, pair), b1 = word(B, group, pair + 8);
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
        : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
  }
  C[group * 8 + pair] = c0;
  C[group * 8 + pair + 1] = c1;
  C[(group + 8) * 8 + pair] = c2;
  C[(group + 8) * 8 + pair + 1] = c3;
}

// C[16 x 16] = A[16 x k] B[16 x k]^T by wmma, with factors brought by cp.async.
extern "C" __global__ void wmma_async(const bf16* A, const bf16* B, float* C, int k) {
  using namespace nvcuda;
  __shared__ __align__(128) bf16 sa[256], sb[256];
  wmma::fragment<wmma::matrix_a, 16, 16, 16, bf16, wmma::row_major> a;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, bf16, wmma::col_major> b;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> c;
  wmma::fill_fragment(c, 0.f);
  for (int at = 0; at < k; at += 16) {
    for (int i = threadIdx.x * 8; i < 256; i += 256) {
      uint32_t to = (uint32_t)__cvta_generic_to_shared(sa + i);
      asm volatile("cp.async.cg.shared.global [%0],[%1],16;" ::"r"(to), "l"(A + (i / 16) * k + at + i % 16));
      to = (uint32_t)__cvta_generic_to_shared(sb + i);
      asm volatile("cp.async.cg.shared.global [%0],[%1],16;" ::"r"(to), "l"(B + (i / 16) * k + at + i % 16));
    }
    asm volatile("cp.async.commit_group; cp.async.wait_group 0;");
    __syncthreads();
    wmma::load_matrix_sync(a, sa, 16);
    wmma::load_matrix_sync(b, sb, 16);
    wmma::mma_sync(c, a, b, c);
    __syncthreads();
  }
  wmma::store_matrix_sync(C, c, 16, wmma::mem_row_major);
}

// Where ldmatrix puts the elements of a 16 x 16 matrix: as it is (x4), then the left half transposed (x2).
extern "C" __global__ void ldmatrix(const bf16* A, uint32_t* out) {
  __shared__ __align__(128) bf16 s[256];
  for (int i = threadIdx.x; i < 256; i += 32) s[i] = A[i];
  __syncthreads();
  uint32_t from = (uint32_t)__cvta_generic_to_shared(s + (threadIdx.x % 16) * 16 + (threadIdx.x / 16) * 8);
  uint32_t r0, r1, r2, r3;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3},[%4];"
               : "=r"(r0), "=r"(r1), "=r"(r2), "=r"(r3)
               : "r"(from));
  uint32_t* to = out + threadIdx.x * 4;
  to[0] = r0, to[1] = r1, to[2] = r2, to[3] = r3;
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1},[%2];" : "=r"(r0), "=r"(r1) : "r"(from));
  out[128 + threadIdx.x * 2] = r0;
  out[128 + threadIdx.x * 2 + 1] = r1;
}

__constant__ float nf4[16] = {-1.f,        -0.6961928f, -0.5250731f, -0.3949175f, -0.2844414f, -0.1847734f,
                              -0.0910500f, 0.f,         0.0795803f,  0.1609302f,  0.2461123f,  0.3379152f,
                              0.4407098f,  0.5626170f,  0.7229568f,  1.f};

// Two weights a byte, the upper half first; one scale for 64 weights.
extern "C" __global__ void nf4_dequantise(const uint8_t* codes, const float* scales, bf16* out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i * 2 >= n) return;
  uint8_t code = codes[i];
  float scale = scales[i * 2 / 64];
  ((bf162*)out)[i] = __floats2bfloat162_rn(nf4[code >> 4] * scale, nf4[code & 15] * scale);
}

// AdamW on a bf16 weight with its lower 16 bits beside it, and 8-bit moments in blocks of 256.
extern "C" __global__ void adamw_8bit(bf16* w, int16_t* low, const float* g, uint8_t* m, uint8_t* v, float* ms,
                                      float* vs, const float* code_m, const float* code_v, int n, float rate, float b1,
                                      float b2, float eps, float decay, float c1, float c2) {
  __shared__ float most[2][8];
  int i = blockIdx.x * 256 + threadIdx.x;
  float mean = 0, square = 0;
  if (i < n) {
    mean = b1 * code_m[m[i]] * ms[blockIdx.x] + (1 - b1) * g[i];
    square = b2 * code_v[v[i]] * vs[blockIdx.x] + (1 - b2) * g[i] * g[i];
    uint32_t bits = ((uint32_t)__bfloat16_as_ushort(w[i]) << 16) + (int32_t)low[i];
    float p = __uint_as_float(bits);
    p -= rate * (mean / c1 / (sqrtf(square / c2) + eps) + decay * p);
    bf16 upper = __float2bfloat16_rn(p);
    w[i] = upper;
    low[i] = (int16_t)(__float_as_uint(p) - ((uint32_t)__bfloat16_as_ushort(upper) << 16));
  }
  float am = fabsf(mean), av = square;
  for (int offset = 16; offset; offset >>= 1) {
    am = fmaxf(am, __shfl_xor_sync(~0u, am, offset));
    av = fmaxf(av, __shfl_xor_sync(~0u, av, offset));
  }
  if ((threadIdx.x & 31) == 0) most[0][threadIdx.x >> 5] = am, most[1][threadIdx.x >> 5] = av;
  __syncthreads();
  am = most[0][0], av = most[1][0];
  for (int k = 1; k < 8; k++) am = fmaxf(am, most[0][k]), av = fmaxf(av, most[1][k]);
  if (threadIdx.x == 0) ms[blockIdx.x] = am, vs[blockIdx.x] = av;
  auto nearest = [](const float* code, float q) {
    int lo = 0, hi = 255;
    while (hi - lo > 1) {
      int mid = (lo + hi) / 2;
      if (code[mid] <= q) lo = mid; else hi = mid;
    }
    return q - code[lo] < code[hi] - q ? lo : hi;
  };
  if (i < n) {
    m[i] = nearest(code_m, am > 0 ? mean / am : 0);
    v[i] = nearest(code_v, av > 0 ? square / av : 0);
  }
}

extern "C" __global__ void gelu_backward(const float* x, const float* d, float* out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  float v = x[i];
  out[i] = d[i] * (0.5f * (1 + erff(v * 0.70710678f)) + v * 0.39894228f * expf(-0.5f * v * v));
}

// Vectors of two bf16: gates in the first half, values in the second.
extern "C" __global__ void swiglu(const bf162* x, bf162* out, int n, int half) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  float2 gate = __bfloat1622float2(x[i]), up = __bfloat1622float2(x[i + half]);
  out[i] = __floats2bfloat162_rn(gate.x / (1 + __expf(-gate.x)) * up.x, gate.y / (1 + __expf(-gate.y)) * up.y);
}

extern "C" __global__ void rotate(bf16* q, const float* cosines, const float* sines, const int* places, int heads,
                                  int width, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  int half = width / 2, d = i % half, head = i / half % heads, t = i / half / heads;
  bf16* p = q + ((size_t)t * heads + head) * width;
  float c = cosines[places[t] * half + d], s = sines[places[t] * half + d];
  float a = __bfloat162float(p[d]), b = __bfloat162float(p[d + half]);
  p[d] = __float2bfloat16(a * c - b * s);
  p[d + half] = __float2bfloat16(b * c + a * s);
}

// Philox 4x32-10 (Salmon et al., 2011): four numbers a thread.
__device__ uint4 philox(uint4 c, uint2 key) {
  for (int round = 0; round < 10; round++) {
    uint32_t h0 = __umulhi(0xD2511F53u, c.x), l0 = 0xD2511F53u * c.x;
    uint32_t h1 = __umulhi(0xCD9E8D57u, c.z), l1 = 0xCD9E8D57u * c.z;
    c = make_uint4(h1 ^ c.y ^ key.x, l1, h0 ^ c.w ^ key.y, l0);
    key.x += 0x9E3779B9u;
    key.y += 0xBB67AE85u;
  }
  return c;
}

extern "C" __global__ void dropout(const float* x, float* out, int n, uint32_t key0, uint32_t key1, uint32_t limit,
                                   float scale) {
  int i = (blockIdx.x * blockDim.x + threadIdx.x) * 4;
  if (i + 3 >= n) return;
  uint4 r = philox(make_uint4(i, 0, 0, 0), make_uint2(key0, key1));
  float4 v = *(const float4*)(x + i);
  v.x = r.x >= limit ? v.x * scale : 0;
  v.y = r.y >= limit ? v.y * scale : 0;
  v.z = r.z >= limit ? v.z * scale : 0;
  v.w = r.w >= limit ? v.w * scale : 0;
  *(float4*)(out + i) = v;
}

// Atomics on pairs of bf16.
extern "C" __global__ void embedding_backward(const uint32_t* ids, const bf162* d, bf162* g, int width) {
  atomicAdd(g + (size_t)ids[blockIdx.x] * width + threadIdx.x, d[(size_t)blockIdx.x * width + threadIdx.x]);
}

extern "C" __global__ void to_fp8(const float* x, __nv_fp8_e4m3* out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = __nv_fp8_e4m3(x[i]);
}

// Causal attention over packed texts within a window, one warp a query, softmax as it goes.
extern "C" __global__ void attention(const bf16* q, const bf16* k, const bf16* v, bf16* out, float* lse, const int* ends,
                                     int heads, int groups, int width, float scale, int window) {
  int text = blockIdx.y, h = blockIdx.z, start = ends[text], end = ends[text + 1];
  int t = start + blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  if (t >= end) return;
  int lane = threadIdx.x & 31, first = window > 0 ? max(start, t - window + 1) : start;
  float m = -INFINITY, l = 0, acc[4] = {0, 0, 0, 0};
  for (int j = first; j <= t; j++) {
    size_t key = ((size_t)j * groups + h / (heads / groups)) * width;
    float d = 0;
    for (int c = 0; c * 32 + lane < width; c++)
      d += __bfloat162float(q[((size_t)t * heads + h) * width + c * 32 + lane]) * __bfloat162float(k[key + c * 32 + lane]);
    d = warp_sum(d) * scale;
    float most = fmaxf(m, d), f = exp2f((m - most) * 1.44269504f), p = exp2f((d - most) * 1.44269504f);
    l = l * f + p;
    for (int c = 0; c < 4; c++)
      if (c * 32 + lane < width) acc[c] = acc[c] * f + p * __bfloat162float(v[key + c * 32 + lane]);
    m = most;
  }
  for (int c = 0; c < 4; c++)
    if (c * 32 + lane < width) out[((size_t)t * heads + h) * width + c * 32 + lane] = __float2bfloat16(acc[c] / l);
  if (lane == 0) lse[(size_t)h * ends[gridDim.y] + t] = m + logf(l);
}
