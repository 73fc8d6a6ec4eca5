// Softmax attention by tensor cores, for products in bf16 and heads of 32, 64, 96 or 128 features: what attention.cu
// computes, with queries, keys, values and the gradient of the result rounded to bf16, and so the probabilities and the
// gradients of scores where they are a factor. Scores, softmax and all sums are in f32.
//
// A block of four warps owns 64 rows of one head of one text, 16 for each warp, and goes over the other rows in tiles; a
// tile that none of a warp's rows is related to is passed over. Forward: Milakov and Gimelshein, arXiv 1805.02867;
// backward by the kept log of the sum of exponentials, in two passes, so that each result has one owner and all sums have
// one order: Dao, arXiv 2307.08691.
//
// Activations are f32 in the device's memory. cp.async copies bytes as they are, and so serves for what stays f32 alone,
// the logs of sums and Σ g out. The next tile is read into registers while this one is multiplied, rounded there, and
// written to the other one of two places in shared memory, which takes one barrier a tile. The price is traffic, twice that
// of bf16: a pair of rows of keys and values of d features is 8 d bytes for each block that reads them, n / 64 times in a
// text of n tokens, of which all but the first are likely to come from the second cache. A copy in bf16 would cost 2 bytes
// more for each number, once, and save half of it.
#include "attention.cuh"
#include "tensor.cuh"

constexpr int THREADS = 128, OWN = 64, OF_WARP = 16;
static_assert(THREADS == 2 * OWN && OWN == THREADS / 32 * OF_WARP, "");
constexpr float LOG2_E = 1.4426950408889634f;

// Rows of the tiles that a block goes over, forward and backward: as many as registers are enough for; as in attention.rs.
template <int D>
constexpr int FORWARD_TILE = D <= 64 ? 64 : 32;
template <int D>
constexpr int BACKWARD_TILE = D <= 96 ? 32 : 16;

// The bytes of so many rows.
template <int D, int ROWS>
constexpr int BYTES = ROWS * D * 2;

// 2^x within two units in the last place; 0 for numbers below the normal ones.
__device__ __forceinline__ float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// The column that this lane has first of a tile of 8, and its row of 16, with the 8th after it as the other one.
__device__ __forceinline__ uint32_t own_column() { return (threadIdx.x & 3) * 2; }
__device__ __forceinline__ uint32_t own_row() { return (threadIdx.x & 31) / 4; }

// Some queries or keys that follow each other, the last one among them.
struct Rows {
  uint32_t first, last;
};

// Whether any of the queries sees any of the keys, and whether each sees all.
__device__ __forceinline__ bool any_sees(const Shape &shape, Rows queries, Rows keys) {
  return saturating_add(keys.last, shape.before) >= queries.first && keys.first <= saturating_add(queries.last, shape.after);
}

__device__ __forceinline__ bool all_see(const Shape &shape, Rows queries, Rows keys) {
  return saturating_add(keys.first, shape.before) >= queries.last && keys.last <= saturating_add(queries.first, shape.after);
}

// The mask of dropout within one text: of `index` ((head · len) + query) · len + key. In attention.rs it is seen to that
// these numbers have 32 bits, so that the seed is mixed but once.
struct Mask {
  Dropout dropout;
  u64 seed;
  bool any;
};

__device__ __forceinline__ Mask mask_of(const Dropout &dropout, const Part &of) {
  return {dropout, mix(mix(dropout.seed ^ of.start) ^ mix(0)), drops(dropout)};
}

// Multiplies numbers by the mask: those of rows from `first` on, `down` apart, and of columns `across` apart.
template <int COUNT>
__device__ __forceinline__ void drop(float (&x)[COUNT][4], const Mask &mask, uint32_t first, uint32_t down, uint32_t across) {
  const uint32_t at = first + own_row() * down + own_column() * across;
#pragma unroll
  for (int tile = 0; tile < COUNT; tile++)
#pragma unroll
    for (int part = 0; part < 4; part++)
      x[tile][part] *= factor_of_low_half(mask.dropout, mask.seed, at + part / 2 * 8 * down + (8 * tile + part % 2) * across);
}

