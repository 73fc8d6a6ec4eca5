// Products with a weight in NF4 or int8 by tensor cores: out = s x wᵀ, or turned out = s x w, or added to what is there. The
// weight is never written out: a block reads the codes of a tile, makes numbers of them, rounds these to bf16, and has them
// in shared memory alone. x is in bf16, sums are in f32. Each number of the result has one owner, which sums in one order.
//
// A block of eight warps makes 128 × 128 numbers of the result, 64 × 32 a warp, in steps of 32 along the sums. x comes by
// cp.async, two steps ahead, to one of three places. Codes are read into registers a step ahead of what they are written
// out for, to one of two places: a step has one barrier. Blocks that share columns of the result follow each other, so that
// they read their codes from the second cache, and decode them once for each 128 rows of x. mma.sync rather than newer
// cards' own instructions, so that one kernel runs on every card since Ampere.
//
// Sizes are as tiles.rs sees to: rows of the weight are a multiple of 8, so that a row of x has whole chunks turned, too,
// and columns are a multiple of 64, so that a row has whole blocks of NF4. Rows of x can be any number.
#include "tensor.cuh"

constexpr int THREADS = 256, ROWS = 128, COLUMNS = 128, DEPTH = 32;
constexpr int WARP_ROWS = 64, WARP_COLUMNS = 32;
static_assert(ROWS / WARP_ROWS * (COLUMNS / WARP_COLUMNS) * 32 == THREADS, "");
// Numbers of the weight that a thread makes at a step: of one row, and in NF4 of one block.
constexpr int TAKEN = 16;
static_assert(THREADS * TAKEN == COLUMNS * DEPTH, "");

// Shared memory: three tiles of x, two of the weight, and tables of its code. As in tiles.rs.
constexpr uint32_t X_TILE = ROWS * DEPTH * 2, W_TILE = COLUMNS * DEPTH * 2;
constexpr uint32_t X_PLACES = 3, W_PLACES = 2;
constexpr uint32_t W_TILES = X_PLACES * X_TILE, TABLES = W_TILES + W_PLACES * W_TILE;

// A product: x [n, depth], out [n, columns], of a weight [rows, cols].
struct Product {
  float *out;
  u64 out_stride;
  const __nv_bfloat16 *x;
  u64 x_stride;
  uint32_t n, rows, cols;
  float scale;
  uint32_t add;
};

// NF4 with double quantisation, as read_nf4 in held.cu has it.
struct Nf4 {
  const uint8_t *codes, *scales;
  const float *scales_of_scales, *book;
  float mean;

  // What is read of 16 numbers, and their scale still in its code.
  struct Ahead {
    uint2 codes;
    uint32_t scale;
    float of_scale;
  };

  // The 16 numbers of the code lie in 16 banks, so that whatever lanes look up there they do not wait for each other.
  static __device__ __forceinline__ const float *table() { return reinterpret_cast<const float *>(shared + TABLES); }

  __device__ __forceinline__ void prepare() const {
    float *table = reinterpret_cast<float *>(shared + TABLES);
    for (uint32_t at = threadIdx.x; at < 16 + 256; at += THREADS) table[at] = book[at];
  }

  // Begins to read 16 numbers from number `at` on, a multiple of 16; zeros, whose code is 7, where they are not `wanted`.
  __device__ __forceinline__ void take(Ahead &ahead, uint32_t, u64 at, bool wanted) const {
    ahead = {make_uint2(0x77777777u, 0x77777777u), 0u, 0.f};
    if (!wanted) return;
    ahead.codes = *reinterpret_cast<const uint2 *>(codes + at / 2);
    ahead.scale = scales[at / 64];
    ahead.of_scale = scales_of_scales[at / (64 * 256)];
  }

  // The numbers in f32, as read_nf4 makes them.
  __device__ __forceinline__ void read(float (&to)[TAKEN], const Ahead &ahead) const {
    const float scale = __fadd_rn(__fmul_rn(table()[16 + ahead.scale], ahead.of_scale), mean);
#pragma unroll
    for (int at = 0; at < TAKEN; at++) {
      const uint32_t eight = at < 8 ? ahead.codes.x : ahead.codes.y;
      // Two codes a byte, the first in the upper half.
      const int shift = at % 8 / 2 * 8 + (at % 2 ? 0 : 4);
      to[at] = table()[eight >> shift & 15] * scale;
    }
  }
};

// Int8 by rows, as read_int8 in held.cu has it.
struct Int8 {
  const uint8_t *codes;
  const float *largest;

  struct Ahead {
    uint4 codes;
    float largest;
  };

  __device__ __forceinline__ void prepare() const {}

  __device__ __forceinline__ void take(Ahead &ahead, uint32_t row, u64 at, bool wanted) const {
    ahead = {make_uint4(0u, 0u, 0u, 0u), 0.f};
    if (!wanted) return;
    ahead.codes = *reinterpret_cast<const uint4 *>(codes + at);
    ahead.largest = largest[row];
  }

