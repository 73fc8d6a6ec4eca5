#!/usr/bin/env bash
# The main job in the terminal: import the bundled sample, fetch the starter model, train,
# evaluate, predict a type, and print where all of it lies. Arguments: the engine, and settings of
# the training, such as --seed 1; without any it has the program's defaults.
set -euo pipefail
. "$(dirname "$0")/env.sh"
engine="$1"
shift

say "No display: doing the main job in the terminal."
"$engine" datasets import --sample
model="$("$root/scripts/add-starter.sh" "$engine")"

say "Training $model on the made-up sample"
"$engine" train --data made-up-sample --model "$model" "$@"

text="I stayed in with a book, wrote a list for tomorrow, and wondered what it would be like if nobody ever made plans."
say "Predicting: $text"
"$engine" predict "$text"

run="$("$engine" runs list --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["id"])')"
folder="$("$engine" runs show "$run" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["run"]["model_folder"])')"
home="$(dirname "$(dirname "$(dirname "$folder")")")"
say "Where it lies"
cat <<END
engine        $engine
home          $home
history       $home/history.sqlite
data set      $home/datasets/made-up-sample
models        $home/models
trained model $folder
END
