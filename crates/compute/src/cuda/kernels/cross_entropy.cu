// Weighted cross-entropy and its gradient; the mathematics stand in the contract.
#include "common.cuh"

// By one block: the sum of its threads' parts, which are in a fixed order, is the loss. Of `two` logits for each target the
// second is that of class 1. The logits become their gradient.
extern "C" __global__ void cross_entropy(float *loss, float *logits, const float *targets, uint32_t count, uint32_t two) {
  __shared__ float parts[32];
  float sum = 0.f;
  for (uint32_t at = threadIdx.x; at < count; at += blockDim.x) {
    float *const last = logits + (two ? 2 * at + 1 : at);
    const float target = targets[at], logit = two ? last[0] - last[-1] : last[0];
    const float margin = target < 0.f ? -logit : logit;
    // e^-|m| overflows nowhere: log(1 + e^-m) = max(-m, 0) + log(1 + e^-|m|).
    const float small = expf(-fabsf(margin));
    sum += fabsf(target) * (fmaxf(-margin, 0.f) + log1pf(small));
    const float gradient = -target * ((margin < 0.f ? 1.f : small) / (1.f + small));
    last[0] = gradient;
    if (two) last[-1] = -gradient;
  }
  sum = block_sum(sum, parts);
  if (threadIdx.x == 0) *loss = sum;
}
