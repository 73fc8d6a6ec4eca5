#!/usr/bin/env bash
# What the defaults teach: models trained with five seeds each on the made-up sample and, where a folder is named that has them,
# on real texts (mbtibench.csv, kaggle99.csv with its type words masked, weibo-zh.csv), as tables in Markdown. Takes hours: what
# is done is kept in RECIPES (default: the cache), and a run that is there is not done again.
# Arguments: a folder of real texts or "", then settings to try in place of the defaults, such as learning_rate=1e-4.
# SEEDS and MODELS narrow it down: SEEDS=2 MODELS=minilm scripts/recipes.sh
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
folder="${1:-}"
shift || true
scripts/build-engine.sh
engine="$CARGO_TARGET_DIR/release/mbti"
work="${RECIPES:-$cache/recipes}" seeds="${SEEDS:-5}"
read -ra models <<<"${MODELS:-minilm e5-small}"
mkdir -p "$work"
mbti() { "$engine" --home "$work/home" "$@"; }
has() { mbti "$1" list --json | grep -q "\"name\":\"$2\""; }

has models minilm || mbti models add "$(scripts/fetch-starter.sh)" --name minilm >&2
has models e5-small || mbti models add "$(scripts/fetch-multilingual.sh)" --name e5-small >&2
has datasets made-up-sample || mbti datasets import --sample >&2
sets=(made-up-sample)
if [ -n "$folder" ]; then
  has datasets mbtibench || mbti datasets import "$folder/mbtibench.csv" --name mbtibench >&2
  has datasets kaggle || mbti datasets import "$folder/kaggle99.csv" --name kaggle >&2
  has datasets kaggle-masked || mbti datasets clean kaggle --type-words mask --to kaggle-masked >&2
  has datasets weibo || mbti datasets import "$folder/weibo-zh.csv" --name weibo >&2
  sets+=(mbtibench kaggle-masked weibo)
fi
python3 tests/recipes/grid.py "$engine" "$work/home" "$work/runs.jsonl" --data "${sets[@]}" --model "${models[@]}" \
  --seeds "$seeds" --set "$@"
