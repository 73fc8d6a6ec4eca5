// Softmax attention within each text of a packed batch, forward and backward, with no scores in the device's memory.
//
// A block owns 16 rows of one head of one text, four for each of its four warps, and goes over the other rows in tiles of
// 32 that lie in shared memory: each lane computes the scores of one row of the tile, and then each lane holds every 32nd
// feature of the results. Forward: Milakov and Gimelshein, arXiv 1805.02867; backward by the kept log of the sum of
// exponentials, in two passes, so that each result has one owner and all sums have one order: Dao, arXiv 2307.08691.
#include "attention.cuh"

constexpr int WARPS = 4, ROWS = 4, OWN = WARPS * ROWS, TILE = 32;

// `count` rows of d features into shared memory, each `pitch` after the one before it, and zeros in their place past `rows`.
__device__ __forceinline__ void load(float *to, uint32_t pitch, const float *from, u64 stride, uint32_t count, uint32_t rows,
                                     uint32_t d) {
  for (uint32_t at = threadIdx.x; at < count * d; at += blockDim.x) {
    const uint32_t row = at / d, feature = at % d;
    to[row * pitch + feature] = row < rows ? from[row * stride + feature] : 0.f;
  }
}

// Scores of this warp's rows with the row of the tile that this lane has.
__device__ __forceinline__ void dots(float (&scores)[ROWS], const float *own, const float *tile, uint32_t d) {
  const uint32_t lane = threadIdx.x & 31, warp = threadIdx.x >> 5, pitch = d + 1;
  for (int row = 0; row < ROWS; row++) scores[row] = 0.f;
  for (uint32_t feature = 0; feature < d; feature++) {
    const float other = tile[lane * pitch + feature];
    for (int row = 0; row < ROWS; row++) scores[row] += own[(warp * ROWS + row) * d + feature] * other;
  }
}

// sums += weight of each row of the tile times the row; the weight of row n is in lane n.
template <int DC>
__device__ __forceinline__ void add_weighted(float (&sums)[DC], float weight, const float *tile, uint32_t d) {
  const uint32_t lane = threadIdx.x & 31, pitch = d + 1;
  for (int row = 0; row < TILE; row++) {
    const float of_row = __shfl_sync(ALL_LANES, weight, row);
#pragma unroll
    for (int chunk = 0; chunk < DC; chunk++) {
      const uint32_t feature = lane + 32 * chunk;
      if (feature < d) sums[chunk] += of_row * tile[row * pitch + feature];
    }
  }
}

template <int DC>
__device__ __forceinline__ void store(float *to, const float (&sums)[DC], float factor, uint32_t d) {
#pragma unroll
  for (int chunk = 0; chunk < DC; chunk++) {
    const uint32_t feature = (threadIdx.x & 31) + 32 * chunk;
    if (feature < d) to[feature] = sums[chunk] * factor;
  }
}

// out [total, query d], and the log of each row's sum of exponentials into lse [query, total].
template <int DC>
__device__ __forceinline__ void forward(float *out, float *lse, const float *qkv, const uint32_t *offsets, const Shape &shape,
                                        Dropout dropout) {
  extern __shared__ float shared[];
  const Part of = part(offsets, blockIdx.x, OWN);
  if (of.rows == 0) return;
  const uint32_t d = shape.d, pitch = d + 1, head = blockIdx.y, group = shape.query / shape.key_value;
  const uint32_t lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  const u64 width = (u64)(shape.query + 2 * shape.key_value) * d;
  const float *text = qkv + of.start * width;
  const float *keys = text + (u64)(shape.query + head / group) * d, *values = keys + (u64)shape.key_value * d;
  float *own = shared, *tile_k = own + OWN * d, *tile_v = tile_k + TILE * pitch;
  dropout.seed = mix(dropout.seed ^ of.start);
  load(own, d, text + of.first * width + (u64)head * d, width, OWN, of.rows, d);

  float sums[ROWS][DC] = {}, most[ROWS], total[ROWS] = {};
  for (int row = 0; row < ROWS; row++) most[row] = -INFINITY;
  const Range seen = related(of, shape.before, shape.after);
  for (uint32_t from = seen.from; from < seen.to; from += TILE) {
    __syncthreads();
    const uint32_t rows = min((uint32_t)TILE, seen.to - from);
    load(tile_k, pitch, keys + from * width, width, TILE, rows, d);
    load(tile_v, pitch, values + from * width, width, TILE, rows, d);
    __syncthreads();
    float scores[ROWS];
    dots(scores, own, tile_k, d);
    const uint32_t key = from + lane;
#pragma unroll
    for (int row = 0; row < ROWS; row++) {
      const uint32_t query = of.first + warp * ROWS + row;
      const bool visible = key < of.len && query < of.len && sees(shape, query, key);
      const float score = visible ? scores[row] * shape.scale : -INFINITY;
      const float now = fmaxf(most[row], warp_max(score));
      const float p = visible ? expf(score - now) : 0.f;
      const float correction = most[row] == -INFINITY ? 0.f : expf(most[row] - now);
      most[row] = now;
      total[row] = total[row] * correction + warp_sum(p);
      for (int chunk = 0; chunk < DC; chunk++) sums[row][chunk] *= correction;
      const float mask = dropout_factor(dropout, ((u64)head * of.len + query) * of.len + key);
      add_weighted(sums[row], p * mask, tile_v, d);
    }
  }
  for (int row = 0; row < ROWS; row++) {
    const uint32_t query = of.first + warp * ROWS + row;
    if (query >= of.len) continue;
    store(out + ((u64)(of.start + query) * shape.query + head) * d, sums[row], 1.f / total[row], d);
    if (lane == 0) lse[(u64)head * shape.total + of.start + query] = most[row] + logf(total[row]);
  }
}