  __device__ __forceinline__ void read(float (&to)[TAKEN], const Ahead &ahead) const {
    const float scale = ahead.largest / 127.f;
    const uint32_t words[4] = {ahead.codes.x, ahead.codes.y, ahead.codes.z, ahead.codes.w};
#pragma unroll
    for (int at = 0; at < TAKEN; at++) {
      // A code and 128 are the last byte of the number 2²³ + code + 128, which takes no conversion of integers.
      const uint32_t bits = __byte_perm(words[at / 4] ^ 0x80808080u, 0x4b000000u, 0x7440 | at % 4);
      to[at] = (__uint_as_float(bits) - 8388736.f) * scale;
    }
  }
};

// What a thread takes of each tile of a weight: 16 numbers from here on. A tile lies as the weight does: [128, 32], or
// turned [32, 128]. Of what a quarter of a warp writes at once, chunks are in unlike banks.
template <bool TURNED>
__device__ __forceinline__ uint32_t taken_row_of_tile() {
  const uint32_t lane = threadIdx.x & 31;
  return TURNED ? threadIdx.x / 32 * 4 + lane / 16 * 2 + (lane >> 2 & 1) : threadIdx.x / 2;
}

template <bool TURNED>
__device__ __forceinline__ uint32_t taken_part_of_row() {
  const uint32_t lane = threadIdx.x & 31;
  return TURNED ? (lane & 3) | (lane >> 1 & 4) : lane & 1;
}

template <class Weight, bool TURNED>
__device__ __forceinline__ void put_weight(uint32_t tile, const Weight &weight, const typename Weight::Ahead &ahead) {
  constexpr int WIDTH = TURNED ? COLUMNS : DEPTH;
  float numbers[TAKEN];
  weight.read(numbers, ahead);
  const uint32_t row = taken_row_of_tile<TURNED>(), chunk = 2 * taken_part_of_row<TURNED>();
#pragma unroll
  for (int at = 0; at < 2; at++) {
    const float *eight = numbers + 8 * at;
    *reinterpret_cast<uint4 *>(shared + tile + place<WIDTH>(row, chunk + at)) =
        make_uint4(pair(eight[0], eight[1]), pair(eight[2], eight[3]), pair(eight[4], eight[5]), pair(eight[6], eight[7]));
  }
}

// sums [64, 32] of this warp += rows of a tile of x times a tile of the weight.
template <bool TURNED>
__device__ __forceinline__ void multiply_tiles(float (&sums)[WARP_ROWS / 16][WARP_COLUMNS / 8][4], uint32_t x, uint32_t w,
                                               uint32_t row, uint32_t column) {
#pragma unroll
  for (int step = 0; step < DEPTH / 16; step++) {
    uint32_t a[WARP_ROWS / 16][4];
#pragma unroll
    for (int at = 0; at < WARP_ROWS / 16; at++) left<DEPTH>(a[at], x, row + 16 * at, step);
#pragma unroll
    for (int at = 0; at < WARP_COLUMNS / 16; at++) {
      uint32_t b[4];
      if (TURNED)
        right_over_rows<COLUMNS>(b, w, 16 * step, column / 16 + at);
      else
        right<DEPTH>(b, w, column + 16 * at, step);
#pragma unroll
      for (int below = 0; below < WARP_ROWS / 16; below++) {
        multiply(sums[below][2 * at], a[below], b[0], b[1]);
        multiply(sums[below][2 * at + 1], a[below], b[2], b[3]);
      }
    }
  }
}

// Writes the sums of a block that are of the result. Two columns are written at once where the result lies so that they can.
__device__ __forceinline__ void write(const Product &of, const float (&sums)[WARP_ROWS / 16][WARP_COLUMNS / 8][4],
                                      uint32_t first_row, uint32_t first_column, uint32_t columns) {
  const uint32_t lane = threadIdx.x & 31;
  const bool in_pairs = (reinterpret_cast<u64>(of.out) | of.out_stride * 4) % 8 == 0;
#pragma unroll
  for (int below = 0; below < WARP_ROWS / 16; below++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const uint32_t row = first_row + 16 * below + lane / 4 + 8 * half;
      if (row >= of.n) continue;
      float *to = of.out + (u64)row * of.out_stride;
#pragma unroll
      for (int at = 0; at < WARP_COLUMNS / 8; at++) {
        const uint32_t column = first_column + 8 * at + lane % 4 * 2;
        // Columns are a multiple of 8, so that the one after it is none of the result's either.
        if (column >= columns) continue;
        float2 two = make_float2(of.scale * sums[below][at][2 * half], of.scale * sums[below][at][2 * half + 1]);
        if (in_pairs) {
          float2 *both = reinterpret_cast<float2 *>(to + column);
          if (of.add) two = make_float2(both->x + two.x, both->y + two.y);
          *both = two;
        } else {
          to[column] = of.add ? to[column] + two.x : two.x;
          to[column + 1] = of.add ? to[column + 1] + two.y : two.y;
        }
      }
    }
}

