#!/usr/bin/env bash
# The tests of products in bf16 by a processor's own instructions: on this one where it has AVX512-BF16, else on an
# emulated one, some three minutes long. An ordinary `make test` elsewhere tries their plain counterpart alone.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
binary="$(cargo test --locked -p compute --lib --no-run --message-format=json |
  grep '"executable":"' | sed 's/.*"executable":"\([^"]*\)".*/\1/')"
run=()
grep -qw avx512_bf16 /proc/cpuinfo || run=(scripts/emulated.sh)
"${run[@]}" "$binary" bf16 --test-threads 1
