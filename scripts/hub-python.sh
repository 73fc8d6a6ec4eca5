#!/usr/bin/env bash
# Makes the virtual environment of the Hub's own Python clients (huggingface_hub, datasets), unless
# it is there as tests/hub/requirements.txt wants it, and prints its Python.
set -euo pipefail
. "$(dirname "$0")/env.sh"

python_of hub-python "$root/tests/hub/requirements.txt" "Installing huggingface_hub and datasets for the tests against the small Hub"
