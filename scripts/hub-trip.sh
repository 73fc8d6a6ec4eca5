#!/usr/bin/env bash
# From a clean home to the Hub and back, with the pretrained starter model and a small Hub on this machine: log in,
# import a data set, fetch a model, train with --push-to-hub; then Transformers loads what was pushed and must give
# what `mbti predict` shows.
set -euo pipefail
. "$(dirname "$0")/env.sh"

"$root/scripts/setup.sh"
. "$root/scripts/env.sh"
cd "$root"
python="$(scripts/reference.sh)"
model="$(scripts/fetch-starter.sh)"
cargo build --locked --release -p cli -p small-hub >&2
mbti="$CARGO_TARGET_DIR/release/mbti"
work="$(mktemp -d "$cache/hub-trip-XXXXXX")"
trap 'kill "$hub" 2>/dev/null || true; rm -rf "$work"' EXIT

token="hf_$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')"
# Text by text: an environment variable that a user has set must not decide what is tested.
unset HF_TOKEN HF_HUB_TOKEN HF_HUB_OFFLINE HF_HUB_CACHE HF_TOKEN_PATH
mkfifo "$work/said"
"$CARGO_TARGET_DIR/release/small-hub" --folder "$work/hub" --storage-host localhost --token "alice:$token:write" >"$work/said" &
hub=$!
read -r about <"$work/said"
export HF_ENDPOINT HF_HOME="$work/hugging-face" HF_HUB_DISABLE_XET=1 MBTI_HOME="$work/home" MBTI_KEYRING=off
HF_ENDPOINT="$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])["url"])' "$about")"

say "Python puts a data set and a model on the Hub"
"$mbti" --home "$work/other" datasets import --sample >/dev/null
"$mbti" --home "$work/other" datasets export made-up-sample "$work/train.csv" >&2
HF_TOKEN="$token" "$python" tests/hub/trip.py fill "$model" "$work/train.csv"

say "mbti login, datasets import, models add, train --push-to-hub"
printf '%s\n' "$token" | "$mbti" login
"$mbti" datasets import alice/texts --split train
"$mbti" models add alice/minilm
"$mbti" train --data texts --model minilm --sample-fraction 0.2 --max-length 64 --push-to-hub alice/mbti-minilm

say "Transformers loads what was pushed"
"$mbti" runs show 1 --json >"$work/run.json"
for text in "I would rather stay at home with a book." "Let us decide now and be done with it!" "也许吧，我再想想。"; do
  printf '%s\n' "$text"
done >"$work/texts.txt"
"$mbti" predict --run 1 --lines <"$work/texts.txt" >"$work/predicted.jsonl"
HF_TOKEN="$token" "$python" tests/hub/trip.py compare alice/mbti-minilm "$work/run.json" "$work/texts.txt" "$work/predicted.jsonl"
! grep -rqF "$token" "$work/home/runs" "$work/home/models" "$work/home/datasets" "$work"/home/history.sqlite*
say "The token stands in: $(grep -rlF "$token" "$work/home" | sed "s|$work/||" | tr '\n' ' ')"
