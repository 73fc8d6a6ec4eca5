#!/usr/bin/env bash
# What splits by text and by author leak, and what the bag of words makes of either, as tables in Markdown.
# Arguments: a CSV file by authors, and one in the Kaggle format whose texts name types.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
bench="$(realpath "${1:-../shared/data/mbtibench.csv}")" kaggle="$(realpath "${2:-../shared/data/kaggle99.csv}")"
scripts/build-engine.sh
work="$(mktemp -d "$cache/leaks-XXXXXX")"
trap 'rm -rf "$work"' EXIT
python3 tests/data/leak_table.py "$CARGO_TARGET_DIR/release/mbti" "$work/home" "$bench" "$kaggle"
