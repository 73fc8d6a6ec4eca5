#!/usr/bin/env bash
# Makes the virtual environment of the Hub's own Python clients (huggingface_hub, datasets), unless
# it is there as tests/hub/requirements.txt wants it, and prints its Python.
set -euo pipefail
. "$(dirname "$0")/env.sh"

venv="$cache/hub-python"
wanted="$root/tests/hub/requirements.txt"
if ! cmp -s "$wanted" "$venv/requirements.txt"; then
  say "Installing huggingface_hub and datasets for the tests against the small Hub"
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv" >&2
  "$venv/bin/pip" install -q --disable-pip-version-check -r "$wanted" >&2
  cp "$wanted" "$venv/requirements.txt"
fi
echo "$venv/bin/python"
