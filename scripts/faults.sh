#!/usr/bin/env bash
# Faults on a real engine: killed with -9 at 30 random moments of a run, for full training in f32,
# LoRA in bf16 and AdamW in 8 bits; and a full disk at a checkpoint. Each must end as the run that
# met no fault, to the last bit. Then scripts/faults-removal.sh kills what makes and removes things. Arguments: the
# number of kills of a run (30) and a seed (the time).
set -euo pipefail
. "$(dirname "$0")/env.sh"
kills="${1:-30}" seed="${2:-$(date +%s)}"

"$root/scripts/setup.sh"
. "$root/scripts/env.sh"
cd "$root"
cargo build --locked --release -p cli >&2
engine="$CARGO_TARGET_DIR/release/mbti"
model="$(scripts/fetch-starter.sh)"
work="$(mktemp -d "$cache/faults-XXXXXX")"
trap 'rm -rf "$work"' EXIT
# The bundled sample, as a file, so that all homes have the same texts.
"$engine" --home "$work/home" datasets import --sample >&2
"$engine" --home "$work/home" models add "$model" --name minilm >&2

# Whether products are made in bf16 is decided by a measurement, which may come out otherwise in another run.
export MBTI_BF16_PRODUCTS=on
settings=(--max-length 32 --per-device-train-batch-size 2 --learning-rate 1e-4 --sample-fraction 0.1
  --eval-steps 20 --save-steps 4)
for kind in "full f32:" "LoRA bf16:--trainable lora --dtype bf16 --lora-dropout 0.1" "8-bit AdamW:--optim adamw_8bit"; do
  say "${kind%%:*}"
  read -ra more <<<"${kind#*:}"
  python3 tests/faults/kill_and_resume.py "$engine" "$work/home" --model minilm --data made-up-sample \
    --kills "$kills" --seed "$seed" -- "${settings[@]}" --max-steps 100 "${more[@]}"
done

say "A full disk"
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(--map-root-user)
"$engine" --home "$work/home" datasets export made-up-sample "$work/texts.csv" >&2
mkdir "$work/disk"
unshare --mount "${as_root[@]}" bash -c '
  set -euo pipefail
  mount -t tmpfs -o size=1500m tmpfs "$1/disk"
  shift
  python3 tests/faults/full_disk.py "$@"' _ "$work" "$engine" "$work/disk" --model "$model" --data "$work/texts.csv" \
  -- "${settings[@]}" --max-steps 60

"$root/scripts/faults-removal.sh" 50 "$seed"