// The gradient of queries into their columns of dqkv, with Σ g out of each row and head in delta [query, total].
template <int DC>
__device__ __forceinline__ void backward_queries(float *dqkv, const float *qkv, const float *g, const float *lse,
                                                 const float *delta, const uint32_t *offsets, const Shape &shape,
                                                 Dropout dropout) {
  extern __shared__ float shared[];
  const Part of = part(offsets, blockIdx.x, OWN);
  if (of.rows == 0) return;
  const uint32_t d = shape.d, pitch = d + 1, head = blockIdx.y, group = shape.query / shape.key_value;
  const uint32_t lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  const u64 width = (u64)(shape.query + 2 * shape.key_value) * d, out_width = (u64)shape.query * d;
  const float *text = qkv + of.start * width;
  const float *keys = text + (u64)(shape.query + head / group) * d, *values = keys + (u64)shape.key_value * d;
  float *own_q = shared, *own_g = own_q + OWN * d, *tile_k = own_g + OWN * d, *tile_v = tile_k + TILE * pitch;
  dropout.seed = mix(dropout.seed ^ of.start);
  load(own_q, d, text + of.first * width + (u64)head * d, width, OWN, of.rows, d);
  load(own_g, d, g + (of.start + of.first) * out_width + (u64)head * d, out_width, OWN, of.rows, d);

  float sums[ROWS][DC] = {};
  const Range seen = related(of, shape.before, shape.after);
  for (uint32_t from = seen.from; from < seen.to; from += TILE) {
    __syncthreads();
    const uint32_t rows = min((uint32_t)TILE, seen.to - from);
    load(tile_k, pitch, keys + from * width, width, TILE, rows, d);
    load(tile_v, pitch, values + from * width, width, TILE, rows, d);
    __syncthreads();
    float scores[ROWS], to_p[ROWS];
    dots(scores, own_q, tile_k, d);
    dots(to_p, own_g, tile_v, d);
    const uint32_t key = from + lane;
#pragma unroll
    for (int row = 0; row < ROWS; row++) {
      const uint32_t query = of.first + warp * ROWS + row;
      float ds = 0.f;
      if (key < of.len && query < of.len && sees(shape, query, key)) {
        const u64 place = (u64)head * shape.total + of.start + query;
        const float p = expf(scores[row] * shape.scale - lse[place]);
        const float mask = dropout_factor(dropout, ((u64)head * of.len + query) * of.len + key);
        ds = p * (mask * to_p[row] - delta[place]);
      }
      add_weighted(sums[row], ds, tile_k, d);
    }
  }
  for (int row = 0; row < ROWS; row++) {
    const uint32_t query = of.first + warp * ROWS + row;
    if (query < of.len) store(dqkv + (of.start + query) * width + (u64)head * d, sums[row], shape.scale, d);
  }
}

