#!/usr/bin/env bash
# Measures speed and memory beside PyTorch and writes docs/benchmarks.md. Arguments: two CSV files
# with the columns author, body, mbti, E-I, N-S, F-T, J-P, to train and to validate on, and the
# program that fine-tunes with Hugging Face's Trainer; by default those of ../shared.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
train="$(realpath "${1:-../shared/data/mbtibench-train.csv}")"
valid="$(realpath "${2:-../shared/data/mbtibench-valid.csv}")"
reference="$(realpath "${3:-../shared/bench/hf_trainer.py}")"
python="$(scripts/reference.sh)"
scripts/build-engine.sh
model="$(scripts/fetch-starter.sh)"
cargo bench --locked -p model --bench ops --no-run >&2
work="$(mktemp -d "$cache/bench-XXXXXX")"
trap 'rm -rf "$work"' EXIT
"$python" tests/bench/bench.py --engine "$CARGO_TARGET_DIR/release/mbti" \
  --speed "$CARGO_TARGET_DIR/release/examples/speed" --model "$model" --train "$train" --valid "$valid" \
  --reference "$reference" --work "$work" --rounds "${ROUNDS:-3}" --steps "${STEPS:-60}" --out docs/benchmarks.md
