#!/usr/bin/env bash
# All that can be known of the GPU with none at hand: ptxas compiles each kernel for every kind of card, and the backend,
# all families, whole runs and the engine's commands are tested on the emulated GPU, which executes the PTX that a real one
# would be given and finds faults in it. With an argument, a folder with libcuda.so.1 and the others, on what is there.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"

libraries="${1:-}"
[ -n "$libraries" ] || libraries="$(scripts/emulated-gpu.sh)"
. "$root/scripts/cuda-env.sh"
say "The folder for a machine with a GPU, where there is none"
python3 "$root/tests/gpu-folder/test_folder.py"
say "Kernels by ptxas"
python3 "$root/scripts/check-kernels.py"

export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" MBTI_CUDA_LIBRARIES="$libraries"
# One build for all, so that no dependency is built twice with other features.
packages=(-p compute -p train -p parity -p cli)
features=(--features "compute/cuda compute/conformance train/cuda parity/cuda cli/cuda")
gpu() { cargo test --locked "${packages[@]}" "${features[@]}" "$@"; }

say "The contract of a backend: races looked for, work deferred, warps and blocks in other orders"
# A race is found by what waits for what, whatever the order is in which warps run. So it is looked for once: it takes time.
EMULATED_GPU_RACES=1 EMULATED_GPU_DEFERRED=1 EMULATED_GPU_ORDER=reversed gpu --test contract
EMULATED_GPU_DEFERRED=1 EMULATED_GPU_ORDER=random:1 gpu --test contract
say "Runs"
EMULATED_GPU_DEFERRED=1 gpu --test cuda
say "Steps of whole models, as run.py --bench times them"
cargo build --locked "${packages[@]}" "${features[@]}" --example speed
MBTI_TEST_SPEED="$CARGO_TARGET_DIR/debug/examples/speed" python3 "$root/tests/gpu-folder/test_folder.py" Bench
say "Launches, bytes, uploads and memory of a layer"
gpu --test launches
say "What a step is planned to take of the memory, beside what it takes"
gpu --test memory_plan
say "Every family beside Transformers"
MBTI_TEST_DEVICE=cuda:0 gpu --test families_equal_transformers -- --skip odd_values_in_a_config
say "The engine's commands"
gpu --test emulated_gpus --test gpu_run