// The gradients of keys and values into their columns of dqkv, over all heads of queries that share them.
template <int DC>
__device__ __forceinline__ void backward_keys(float *dqkv, const float *qkv, const float *g, const float *lse,
                                              const float *delta, const uint32_t *offsets, const Shape &shape,
                                              Dropout dropout) {
  extern __shared__ float shared[];
  const Part of = part(offsets, blockIdx.x, OWN);
  if (of.rows == 0) return;
  const uint32_t d = shape.d, pitch = d + 1, key_head = blockIdx.y, group = shape.query / shape.key_value;
  const uint32_t lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  const u64 width = (u64)(shape.query + 2 * shape.key_value) * d, out_width = (u64)shape.query * d;
  const u64 of_keys = (u64)(shape.query + key_head) * d, of_values = of_keys + (u64)shape.key_value * d;
  const float *text = qkv + of.start * width;
  float *own_k = shared, *own_v = own_k + OWN * d, *tile_q = own_v + OWN * d, *tile_g = tile_q + TILE * pitch;
  dropout.seed = mix(dropout.seed ^ of.start);
  load(own_k, d, text + of.first * width + of_keys, width, OWN, of.rows, d);
  load(own_v, d, text + of.first * width + of_values, width, OWN, of.rows, d);

  float to_k[ROWS][DC] = {}, to_v[ROWS][DC] = {};
  const Range seen = related(of, shape.after, shape.before);
  for (uint32_t head = key_head * group; head < (key_head + 1) * group; head++) {
    for (uint32_t from = seen.from; from < seen.to; from += TILE) {
      __syncthreads();
      const uint32_t rows = min((uint32_t)TILE, seen.to - from);
      load(tile_q, pitch, text + from * width + (u64)head * d, width, TILE, rows, d);
      load(tile_g, pitch, g + (of.start + from) * out_width + (u64)head * d, out_width, TILE, rows, d);
      __syncthreads();
      float scores[ROWS], to_p[ROWS];
      dots(scores, own_k, tile_q, d);
      dots(to_p, own_v, tile_g, d);
      const uint32_t query = from + lane;
#pragma unroll
      for (int row = 0; row < ROWS; row++) {
        const uint32_t key = of.first + warp * ROWS + row;
        float dropped = 0.f, ds = 0.f;
        if (key < of.len && query < of.len && sees(shape, query, key)) {
          const u64 place = (u64)head * shape.total + of.start + query;
          const float p = expf(scores[row] * shape.scale - lse[place]);
          const float mask = dropout_factor(dropout, ((u64)head * of.len + query) * of.len + key);
          dropped = p * mask;
          ds = p * (mask * to_p[row] - delta[place]);
        }
        add_weighted(to_v[row], dropped, tile_g, d);
        add_weighted(to_k[row], ds, tile_q, d);
      }
    }
  }
  for (int row = 0; row < ROWS; row++) {
    const uint32_t key = of.first + warp * ROWS + row;
    if (key >= of.len) continue;
    float *to = dqkv + (of.start + key) * width;
    store(to + of_keys, to_k[row], shape.scale, d);
    store(to + of_values, to_v[row], 1.f, d);
  }
}

// Σ g out of each row and head into delta [query, total], a warp for each.
extern "C" __global__ void attention_delta(float *delta, const float *g, const float *out, uint32_t total, uint32_t query,
                                           uint32_t d) {
  const u64 number = thread_number() / 32;
  if (number >= (u64)total * query) return;
  const u64 row = number / query, head = number % query, from = number * d;
  float sum = 0.f;
  for (uint32_t feature = threadIdx.x & 31; feature < d; feature += 32) sum += g[from + feature] * out[from + feature];
  sum = warp_sum(sum);
  if ((threadIdx.x & 31) == 0) delta[head * total + row] = sum;
}

// For heads of up to `DC` times 32 features.
#define ATTENTION(FEATURES, DC)                                                                                              \
  extern "C" __global__ void __launch_bounds__(128) attention_forward_##FEATURES(                                            \
      float *out, float *lse, const float *qkv, const uint32_t *offsets, Shape shape, Dropout dropout) {                     \
    forward<DC>(out, lse, qkv, offsets, shape, dropout);                                                                     \
  }                                                                                                                          \
  extern "C" __global__ void __launch_bounds__(128) attention_backward_queries_##FEATURES(                                   \
      float *dqkv, const float *qkv, const float *g, const float *lse, const float *delta, const uint32_t *offsets,          \
      Shape shape, Dropout dropout) {                                                                                        \
    backward_queries<DC>(dqkv, qkv, g, lse, delta, offsets, shape, dropout);                                                 \
  }                                                                                                                          \
  extern "C" __global__ void __launch_bounds__(128, 3) attention_backward_keys_##FEATURES(                                   \
      float *dqkv, const float *qkv, const float *g, const float *lse, const float *delta, const uint32_t *offsets,          \
      Shape shape, Dropout dropout) {                                                                                        \
    backward_keys<DC>(dqkv, qkv, g, lse, delta, offsets, shape, dropout);                                                    \
  }

ATTENTION(32, 1)
ATTENTION(64, 2)
ATTENTION(96, 3)
ATTENTION(128, 4)
ATTENTION(256, 8)
