#!/usr/bin/env bash
# Peak memory and time of a training step, in full and with LoRA, with and without gradient
# checkpointing, beside PyTorch's for the same model, as a table in Markdown. Argument: a folder
# with Phi-3's tokenizer, which the model is made with.
set -euo pipefail
. "$(dirname "$0")/env.sh"
tokenizer="$(realpath "$1")"
cd "$root"
python="$(scripts/reference.sh)"
scripts/build-engine.sh
work="$(mktemp -d "$cache/memory-XXXXXX")"
trap 'rm -rf "$work"' EXIT
"$python" tests/reference/tutorial.py make-model --out "$work/phi3" --tokenizer "$tokenizer" >&2
tokens=256 batch=4 steps=3
field() { python3 -c 'import json, sys; print(json.loads(sys.stdin.read().strip().splitlines()[-1])[sys.argv[1]])' "$1"; }
echo "| what learns | precision | ours, MiB | PyTorch, MiB | ours, s | PyTorch, s |"
echo "| --- | --- | ---: | ---: | ---: | ---: |"
for mode in full checkpointed lora lora-checkpointed; do
  for dtype in f32 bf16; do
    ours="$("$CARGO_TARGET_DIR/release/examples/memory" "$work/phi3" "$mode" "$dtype" "$tokens" "$batch" "$steps")"
    [ "$dtype" = f32 ] && name=float32 || name=bfloat16
    # PyTorch's bf16 weights get 32-bit copies in full training, as ours do by their remainders.
    masters=()
    [ "$dtype" = bf16 ] && [ "${mode#lora}" = "$mode" ] && masters=(--masters)
    theirs="$("$python" tests/reference/memory.py --model "$work/phi3" --mode "$mode" --dtype "$name" \
      --tokens-per-text "$tokens" --batch "$batch" --steps "$steps" "${masters[@]}")"
    echo "| $mode | $dtype | $(field training_mib <<<"$ours") | $(field training_mib <<<"$theirs") |" \
      "$(field seconds_per_step <<<"$ours") | $(field seconds_per_step <<<"$theirs") |"
  done
done
