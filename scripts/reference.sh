#!/usr/bin/env bash
# Makes the virtual environment of the Python references (PyTorch, Transformers, PEFT), unless it
# is there as tests/reference/requirements.txt wants it, and prints its Python.
set -euo pipefail
. "$(dirname "$0")/env.sh"

venv="$cache/reference"
wanted="$root/tests/reference/requirements.txt"
if ! cmp -s "$wanted" "$venv/requirements.txt"; then
  say "Installing PyTorch, Transformers and PEFT for the comparison"
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv" >&2
  "$venv/bin/pip" install -q --disable-pip-version-check -r "$wanted" >&2
  cp "$wanted" "$venv/requirements.txt"
fi
echo "$venv/bin/python"
