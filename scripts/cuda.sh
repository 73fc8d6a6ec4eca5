#!/usr/bin/env bash
# Builds mbti-cuda, the engine for NVIDIA GPUs, on a machine that needs neither a GPU nor CUDA, and puts it beside the
# release of mbti. What it needs of CUDA to build comes from Python packages into the cache.
set -euo pipefail
. "$(dirname "$0")/env.sh"

"$root/scripts/setup.sh"
. "$root/scripts/env.sh"
# Where mbti looks for it.
beside="$CARGO_TARGET_DIR/release"
. "$root/scripts/cuda-env.sh"
cd "$root"
say "Building mbti-cuda"
began=$SECONDS
cargo build --locked --release -p cli --features cuda
mkdir -p "$beside"
# Put in place at once, as a run may be starting it.
cp "$CARGO_TARGET_DIR/release/mbti" "$beside/.mbti-cuda"
mv "$beside/.mbti-cuda" "$beside/mbti-cuda"
awk -v seconds=$((SECONDS - began)) -v bytes="$(stat -c %s "$beside/mbti-cuda")" -v path="$beside/mbti-cuda" \
  'BEGIN { printf "%s: %.1f MiB, built in %.1f minutes\n", path, bytes / 1048576, seconds / 60 }'
