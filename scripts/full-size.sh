#!/usr/bin/env bash
# Fine-tunes Phi-3-mini in its full size, with random weights, its base in 4 and then in 8 bits: three steps of LoRA on
# texts of 128 tokens, stopped, resumed, and a prediction, with at most 4.5 and 6.5 GiB resident. Arguments: a
# tokenizer.json of Phi-3 (that of ../shared), and a folder for some 16 GB (one in the cache, which is removed at the end).
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
tokenizer="$(realpath "${1:-../shared/tokenizers/phi-3-mini/tokenizer.json}")"
python="$(scripts/reference.sh)"
scripts/build-engine.sh
if [ -n "${2:-}" ]; then work="$2"; else
  work="$(mktemp -d "$cache/full-size-XXXXXX")"
  trap 'rm -rf "$work"' EXIT
fi
[ -f "$work/phi3/config.json" ] || "$python" tests/full_size/phi3.py "$work/phi3" "$tokenizer"
for wanted in "nf4 4.5" "int8 6.5"; do
  read -r quantization limit <<<"$wanted"
  say "$quantization, at most $limit GiB"
  "$python" tests/full_size/steps.py "$CARGO_TARGET_DIR/release/mbti" "$work/home" "$work/phi3" "$quantization" "$limit"
done
