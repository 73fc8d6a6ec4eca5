// Kernels with one fault each. tests/wrong.rs says which it is, and how a launch has to be to show it.
#include <stdint.h>
#include <assert.h>

#define KERNEL extern "C" __global__ void

// The first step of the sum reads what other warps have not written yet.
KERNEL no_barrier(const float* x, float* y) {
  __shared__ float s[128];
  int t = threadIdx.x;
  s[t] = x[t];
  for (int k = 64; k > 0; k >>= 1) {
    if (t < k) s[t] += s[t + k];
    __syncthreads();
  }
  if (t == 0) *y = s[0];
}

// The steps of the sum follow each other without a barrier.
KERNEL late_barrier(const float* x, float* y) {
  __shared__ float s[128];
  int t = threadIdx.x;
  s[t] = x[t];
  __syncthreads();
  for (int k = 64; k > 0; k >>= 1) {
    float v = t < k ? s[t + k] : 0;
    if (t < k) s[t] += v;
  }
  if (t == 0) *y = s[0];
}

// A barrier in a branch that a part of a warp takes.
KERNEL divergent_barrier(const float* x, float* y) {
  __shared__ float s[128];
  int t = threadIdx.x;
  s[t] = x[t];
  if (t < 40) __syncthreads();
  y[t] = s[t];
}

// Half a warp shuffles with the other half.
KERNEL partial_shuffle(const float* x, float* y) {
  int t = threadIdx.x;
  float v = x[t];
  if (t < 16) v += __shfl_xor_sync(0xffff, v, 16);
  y[t] = v;
}

// <= in place of <.
KERNEL one_too_many(const float* x, float* y, int n) {
  int i = threadIdx.x;
  if (i <= n) y[i] = x[i];
}

KERNEL misaligned_float4(const float* x, float* y) {
  float4 v = *(const float4*)(x + 1 + threadIdx.x * 4);
  y[threadIdx.x] = v.x + v.y * v.z - v.w;
}

// Half of the shared memory is never written.
KERNEL uninitialised(float* y) {
  __shared__ float s[64];
  if (threadIdx.x < 32) s[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}

KERNEL any_block(float* y) { y[threadIdx.x] = 1; }

// Every block adds to one word.
KERNEL race_between_blocks(const float* x, float* y) {
  if (threadIdx.x == 0) *y += x[blockIdx.x];
}

// Two lanes of one instruction write one word.
KERNEL race_within_an_instruction(float* y) {
  __shared__ float s[32];
  int t = threadIdx.x;
  s[t / 2] = t;
  __syncthreads();
  if (t < 16) y[t] = s[t];
}

// A lane reads what its neighbour has written, and nothing lies between.
KERNEL no_syncwarp(const float* x, float* y) {
  __shared__ float s[32];
  int t = threadIdx.x;
  s[t] = x[t];
  y[t] = s[t ^ 1];
}

// Any kernel does: the test frees what it reads.
KERNEL copy(const float* x, float* y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = x[i];
}

// A counter in shared memory that nobody has set to 0.
KERNEL counter_without_a_zero(const int* x, int* y) {
  __shared__ int count;
  if (x[threadIdx.x] > 0) atomicAdd(&count, 1);
  __syncthreads();
  if (threadIdx.x == 0) *y = count;
}

// No test against n: the grid has to be exact.
KERNEL unchecked(const float* x, float* y) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  y[i] = 2 * x[i];
}

// As much dynamic shared memory as there are threads.
KERNEL dynamic_shared(const float* x, float* y) {
  extern __shared__ float s[];
  int t = threadIdx.x;
  s[t] = x[t];
  __syncthreads();
  y[t] = s[blockDim.x - 1 - t];
}

// One thread sets to 0 what the others add to.
KERNEL plain_write_among_atomics(const float* x, float* y) {
  __shared__ float sum;
  if (threadIdx.x == 0) sum = 0;
  atomicAdd(&sum, x[threadIdx.x]);
  __syncthreads();
  if (threadIdx.x == 0) *y = sum;
}

// cp.async is committed and not waited for.
KERNEL async_copy_without_wait(const float* x, float* y) {
  __shared__ __align__(16) float s[128];
  int t = threadIdx.x;
  uint32_t to = (uint32_t)__cvta_generic_to_shared(s + t * 4);
  asm volatile("cp.async.cg.shared.global [%0],[%1],16; cp.async.commit_group;" ::"r"(to), "l"(x + t * 4));
  __syncthreads();
  y[t] = s[t * 4];
}

