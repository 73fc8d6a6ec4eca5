"""What both fault scripts do with an engine: read their arguments, ask it, and take a run's result."""

import argparse
import hashlib
import json
import os
import subprocess
import sys


def arguments(*more):
    """ENGINE HOME --model M --data D [more] -- TRAIN ARGUMENTS"""
    parser = argparse.ArgumentParser()
    parser.add_argument("engine")
    parser.add_argument("home")
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    for name, kind, default in more:
        parser.add_argument(name, type=kind, default=default)
    cut = sys.argv.index("--")
    found = parser.parse_args(sys.argv[1:cut])
    found.train = sys.argv[cut + 1 :]
    return found


def command(found, *words):
    return [found.engine, "--home", found.home, *words]


def ask(found, *words):
    """The answer of a command that has to succeed, as JSON."""
    answer = subprocess.run(command(found, *words, "--json"), capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def result(found, run):
    """SHA-256 of a finished run's weights, the same of its losses, and the losses with all digits."""
    progress = ask(found, "runs", "show", str(run))
    assert progress["run"]["status"] == "finished", progress["run"]
    losses = [(step["step"], repr(step["loss"])) for step in progress["steps"]]
    assert [step for step, _ in losses] == list(range(1, progress["run"]["total_steps"] + 1)), losses
    paths = [os.path.join(progress["run"]["model_folder"], name) for name in ("model.safetensors", "adapter_model.safetensors")]
    with open(next(path for path in paths if os.path.exists(path)), "rb") as file:
        weights = hashlib.sha256(file.read()).hexdigest()
    return weights, hashlib.sha256(json.dumps(losses).encode()).hexdigest(), losses
