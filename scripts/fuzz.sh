#!/usr/bin/env bash
# Fuzzes the readers of files and the masker of type words, each for some minutes (20), with at most 1 GiB of
# memory and 20 s an input. Arguments: minutes, and targets (sources, parquet, type_words).
set -euo pipefail
. "$(dirname "$0")/env.sh"
minutes="${1:-20}"
[ "$#" -eq 0 ] || shift
[ "$#" -gt 0 ] || set -- sources parquet type_words
"$root/scripts/setup.sh"
. "$root/scripts/env.sh"
command -v cargo-fuzz >/dev/null 2>&1 || cargo install --quiet --locked cargo-fuzz@0.13.2
cd "$root/fuzz"
# The instruments are there in the stable compiler too, which only does not offer them.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$CARGO_TARGET_DIR/fuzz"
for target in "$@"; do
  say "$target, $minutes minutes"
  mkdir -p "$cache/fuzz/$target"
  cargo fuzz run --sanitizer none "$target" "$cache/fuzz/$target" -- \
    -max_total_time="$((minutes * 60))" -rss_limit_mb=1024 -malloc_limit_mb=1024 -timeout=20 -max_len=65536 -print_final_stats=1
done
