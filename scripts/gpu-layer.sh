#!/usr/bin/env bash
# Counts what a layer of Phi-3-mini in its real size costs on a GPU, on the emulated one, which takes minutes:
# docs/gpu.md, "What a layer costs". `gpu-layer.sh write` takes the figures as the new limits, and makes the table of all
# kernels there anew.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"

libraries="$(scripts/emulated-gpu.sh)"
. "$root/scripts/cuda-env.sh"
export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" MBTI_CUDA_LIBRARIES="$libraries"
[ "${1:-}" = write ] && export MBTI_TEST_WRITE=1
MBTI_TEST_SHAPE=real cargo test --locked -p compute -p train -p parity -p cli \
  --features "compute/cuda compute/conformance train/cuda parity/cuda cli/cuda" --test launches -- --nocapture
if [ "${1:-}" = write ]; then
  python3 scripts/kernel-table.py --write
fi
