#!/usr/bin/env bash
# Kills with -9 each command that makes or removes something at random moments, and looks after each kill that the next
# start leaves nothing of it and that every record has its whole folder. Arguments: the number of kills for each command
# (50) and a seed (the time).
set -euo pipefail
. "$(dirname "$0")/env.sh"
kills="${1:-50}" seed="${2:-$(date +%s)}"

"$root/scripts/setup.sh"
. "$root/scripts/env.sh"
cd "$root"
cargo build --locked --release -p cli >&2
engine="$CARGO_TARGET_DIR/release/mbti"
model="$(scripts/fetch-starter.sh)"
work="$(mktemp -d "$cache/faults-XXXXXX")"
trap 'rm -rf "$work"' EXIT
"$engine" --home "$work/sample" datasets import --sample >&2
"$engine" --home "$work/sample" datasets export made-up-sample "$work/texts.csv" >&2

say "Making and removing, killed"
python3 tests/faults/kill_and_look.py "$engine" "$work/home" --model "$model" --data "$work/texts.csv" \
  --kills "$kills" --seed "$seed" --