template <class Weight, bool TURNED>
__device__ __forceinline__ void product(const Product &of, const Weight &weight) {
  const uint32_t depth = TURNED ? of.rows : of.cols, columns = TURNED ? of.cols : of.rows;
  const uint32_t first_row = blockIdx.x * ROWS, first_column = blockIdx.y * COLUMNS;
  const uint32_t steps = (depth + DEPTH - 1) / DEPTH;

  const auto begin_x = [&](uint32_t place_of, uint32_t step) {
    const uint32_t row = threadIdx.x / 4, chunk = threadIdx.x % 4, from = step * DEPTH + chunk * 8;
#pragma unroll
    for (uint32_t at = 0; at < ROWS; at += THREADS / 4) {
      const bool wanted = first_row + row + at < of.n && from < depth;
      const __nv_bfloat16 *eight = of.x + (wanted ? (u64)(first_row + row + at) * of.x_stride + from : 0);
      begin_copy_of_chunk(place_of * X_TILE + place<DEPTH>(row + at, chunk), eight, wanted);
    }
  };
  const auto take_weight = [&](typename Weight::Ahead &ahead, uint32_t step) {
    const uint32_t row = (TURNED ? step * DEPTH : first_column) + taken_row_of_tile<TURNED>();
    const uint32_t column = (TURNED ? first_column : step * DEPTH) + taken_part_of_row<TURNED>() * TAKEN;
    weight.take(ahead, row, (u64)row * of.cols + column, row < of.rows && column < of.cols);
  };

  typename Weight::Ahead ahead;
  take_weight(ahead, 0);
  begin_x(0, 0);
  end_group();
  if (steps > 1) begin_x(1, 1);
  end_group();
  weight.prepare();
  __syncthreads();
  put_weight<Weight, TURNED>(W_TILES, weight, ahead);
  if (steps > 1) take_weight(ahead, 1);

  const uint32_t warp = threadIdx.x / 32;
  const uint32_t row = warp % (ROWS / WARP_ROWS) * WARP_ROWS, column = warp / (ROWS / WARP_ROWS) * WARP_COLUMNS;
  float sums[WARP_ROWS / 16][WARP_COLUMNS / 8][4] = {};
  uint32_t x_now = 0, w_now = 0;
  for (uint32_t step = 0; step < steps; step++) {
    // What this step reads has come, and all warps are done with what the step before has read.
    wait_for_groups<1>();
    __syncthreads();
    const uint32_t x_free = x_now == 0 ? X_PLACES - 1 : x_now - 1;
    if (step + 2 < steps) begin_x(x_free, step + 2);
    end_group();
    if (step + 1 < steps) put_weight<Weight, TURNED>(W_TILES + (w_now ^ 1) * W_TILE, weight, ahead);
    if (step + 2 < steps) take_weight(ahead, step + 2);
    multiply_tiles<TURNED>(sums, x_now * X_TILE, W_TILES + w_now * W_TILE, row, column);
    x_now = x_now == X_PLACES - 1 ? 0 : x_now + 1;
    w_now ^= 1;
  }
  write(of, sums, first_row + row, first_column + column, columns);
}

#define PRODUCTS(NAME, TURNED)                                                                                               \
  extern "C" __global__ void __launch_bounds__(THREADS, 2) product_nf4##NAME(                                                \
      float *out, u64 out_stride, const __nv_bfloat16 *x, u64 x_stride, uint32_t n, uint32_t rows, uint32_t cols,            \
      float scale, uint32_t add, const uint8_t *codes, const uint8_t *scales, const float *scales_of_scales,                 \
      const float *book, float mean) {                                                                                       \
    const Nf4 weight = {codes, scales, scales_of_scales, book, mean};                                                        \
    product<Nf4, TURNED>({out, out_stride, x, x_stride, n, rows, cols, scale, add}, weight);                                 \
  }                                                                                                                          \
  extern "C" __global__ void __launch_bounds__(THREADS, 2) product_int8##NAME(                                               \
      float *out, u64 out_stride, const __nv_bfloat16 *x, u64 x_stride, uint32_t n, uint32_t rows, uint32_t cols,            \
      float scale, uint32_t add, const uint8_t *codes, const float *largest) {                                               \
    const Int8 weight = {codes, largest};                                                                                    \
    product<Int8, TURNED>({out, out_stride, x, x_stride, n, rows, cols, scale, add}, weight);                                \
  }

PRODUCTS(, false)
PRODUCTS(_turned, true)