// Of two groups one may still be under way, and it is the one that is read.
KERNEL one_group_too_many_left(const float* x, float* y) {
  __shared__ __align__(16) float s[2][128];
  int t = threadIdx.x;
  for (int group = 0; group < 2; group++) {
    uint32_t to = (uint32_t)__cvta_generic_to_shared(s[group] + t * 4);
    asm volatile("cp.async.cg.shared.global [%0],[%1],16; cp.async.commit_group;" ::"r"(to), "l"(x + group * 128 + t * 4));
  }
  asm volatile("cp.async.wait_group 1;" ::: "memory");
  __syncthreads();
  y[t] = s[1][t * 4];
}

// The next tile is written to the place that others still read, and not to the other one.
KERNEL next_tile_in_the_same_place(const float* x, float* y) {
  __shared__ float tiles[2][64];
  int t = threadIdx.x;
  float sum = 0;
  tiles[0][t] = x[t];
  for (int step = 1; step < 4; step++) {
    __syncthreads();
    sum += tiles[(step - 1) % 2][63 - t];
    tiles[(step - 1) % 2][t] = x[step * 64 + t];
    tiles[step % 2][t] = x[step * 64 + t];
  }
  y[t] = sum;
}

// A barrier for 48 threads: no multiple of a warp.
KERNEL barrier_of_a_warp_and_a_half(float* y) {
  asm volatile("bar.sync 1, 48;");
  y[threadIdx.x] = 1;
}

// A barrier that waits for four warps where two come.
KERNEL barrier_for_too_many(float* y) {
  if (threadIdx.x < 64) asm volatile("bar.sync 1, 128;");
  y[threadIdx.x] = 1;
}

// Three warps leave before the barrier that the first waits at.
KERNEL early_return(const float* x, float* y, int n) {
  __shared__ float s[128];
  int t = threadIdx.x;
  if (t >= n) return;
  s[t] = x[t];
  __syncthreads();
  y[t] = s[n - 1 - t];
}

KERNEL __launch_bounds__(64) bounded(float* y) { y[threadIdx.x] = 1; }

__constant__ float table[4] = {1, 2, 3, 4};
// The test gives the address of `table`.
KERNEL read_only(float* y) { y[threadIdx.x] = table[3 - threadIdx.x]; }

KERNEL misaligned_float2(const float* x, float* y) {
  float2 v = *(const float2*)(x + threadIdx.x * 2 + 1);
  y[threadIdx.x] = v.x + v.y;
}

KERNEL misaligned_uint4(uint4* y, int shift) {
  *(uint4*)((uint32_t*)(y + threadIdx.x) + shift) = make_uint4(1, 2, 3, 4);
}

// The row below the last one.
KERNEL row_below(const float* x, float* y, int rows, int width) {
  int row = blockIdx.y * blockDim.y + threadIdx.y, column = blockIdx.x * blockDim.x + threadIdx.x;
  if (row < rows && column < width) y[row * width + column] = x[(row + 1) * width + column];
}

// 32 bits are too few for the product.
KERNEL index_overflow(const float* x, float* y, int row, int width) {
  int i = row * width;
  y[threadIdx.x] = x[i + threadIdx.x];
}

KERNEL misaligned_ldmatrix(uint32_t* out) {
  __shared__ __align__(128) uint16_t s[512];
  for (int i = threadIdx.x; i < 512; i += 32) s[i] = i;
  __syncthreads();
  uint32_t from = (uint32_t)__cvta_generic_to_shared(s + threadIdx.x % 8 * 8 + 4), r;
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0},[%1];" : "=r"(r) : "r"(from));
  out[threadIdx.x] = r;
}

KERNEL endless(volatile int* flag, float* y) {
  while (*flag == 0) {
  }
  *y = 1;
}

// A mask of all lanes where half of them are.
KERNEL ballot_of_a_half(uint32_t* y) {
  int t = threadIdx.x;
  if (t < 16) y[t] = __ballot_sync(~0u, t & 1);
}

// Lane 16 is not in its own mask.
KERNEL mask_without_the_lane(uint32_t* y) {
  y[threadIdx.x] = __shfl_sync(0xffff, threadIdx.x, 0);
}

KERNEL asserted(const int* x, int* y) {
  assert(x[threadIdx.x] >= 0);
  y[threadIdx.x] = x[threadIdx.x];
}

KERNEL division(const int* x, int* y) { y[threadIdx.x] = 100 / x[threadIdx.x]; }