// Takes the scores of queries from `query` on with the keys from `key` on that they do not see, or that are no keys of the
// text, from `end` on, out of the softmax.
template <int COUNT>
__device__ __forceinline__ void hide_keys(float (&scores)[COUNT][4], const Shape &shape, uint32_t query, uint32_t key,
                                          uint32_t end) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const uint32_t row = query + own_row() + 8 * half;
    const uint32_t from = row > shape.before ? row - shape.before : 0;
    const uint32_t to = min(end, saturating_add(saturating_add(row, shape.after), 1));
#pragma unroll
    for (int tile = 0; tile < COUNT; tile++)
#pragma unroll
      for (int part = 0; part < 2; part++) {
        const uint32_t column = key + own_column() + 8 * tile + part;
        if (column < from || column >= to) scores[tile][2 * half + part] = -INFINITY;
      }
  }
}

// The same where the rows are keys, from `key` on, and the columns queries, from `query` on. A query that is none adds
// nothing to any sum, as its numbers are zeros.
template <int COUNT>
__device__ __forceinline__ void hide_queries(float (&scores)[COUNT][4], const Shape &shape, uint32_t query, uint32_t key) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const uint32_t row = key + own_row() + 8 * half;
    const uint32_t from = row > shape.after ? row - shape.after : 0, last = saturating_add(row, shape.before);
#pragma unroll
    for (int tile = 0; tile < COUNT; tile++)
#pragma unroll
      for (int part = 0; part < 2; part++) {
        const uint32_t column = query + own_column() + 8 * tile + part;
        if (column < from || column > last) scores[tile][2 * half + part] = -INFINITY;
      }
  }
}

// One step of the softmax: scores become e^(s − most), with the largest score so far, and what is summed already is to be
// multiplied by `correction`. `total` has this lane's part of the sums.
template <int COUNT>
__device__ __forceinline__ void softmax(float (&scores)[COUNT][4], float (&most)[2], float (&total)[2],
                                        float (&correction)[2], float to_power) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    float now = most[half];
#pragma unroll
    for (int tile = 0; tile < COUNT; tile++) now = fmaxf(now, fmaxf(scores[tile][2 * half], scores[tile][2 * half + 1]));
    now = fmaxf(now, __shfl_xor_sync(ALL_LANES, now, 1));
    now = fmaxf(now, __shfl_xor_sync(ALL_LANES, now, 2));
    // A row that has seen no key yet takes nothing off, as ∞ − ∞ is no number.
    const float base = now == -INFINITY ? 0.f : now * to_power;
    correction[half] = power_of_two(fmaf(most[half], to_power, -base));
    most[half] = now;
    float sum = 0.f;
#pragma unroll
    for (int tile = 0; tile < COUNT; tile++)
#pragma unroll
      for (int part = 2 * half; part < 2 * half + 2; part++) {
        scores[tile][part] = power_of_two(fmaf(scores[tile][part], to_power, -base));
        sum += scores[tile][part];
      }
    total[half] = total[half] * correction[half] + sum;
  }
}

// The sum over the four lanes that share a row.
__device__ __forceinline__ float row_sum(float x) {
  x += __shfl_xor_sync(ALL_LANES, x, 1);
  return x + __shfl_xor_sync(ALL_LANES, x, 2);
}

// Writes the rows below `rows` of 16, which are `stride` apart; also rounded, unless that is null.
template <int D>
__device__ __forceinline__ void store(float *to, uint32_t stride, const float (&sums)[D / 8][4], const float (&factor)[2],
                                      uint32_t rows, __nv_bfloat16 *rounded = nullptr) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const uint32_t row = own_row() + 8 * half;
    if (row >= rows) continue;
#pragma unroll
    for (int tile = 0; tile < D / 8; tile++) {
      const float first = sums[tile][2 * half] * factor[half], second = sums[tile][2 * half + 1] * factor[half];
      const u64 at = (u64)row * stride + 8 * tile + own_column();
      *reinterpret_cast<float2 *>(to + at) = make_float2(first, second);
      if (rounded) *reinterpret_cast<uint32_t *>(rounded + at) = pair(first, second);
    }
  }
}

