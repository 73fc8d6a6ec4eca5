// What the kernels of attention share: which rows a block works on, and who sees whom.
#pragma once
#include "common.cuh"

// qkv [total, (query + 2 key_value) d]; a token sees the keys from `before` before it to `after` after it.
struct Shape {
  uint32_t total, query, key_value, d, before, after;
  float scale;
};

// The text and the rows of a block.
struct Part {
  uint32_t start, len, first, rows;
};

// The `number`-th `own` rows of this block's text; none where it is shorter.
__device__ __forceinline__ Part part(const uint32_t *offsets, uint32_t number, uint32_t own) {
  Part part;
  part.start = offsets[blockIdx.z];
  part.len = offsets[blockIdx.z + 1] - part.start;
  part.first = number * own;
  part.rows = part.first < part.len ? min(own, part.len - part.first) : 0;
  return part;
}

__device__ __forceinline__ uint32_t saturating_add(uint32_t a, uint32_t b) { return a + b < a ? 0xffffffffu : a + b; }

// The rows that any of some rows is related to, `back` before the first to `ahead` after the last.
struct Range {
  uint32_t from, to;
};

__device__ __forceinline__ Range related(const Part &part, uint32_t back, uint32_t ahead) {
  const uint32_t last = part.first + part.rows - 1;
  return {part.first > back ? part.first - back : 0, min(part.len, saturating_add(saturating_add(last, ahead), 1))};
}

__device__ __forceinline__ bool sees(const Shape &shape, uint32_t query, uint32_t key) {
  return saturating_add(key, shape.before) >= query && key <= saturating_add(query, shape.after);
}
