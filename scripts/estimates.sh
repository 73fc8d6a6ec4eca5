#!/usr/bin/env bash
# What a run is expected to need against what it needed, for five settings, as a table in Markdown.
# Argument: a CSV with the columns author, body, mbti.
set -euo pipefail
. "$(dirname "$0")/env.sh"
data="$(realpath "$1")"
cd "$root"
scripts/build-engine.sh
model="$(scripts/fetch-starter.sh)"
work="$(mktemp -d "$cache/estimates-XXXXXX")"
trap 'rm -rf "$work"' EXIT
python3 tests/bench/estimates.py "$CARGO_TARGET_DIR/release/mbti" "$model" "$data" "$work"
