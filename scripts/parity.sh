#!/usr/bin/env bash
# Compares every family with Transformers, PyTorch and PEFT on fresh random models: logits,
# gradients, ten steps in full, with LoRA, by checkpointing and in bf16; then lets Transformers and
# PEFT load what we have saved; then the same with real pretrained weights. Arguments: seeds.
set -euo pipefail
. "$(dirname "$0")/env.sh"

"$root/scripts/setup.sh"
. "$root/scripts/env.sh"
cd "$root"
python="$(scripts/reference.sh)"
work="$(mktemp -d "$cache/parity-XXXXXX")"
trap 'rm -rf "$work"' EXIT
[ "$#" -gt 0 ] || set -- "$(date +%s)"

say "Pretrained models"
minilm="$(scripts/fetch-starter.sh)"
"$python" tests/reference/pretrained.py --out "$work/pretrained" --minilm "$minilm" --smollm2 >&2
MBTI_PRETRAINED="$work/pretrained" MBTI_MINILM="$minilm" \
  cargo test --locked --quiet -p parity --test pretrained_equal_transformers -- --nocapture

for seed in "$@"; do
  say "Fresh random models, seed $seed: by Transformers"
  "$python" tests/reference/families.py --out "$work/$seed" --seed "$seed" --big >&2
  say "The same by us"
  MBTI_PARITY="$work/$seed" cargo test --locked --quiet -p parity --test families_equal_transformers -- --nocapture --test-threads 1
  say "What we saved, loaded by Transformers and PEFT"
  "$python" tests/reference/check_saved.py "$work/$seed"
done
