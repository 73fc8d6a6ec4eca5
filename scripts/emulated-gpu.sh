#!/usr/bin/env bash
# Builds the emulated GPU and prints the folder that has it under the names of libcuda, libcublas and libcurand.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
say "Building the emulated GPU"
cargo build --locked -p emulated-gpu >&2
libraries="$CARGO_TARGET_DIR/emulated-gpu"
mkdir -p "$libraries"
for name in libcuda.so.1 libcublas.so.13 libcurand.so.10; do
  ln -sf "$CARGO_TARGET_DIR/debug/libemulated_gpu.so" "$libraries/$name"
done
echo "$libraries"
