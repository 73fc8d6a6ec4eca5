#!/usr/bin/env bash
# Compares the class counts of the tutorial's tenth and split with those of Hugging Face's datasets, on 200
# random cases and on the CSV files that are given. Arguments: CSV files with a column mbti.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
python="$(scripts/reference.sh)"
cargo build --locked --quiet -p data --example stratified_counts
"$python" tests/reference/splits_parity.py "$CARGO_TARGET_DIR/debug/examples/stratified_counts" "$@"
