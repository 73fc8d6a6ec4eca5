#!/usr/bin/env bash
# Compares the metrics, their intervals, the temperature and Platt's scaling with scikit-learn, SciPy
# and NumPy on 1,000 fresh random cases. Arguments: the seed (the time unless given), and what
# tests/reference/metrics_parity.py takes, as `--fixture tests/reference/fixtures/metrics.json`.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$root"
python="$(scripts/reference.sh)"
seed="${1:-$(date +%s)}"
[ "$#" -eq 0 ] || shift

say "1,000 random cases, seed $seed: by us, and by scikit-learn"
cargo build --locked --quiet -p metrics --example metrics_cases
"$CARGO_TARGET_DIR/debug/examples/metrics_cases" "$seed" 1000 |
  "$python" tests/reference/metrics_parity.py "$@"