// out [total, query d], also rounded unless that is null, and the log of each row's sum of exponentials into lse
// [query, total].
template <int D>
__device__ __forceinline__ void forward(float *out, __nv_bfloat16 *rounded, float *lse, const float *qkv,
                                        const uint32_t *offsets, const Shape &shape, const Dropout &dropout) {
  constexpr int KEYS = FORWARD_TILE<D>, TILE = BYTES<D, KEYS>;
  // With a causal span the last rows of a text have the most to do: they begin.
  const Part of = part(offsets, gridDim.x - 1 - blockIdx.x, OWN);
  if (of.rows == 0) return;
  const uint32_t head = blockIdx.y, group = shape.query / shape.key_value, warp = threadIdx.x >> 5;
  const uint32_t width = (shape.query + 2 * shape.key_value) * D;
  const float *text = qkv + (u64)of.start * width;
  const float *keys = text + (u64)(shape.query + head / group) * D, *values = keys + (u64)shape.key_value * D;
  const Mask mask = mask_of(dropout, of);
  // The queries go into registers, so that keys and values may take their place.
  constexpr uint32_t tiles = 0;
  bring<D, OWN>(tiles, text + (u64)of.first * width + (u64)head * D, width, of.rows);
  __syncthreads();
  uint32_t own[D / 16][4];
#pragma unroll
  for (int step = 0; step < D / 16; step++) left<D>(own[step], tiles, warp * OF_WARP, step);
  __syncthreads();

  const Range seen = related(of, shape.before, shape.after);
  bring<D, KEYS>(tiles, keys + (u64)seen.from * width, width, seen.to - seen.from);
  bring<D, KEYS>(tiles + TILE, values + (u64)seen.from * width, width, seen.to - seen.from);
  __syncthreads();

  const uint32_t query = of.first + warp * OF_WARP;
  const Rows queries = {query, min(query + OF_WARP, of.len) - 1};
  const float to_power = shape.scale * LOG2_E;
  float sums[D / 8][4] = {}, most[2] = {-INFINITY, -INFINITY}, total[2] = {};
  uint32_t place = 0;
  for (uint32_t from = seen.from; from < seen.to; from += KEYS, place ^= 1) {
    const uint32_t next = from + KEYS;
    const bool more = next < seen.to;
    const uint32_t tile = tiles + place * 2 * TILE, other = tiles + (place ^ 1) * 2 * TILE;
    const Rows of_tile = {from, min(next, seen.to) - 1};
    const bool related = query < of.len && any_sees(shape, queries, of_tile);

    Ahead<D, KEYS> ahead;
    if (more) take(ahead, keys + (u64)next * width, width, seen.to - next);
    float scores[KEYS / 8][4] = {};
    if (related) {
      by_features<D, KEYS>(scores, own, tile);
      if (next > seen.to || !all_see(shape, queries, of_tile)) hide_keys(scores, shape, query, from, seen.to);
    }
    if (more) {
      put(other, ahead);
      take(ahead, values + (u64)next * width, width, seen.to - next);
    }
    if (related) {
      float correction[2];
      softmax(scores, most, total, correction, to_power);
#pragma unroll
      for (int at = 0; at < D / 8; at++)
#pragma unroll
        for (int part = 0; part < 4; part++) sums[at][part] *= correction[part / 2];
      if (mask.any) drop(scores, mask, (head * of.len + query) * of.len + from, of.len, 1);
      by_rows<D, KEYS>(sums, scores, tile + TILE);
    }
    if (more) put(other + TILE, ahead);
    __syncthreads();
  }

  if (query >= of.len) return;
  const uint32_t rows = of.len - query;
  float factor[2];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const float sum = row_sum(total[half]);
    factor[half] = 1.f / sum;
    const uint32_t row = own_row() + 8 * half;
    if (row < rows && own_column() == 0)
      lse[(u64)head * shape.total + of.start + query + row] = most[half] * shape.scale + logf(sum);
  }
  const u64 to = ((u64)(of.start + query) * shape.query + head) * D;
  store<D>(out + to, shape.query * D, sums, factor, rows, rounded ? rounded + to : nullptr);
}

