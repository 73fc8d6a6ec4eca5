#!/usr/bin/env bash
# Makes the virtual environment of the Python references (PyTorch, Transformers, PEFT), unless it
# is there as tests/reference/requirements.txt wants it, and prints its Python.
set -euo pipefail
. "$(dirname "$0")/env.sh"

python_of reference "$root/tests/reference/requirements.txt" "Installing PyTorch, Transformers and PEFT for the comparison"
