#!/usr/bin/env bash
# Builds the page, the engine and the desktop program. Argument: release, or nothing for dev.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"

"$root/scripts/build-page.sh"
say "Building the engine and the desktop program"
profile=()
[ "${1:-}" = release ] && profile=(--release)
cargo build --locked "${profile[@]}" -p cli -p mbti-tuner