// Σ g out of the rows of a block into shared memory and into delta, for g and out from the first of the rows on. Eight
// threads share a row. g is rounded as it is in the products, so that Σ P ∂P, which this stands for, has the same factors.
template <int D>
__device__ __forceinline__ void put_delta(uint32_t place, float *delta, const float *g, const float *out, uint32_t stride,
                                          uint32_t rows) {
  const uint32_t lane = threadIdx.x % 8;
#pragma unroll 1
  for (uint32_t row = threadIdx.x / 8; row < OWN; row += THREADS / 8) {
    float sum = 0.f;
    if (row < rows) {
      const u64 from = (u64)row * stride + 4 * lane;
#pragma unroll
      for (int at = 0; at < D; at += 32) {
        const float4 a = *reinterpret_cast<const float4 *>(g + from + at);
        const float4 b = *reinterpret_cast<const float4 *>(out + from + at);
        sum += rounded(a.x) * b.x + rounded(a.y) * b.y + rounded(a.z) * b.z + rounded(a.w) * b.w;
      }
    }
    for (int offset = 4; offset > 0; offset >>= 1) sum += __shfl_xor_sync(ALL_LANES, sum, offset);
    if (lane != 0) continue;
    *reinterpret_cast<float *>(shared + place + 4 * row) = sum;
    if (row < rows) delta[row] = sum;
  }
}

// The gradient of queries into their columns of dqkv, and Σ g out of each row and head into delta [query, total].
template <int D>
__device__ __forceinline__ void backward_queries(float *dqkv, const float *qkv, const float *g, const float *out,
                                                 const float *lse, float *delta, const uint32_t *offsets,
                                                 const Shape &shape, const Dropout &dropout) {
  constexpr int KEYS = BACKWARD_TILE<D>, TILE = BYTES<D, KEYS>;
  const Part of = part(offsets, gridDim.x - 1 - blockIdx.x, OWN);
  if (of.rows == 0) return;
  const uint32_t head = blockIdx.y, group = shape.query / shape.key_value, warp = threadIdx.x >> 5;
  const uint32_t width = (shape.query + 2 * shape.key_value) * D, out_width = shape.query * D;
  const float *text = qkv + (u64)of.start * width;
  const float *keys = text + (u64)(shape.query + head / group) * D, *values = keys + (u64)shape.key_value * D;
  const Mask mask = mask_of(dropout, of);
  constexpr uint32_t own_q = 0, own_g = own_q + BYTES<D, OWN>, tiles = own_g + BYTES<D, OWN>;
  const Range seen = related(of, shape.before, shape.after);
  // Of each row of the block the log of the sum, and then Σ g out of each; there are as many threads.
  constexpr uint32_t of_rows = tiles + 4 * TILE;
  const u64 first_number = (u64)head * shape.total + of.start + of.first;
  if (threadIdx.x < OWN)
    begin_copy(of_rows + threadIdx.x * 4, lse + first_number + min(threadIdx.x, of.rows - 1), threadIdx.x < of.rows);
  const u64 first_row = (u64)(of.start + of.first) * out_width + (u64)head * D;
  put_delta<D>(of_rows + 4 * OWN, delta + first_number, g + first_row, out + first_row, out_width, of.rows);
  bring<D, OWN>(own_q, text + (u64)of.first * width + (u64)head * D, width, of.rows);
  bring<D, OWN>(own_g, g + first_row, out_width, of.rows);
  bring<D, KEYS>(tiles, keys + (u64)seen.from * width, width, seen.to - seen.from);
  bring<D, KEYS>(tiles + TILE, values + (u64)seen.from * width, width, seen.to - seen.from);
  wait_for_copies();
  __syncthreads();

  const uint32_t query = of.first + warp * OF_WARP;
  const Rows queries = {query, min(query + OF_WARP, of.len) - 1};
  const float to_power = shape.scale * LOG2_E;
  float sums[D / 8][4] = {};
  uint32_t place = 0;
  for (uint32_t from = seen.from; from < seen.to; from += KEYS, place ^= 1) {
    const uint32_t next = from + KEYS;
    const bool more = next < seen.to;
    const uint32_t tile = tiles + place * 2 * TILE, other = tiles + (place ^ 1) * 2 * TILE;
    const Rows of_tile = {from, min(next, seen.to) - 1};
    const bool related = query < of.len && any_sees(shape, queries, of_tile);

    Ahead<D, KEYS> ahead;
    if (more) take(ahead, keys + (u64)next * width, width, seen.to - next);
    float p[KEYS / 8][4] = {}, ds[KEYS / 8][4] = {};
    if (related) {
      by_features<D, KEYS>(p, own_q, warp * OF_WARP, tile);
      if (next > seen.to || !all_see(shape, queries, of_tile)) hide_keys(p, shape, query, from, seen.to);
    }
    if (more) {
      put(other, ahead);
      take(ahead, values + (u64)next * width, width, seen.to - next);
    }
    if (related) {
      by_features<D, KEYS>(ds, own_g, warp * OF_WARP, tile + TILE);
      if (mask.any) drop(ds, mask, (head * of.len + query) * of.len + from, of.len, 1);
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const float *numbers = reinterpret_cast<const float *>(shared + of_rows) + warp * OF_WARP + own_row() + 8 * half;
        const float log_sum = numbers[0] * LOG2_E, mean = numbers[OWN];
#pragma unroll
        for (int at = 0; at < KEYS / 8; at++)
#pragma unroll
          for (int part = 2 * half; part < 2 * half + 2; part++) {
            const float probability = power_of_two(fmaf(p[at][part], to_power, -log_sum));
            ds[at][part] = probability * (ds[at][part] - mean);
          }
      }
      by_rows<D, KEYS>(sums, ds, tile);
    }
    if (more) put(other + TILE, ahead);
    __syncthreads();
  }

  if (query >= of.len) return;
  const float factor[2] = {shape.scale, shape.scale};
  store<D>(dqkv + (u64)(of.start + query) * width + (u64)head * D, width, sums, factor, of.len - query);
}

