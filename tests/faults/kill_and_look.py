"""Kills every command that makes or removes something at random moments. After each kill the next command opens the
home; then nothing may be left of what was broken off, and every record must have its whole folder.

    kill_and_look.py ENGINE HOME --model DIR --data FILE [--kills 50] [--seed S] --

HOME is a folder that is not there yet. DIR is a model folder, FILE has texts. The number of kills is for each command.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

from engine import arguments as read_arguments, ask, command

PARTS = {"datasets": "name", "models": "name", "runs": "id"}
# What a home may hold beside these.
KNOWN = {"datasets", "models", "runs", "home.lock", "history.sqlite", "history.sqlite-wal", "history.sqlite-shm"}


def look(found):
    """Opens the home as the next command does, and checks that folders and records are the same."""
    records = {part: [str(one[key]) for one in ask(found, part, "list")] for part, key in PARTS.items()}
    stranger = set(os.listdir(found.home)) - KNOWN
    assert not stranger, f"left in the home: {stranger}"
    for part, names in records.items():
        folders = sorted(os.listdir(os.path.join(found.home, part)))
        assert folders == sorted(names), f"{part}: folders {folders}, records {sorted(names)}"
    for name in records["datasets"]:
        ask(found, "datasets", "show", name)
        names = os.listdir(os.path.join(found.home, "datasets", name))
        assert not any(one.startswith(".") or one.endswith((".new", ".part")) for one in names), names
    for name in records["models"]:
        if name == "words":
            continue
        folder = os.path.join(found.home, "models", name)
        assert ".placing" not in os.listdir(folder)
        weights = "model.safetensors"
        assert os.path.getsize(os.path.join(folder, weights)) == os.path.getsize(os.path.join(found.model, weights))
    for run in records["runs"]:
        names = os.listdir(os.path.join(found.home, "runs", run))
        assert not any(one.endswith((".new", ".old", ".part")) for one in names), names
    return records


def run(found, *words):
    done = subprocess.run(command(found, *words), capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stderr}"


class Job:
    """A command to kill: what has to be there before, and what is done with what it may have made."""

    def __init__(self, name, words, before=lambda: None, after=lambda records: None):
        self.name, self.words, self.before, self.after = name, words, before, after


def jobs(found, adapter):
    def forget(part, *names):
        def after(records):
            for name in names:
                if name in records[part]:
                    run(found, part, "remove", name)

        return after

    def has(part, name, *words):
        def before():
            if name not in [str(one[PARTS[part]]) for one in ask(found, part, "list")]:
                run(found, *words)

        return before

    newest = {}

    def a_run():
        run(found, "train", "--data", "texts", "--model", "words", "--max-steps", "1")
        newest["id"] = str(ask(found, "runs", "list")[0]["id"])

    def an_adapter():
        model = os.path.join(found.home, "runs", "1", "model")
        shutil.rmtree(model, ignore_errors=True)
        shutil.copytree(adapter, model)

    def predicts(_):
        run(found, "predict", "--run", "1", "a text")

    whole = ["datasets", "import", found.data, "--name", "more"]
    parts = [f"parted-{part}" for part in ("train", "valid", "test")]
    return [
        Job("datasets import", lambda: whole, after=forget("datasets", "more")),
        Job("datasets clean", lambda: ["datasets", "clean", "texts", "--to", "clean"], after=forget("datasets", "clean")),
        Job(
            "datasets split",
            lambda: ["datasets", "split", "texts", "--to", "parted", "--test", "0.1"],
            after=forget("datasets", *parts),
        ),
        Job(
            "datasets sample",
            lambda: ["datasets", "sample", "texts", "--to", "few", "--fraction", "0.5"],
            after=forget("datasets", "few"),
        ),
        Job("datasets remove", lambda: ["datasets", "remove", "more"], before=has("datasets", "more", *whole)),
        Job("models add", lambda: ["models", "add", found.model, "--name", "other"], after=forget("models", "other")),
        Job(
            "models remove",
            lambda: ["models", "remove", "other"],
            before=has("models", "other", "models", "add", found.model, "--name", "other"),
        ),
        Job("runs remove", lambda: ["runs", "remove", newest["id"]], before=a_run),
        Job("runs merge", lambda: ["runs", "merge", "1"], before=an_adapter, after=predicts),
    ]


def main():
    found = read_arguments(("--kills", int, 50), ("--seed", int, int(time.time())))
    chance = random.Random(found.seed)
    run(found, "datasets", "import", found.data, "--name", "texts")
    run(found, "models", "add", found.model, "--name", "base")
    learn = ["--trainable", "lora", "--max-length", "32", "--max-steps", "1", "--sample-fraction", "0.01"]
    run(found, "train", "--data", "texts", "--model", "base", *learn)
    adapter = found.home + "-adapter"
    shutil.copytree(os.path.join(found.home, "runs", "1", "model"), adapter)
    look(found)
    for job in jobs(found, adapter):
        job.before()
        begin = time.time()
        run(found, *job.words())
        took = time.time() - begin
        job.after(look(found))
        kills, ended = 0, 0
        while kills < found.kills:
            job.before()
            process = subprocess.Popen(command(found, *job.words()), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            # The end is where folders come into their places or go: half of all kills are for it.
            moment = chance.uniform(0, took) if kills % 2 else took * chance.uniform(0.7, 1.05)
            try:
                process.wait(moment)
                ended += 1
                # The first time may have taken longer than all that come.
                took *= 0.97
                if ended > 20 * found.kills:
                    raise SystemExit(f"{job.name}: it is over before it can be killed")
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
            job.after(look(found))
        print(f"  {job.name}: {kills} kills with -9 within {took:.2f} s, {ended} ended before; nothing is left, no record lies")
    print(f"  seed {found.seed}")


main()
