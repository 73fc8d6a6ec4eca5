#!/usr/bin/env bash
# Adds the starter model to the program's models as minilm, unless it is there, and prints the
# name of the model to begin with: minilm, or words where the starter cannot be fetched.
# Argument: the engine.
set -euo pipefail
. "$(dirname "$0")/env.sh"
engine="$1"

if "$engine" models list --json | grep -q '"name":"minilm"'; then
  echo minilm
elif folder="$("$root/scripts/fetch-starter.sh")" && "$engine" models add "$folder" --name minilm >/dev/null; then
  echo minilm
else
  say "The starter model cannot be fetched now. The built-in bag of words (words) is used in its place."
  echo words
fi