// The gradients of keys and values into their columns of dqkv, over all heads of queries that share them.
template <int D>
__device__ __forceinline__ void backward_keys(float *dqkv, const float *qkv, const float *g, const float *lse,
                                              const float *delta, const uint32_t *offsets, const Shape &shape,
                                              const Dropout &dropout) {
  constexpr int QUERIES = BACKWARD_TILE<D>, TILE = BYTES<D, QUERIES>;
  const Part of = part(offsets, blockIdx.x, OWN);
  if (of.rows == 0) return;
  const uint32_t key_head = blockIdx.y, group = shape.query / shape.key_value, warp = threadIdx.x >> 5;
  const uint32_t width = (shape.query + 2 * shape.key_value) * D, out_width = shape.query * D;
  const u64 of_keys = (u64)(shape.query + key_head) * D, of_values = of_keys + (u64)shape.key_value * D;
  const float *text = qkv + (u64)of.start * width, *text_g = g + (u64)of.start * out_width;
  const Mask mask = mask_of(dropout, of);
  constexpr uint32_t own_k = 0, own_v = own_k + BYTES<D, OWN>, tiles = own_v + BYTES<D, OWN>;
  const Range seen = related(of, shape.after, shape.before);
  // Of each row of the two tiles the log of the sum, and Σ g out: these are f32 here as there, and so they are copied while
  // the tile before is worked on.
  const auto begin_numbers = [&](uint32_t place, uint32_t head, uint32_t from) {
    if (threadIdx.x < 2 * QUERIES) {
      const uint32_t query = from + threadIdx.x % QUERIES;
      const float *numbers = threadIdx.x < QUERIES ? lse : delta;
      const uint32_t to = tiles + 4 * TILE + (place * 2 * QUERIES + threadIdx.x) * 4;
      begin_copy(to, numbers + (u64)head * shape.total + of.start + min(query, of.len - 1), query < seen.to);
    }
  };
  uint32_t head = key_head * group, from = seen.from;
  bring<D, OWN>(own_k, text + (u64)of.first * width + of_keys, width, of.rows);
  bring<D, OWN>(own_v, text + (u64)of.first * width + of_values, width, of.rows);
  bring<D, QUERIES>(tiles, text + (u64)from * width + (u64)head * D, width, seen.to - from);
  bring<D, QUERIES>(tiles + TILE, text_g + (u64)from * out_width + (u64)head * D, out_width, seen.to - from);
  begin_numbers(0, head, from);
  wait_for_copies();
  __syncthreads();

  const uint32_t key = of.first + warp * OF_WARP;
  const Rows keys = {key, min(key + OF_WARP, of.len) - 1};
  const float to_power = shape.scale * LOG2_E;
  float to_k[D / 8][4] = {}, to_v[D / 8][4] = {};
  uint32_t place = 0;
  for (bool more = true; more; place ^= 1) {
    const bool same_head = from + QUERIES < seen.to;
    const uint32_t next = same_head ? from + QUERIES : seen.from, next_head = same_head ? head : head + 1;
    more = next_head < (key_head + 1) * group;
    const uint32_t tile = tiles + place * 2 * TILE, other = tiles + (place ^ 1) * 2 * TILE;
    const float *logs = reinterpret_cast<const float *>(shared + tiles + 4 * TILE) + place * 2 * QUERIES;
    const float *means = logs + QUERIES;
    const Rows of_tile = {from, min(from + QUERIES, seen.to) - 1};
    const bool related = key < of.len && any_sees(shape, of_tile, keys);

    Ahead<D, QUERIES> ahead;
    if (more) {
      take(ahead, text + (u64)next * width + (u64)next_head * D, width, seen.to - next);
      begin_numbers(place ^ 1, next_head, next);
    }
    float p[QUERIES / 8][4] = {}, ds[QUERIES / 8][4] = {};
    if (related) {
      by_features<D, QUERIES>(p, own_k, warp * OF_WARP, tile);
      if (!all_see(shape, of_tile, keys)) hide_queries(p, shape, from, key);
    }
    if (more) put(other, ahead);
    if (related) {
      by_features<D, QUERIES>(ds, own_v, warp * OF_WARP, tile + TILE);
      const uint32_t first = (head * of.len + from) * of.len + key;
      if (mask.any) drop(ds, mask, first, 1, of.len);
#pragma unroll
      for (int at = 0; at < QUERIES / 8; at++) {
        const float2 log_sum = *reinterpret_cast<const float2 *>(logs + 8 * at + own_column());
        const float2 mean = *reinterpret_cast<const float2 *>(means + 8 * at + own_column());
#pragma unroll
        for (int part = 0; part < 4; part++) {
          p[at][part] = power_of_two(fmaf(p[at][part], to_power, -LOG2_E * (part % 2 ? log_sum.y : log_sum.x)));
          ds[at][part] = p[at][part] * (ds[at][part] - (part % 2 ? mean.y : mean.x));
        }
      }
      if (mask.any) drop(p, mask, first, 1, of.len);
    }
    // Not earlier, as there are no registers for it beside both products.
    if (more) take(ahead, text_g + (u64)next * out_width + (u64)next_head * D, out_width, seen.to - next);
    if (related) {
      by_rows<D, QUERIES>(to_v, p, tile + TILE);
      by_rows<D, QUERIES>(to_k, ds, tile);
    }
    if (more) put(other + TILE, ahead);
    head = next_head;
    from = next;
    wait_for_copies();
    __syncthreads();
  }

  if (key >= of.len) return;
  float *to = dqkv + (u64)(of.start + key) * width;
  const float scale[2] = {shape.scale, shape.scale}, one[2] = {1.f, 1.f};
  store<D>(to + of_keys, width, to_k, scale, of.len - key);
  store<D>(to + of_values, width, to_v, one, of.len - key);
}

