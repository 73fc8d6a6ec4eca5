#!/usr/bin/env bash
# Builds the engine in release, with the small programs that the comparisons need, all at once so
# that no dependency is built twice with other features.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
cargo build --locked --release -p cli -p data -p model -p train --bin mbti \
  --example epoch_order --example start_adapter --example memory --example speed >&2
