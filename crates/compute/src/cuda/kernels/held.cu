// Rows of weights in 4 and 8 bits as f32, strip by strip.
#include "common.cuh"

// Numbers from `first` on of a weight in NF4 with double quantisation: `book` has the 16 numbers of the code and then the
// 256 of the scales' code book. 64 numbers share a scale, and 256 scales one of their own.
extern "C" __global__ void read_nf4(float *out, const uint8_t *codes, const uint8_t *scales, const float *scales_of_scales,
                                    const float *book, float mean, u64 first, u64 count) {
  const u64 number = thread_number();
  if (number >= count) return;
  const u64 at = first + number, block = at / 64;
  const float scale = __fadd_rn(__fmul_rn(book[16 + scales[block]], scales_of_scales[block / 256]), mean);
  const uint8_t pair = codes[at / 2];
  out[number] = book[at % 2 ? pair & 15 : pair >> 4] * scale;
}

// Rows from `first` on of a weight in 8 bits by rows.
extern "C" __global__ void read_int8(float *out, const int8_t *codes, const float *largest, u64 first, uint32_t cols,
                                     u64 count) {
  const u64 number = thread_number();
  if (number >= count) return;
  const u64 row = first + number / cols;
  out[number] = codes[row * cols + number % cols] * (largest[row] / 127.f);
}