// For heads of D features; how many blocks are to fit into a multiprocessor's registers, for each of the three.
#define ATTENTION(D, FORWARD, QUERIES, KEYS)                                                                                 \
  extern "C" __global__ void __launch_bounds__(THREADS, FORWARD) attention_forward_bf16_##D(                                 \
      float *out, __nv_bfloat16 *rounded, float *lse, const float *qkv, const uint32_t *offsets, Shape shape,                \
      Dropout dropout) {                                                                                                     \
    forward<D>(out, rounded, lse, qkv, offsets, shape, dropout);                                                             \
  }                                                                                                                          \
  extern "C" __global__ void __launch_bounds__(THREADS, QUERIES) attention_backward_queries_bf16_##D(                        \
      float *dqkv, const float *qkv, const float *g, const float *out, const float *lse, float *delta,                       \
      const uint32_t *offsets, Shape shape, Dropout dropout) {                                                               \
    backward_queries<D>(dqkv, qkv, g, out, lse, delta, offsets, shape, dropout);                                             \
  }                                                                                                                          \
  extern "C" __global__ void __launch_bounds__(THREADS, KEYS) attention_backward_keys_bf16_##D(                              \
      float *dqkv, const float *qkv, const float *g, const float *lse, const float *delta, const uint32_t *offsets,          \
      Shape shape, Dropout dropout) {                                                                                        \
    backward_keys<D>(dqkv, qkv, g, lse, delta, offsets, shape, dropout);                                                     \
  }

ATTENTION(32, 4, 4, 3)
ATTENTION(64, 3, 3, 3)
ATTENTION(96, 3, 2, 2)
ATTENTION(128, 2, 3, 2)
