// Rotary position embeddings, in place.
#include "low_rank.cuh"

// The place of a feature that stays where it is: of each head those after its pairs, and then all after the heads.
__device__ __forceinline__ uint32_t staying(uint32_t number, uint32_t heads, uint32_t d, uint32_t half) {
  const uint32_t rest = d - 2 * half;
  return number < heads * rest ? number / rest * d + 2 * half + number % rest : number + heads * 2 * half;
}

// Of each head's pair of features i and i + half: y1 = x1 cos − x2 sin, y2 = x2 cos + x1 sin, after adding to x [n, cols] what
// LoRA adds. Of `features` a row the first are pairs, and the others stay; what `rounded` is given for is written in bf16
// besides.
extern "C" __global__ void rotate(float *x, u64 stride, __nv_bfloat16 *rounded, LowRank added, const float *cos,
                                  const float *sin, uint32_t n, uint32_t heads, uint32_t d, uint32_t half, float sign,
                                  uint32_t features) {
  const uint32_t number = blockIdx.x * blockDim.x + threadIdx.x, first = blockIdx.y * ROWS, last = min(first + ROWS, n);
  const uint32_t count = last - first, pairs = heads * half;
  const bool turns = number < pairs;
  const uint32_t pair = turns ? number % half : 0;
  const uint32_t column = turns ? number / half * d + pair : staying(number - pairs, heads, d, half);
  const uint32_t other = column + half;
  float *rows = x + first * stride;
  __shared__ LowTile tile;
  const uint32_t columns = number >= features ? 0 : turns ? 2 : 1;
  const uint32_t from = begin_low_rank(rows, stride, tile, added, first, count, columns, column, other);
  if (columns == 0) return;
  const OfColumn of = of_column(added, column, from);
  if (!turns) {
    if (!rounded && added.rank == 0) return;
    for (uint32_t row = first; row < last; row++, rows += stride) {
      const float value = plus_low(rows[column], tile, row - first, of, added);
      if (added.rank > 0) rows[column] = value;
      if (rounded) rounded[row * stride + column] = __float2bfloat16_rn(value);
    }
    return;
  }
  const OfColumn of_other = of_column(added, other, from);
  for (uint32_t row = first; row < last; row++, rows += stride) {
    const float c = cos[(u64)row * half + pair], s = sign * sin[(u64)row * half + pair];
    const float a = plus_low(rows[column], tile, row - first, of, added);
    const float b = plus_low(rows[other], tile, row - first, of_other, added);
    const float to_a = a * c - b * s, to_b = b * c + a * s;
    rows[column] = to_a;
    rows[other] = to_b;
    if (!rounded) continue;
    rounded[row * stride + column] = __float2bfloat16_rn(to_a);
    rounded[row * stride + other] = __float2bfloat16_rn(to_b);
  }
}
