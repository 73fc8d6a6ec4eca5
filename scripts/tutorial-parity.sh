#!/usr/bin/env bash
# The tutorial's run on a random Phi-3 of some 50 M weights with the real tokenizer: ten steps by
# `mbti train` and by Transformers on the same weights and texts in the same order, in full and
# with LoRA, in f32 and bf16. Arguments: a CSV with the columns of minhaozhang/mbti to train on,
# one to validate with, and a folder with Phi-3's tokenizer.
set -euo pipefail
. "$(dirname "$0")/env.sh"
train="$(realpath "$1")" valid="$(realpath "$2")" tokenizer="$(realpath "$3")"
cd "$root"
python="$(scripts/reference.sh)"
scripts/build-engine.sh
release="$CARGO_TARGET_DIR/release"
work="$(mktemp -d "$cache/tutorial-XXXXXX")"
trap 'rm -rf "$work"' EXIT
export MBTI_HOME="$work/home"

"$python" tests/reference/tutorial.py make-model --out "$work/phi3" --tokenizer "$tokenizer" >&2
"$release/mbti" datasets import "$train" --name train >&2
"$release/mbti" datasets import "$valid" --name valid >&2
"$release/mbti" models add "$work/phi3" --name phi3 >&2
rows="$("$release/mbti" datasets show train --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["data_set"]["examples"])')"
"$release/examples/epoch_order" "$rows" 0 >"$work/order.json"
"$release/examples/start_adapter" "$work/phi3" 0 "$work/adapter"

for dtype in f32 bf16; do
  for trainable in all lora; do
    say "$dtype, $trainable"
    # The reference decays the learning rate over the steps that an epoch of the tutorial has.
    "$release/mbti" train --data train --valid valid --model phi3 --axes J-P --batch-size 4 \
      --gradient-accumulation-steps 2 --learning-rate 2e-5 --head-learning-rate-multiplier 1 --warmup-ratio 0 --weight-decay 0.01 --class-weights 0.6,0.4 \
      --max-length 256 --max-steps 10 --eval-steps 1000 --seed 0 --dtype "$dtype" --trainable "$trainable" \
      --json >"$work/ours.jsonl"
    [ "$dtype" = f32 ] && name=float32 || name=bfloat16
    lora=()
    [ "$trainable" = lora ] && lora=(--lora --adapter "$work/adapter")
    "$python" tests/reference/tutorial.py train --model "$work/phi3" --train "$train" --order "$work/order.json" \
      --total-steps 10 --steps 10 --dtype "$name" "${lora[@]}" >"$work/theirs.json"
    python3 - "$work/ours.jsonl" "$work/theirs.json" "$dtype, $trainable" <<'PYTHON'
import json, sys

ours = [event for event in map(json.loads, open(sys.argv[1])) if event["event"] == "step"]
finished = [event for event in map(json.loads, open(sys.argv[1])) if event["event"] == "finished"][0]
theirs = json.loads(open(sys.argv[2]).read().strip().splitlines()[-1])
print(f"{sys.argv[3]}: peak {finished['peak_rss_mib']:.0f} MiB, Transformers {theirs['peak_rss_mib']:.0f} MiB")
apart = [abs(step["loss"] - loss) for step, loss in zip(ours, theirs["losses"], strict=True)]
for step, loss in zip(ours, theirs["losses"]):
    print(f"  step {step['step']:2}: {step['loss']:.6f} {loss:.6f}")
print(f"  worst difference {max(apart):.1e}")
PYTHON
  done
done
