"""Kills a training engine at random moments and lets it go on, again and again; the end must be that
of a run that was never killed: the same losses and the same weights, bit for bit.

    kill_and_resume.py ENGINE HOME --model NAME --data NAME [--kills 30] [--seed S] -- TRAIN ARGUMENTS

Prints for both runs the SHA-256 of the final weights and of the losses, and ends with 1 when they
differ.
"""

import os
import random
import signal
import subprocess
import sys
import time

from engine import arguments as read_arguments, ask, command, result


def newest_run(arguments):
    runs = ask(arguments, "runs", "list")
    return runs[0] if runs else None


def main():
    arguments = read_arguments(("--kills", int, 30), ("--seed", int, int(time.time())))
    chance = random.Random(arguments.seed)
    train = ["train", "--data", arguments.data, "--model", arguments.model, *arguments.train]

    begin = time.time()
    subprocess.run(command(arguments, *train), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    whole = newest_run(arguments)["id"]
    expected = result(arguments, whole)
    took = time.time() - begin
    steps = len(expected[2])

    kills, at_saving, run = 0, 0, None
    while True:
        resumable = run is not None and ask(arguments, "runs", "show", str(run))["resumable"]
        words = ["train", "--resume", str(run)] if resumable else train
        process = subprocess.Popen(command(arguments, *words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if kills >= arguments.kills:
            error = process.communicate()[1]
            assert process.returncode == 0, error.decode()
            break
        # Every third kill waits for a checkpoint that is being written and comes in the midst of it.
        folder = None
        if kills % 3 == 2 and run is not None:
            folder = os.path.join(arguments.home, "runs", str(run), "checkpoints")
        until = time.time() + chance.uniform(0.2, max(1.0, took / 6))
        while process.poll() is None and time.time() < until + (10 if folder else 0):
            if folder and time.time() >= until and os.path.isdir(folder) and any(n.endswith(".new") for n in os.listdir(folder)):
                time.sleep(chance.uniform(0, 0.1))
                at_saving += 1
                break
            time.sleep(0.002)
        if process.poll() is not None:
            assert process.returncode == 0, process.stderr.read().decode()
            print(f"  the run ended after {kills} kills; begun anew", file=sys.stderr)
            assert result(arguments, run)[:2] == expected[:2], "a run that ended is another one"
            run = None
            continue
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        found = newest_run(arguments)
        if found["id"] != whole and found["status"] != "finished":
            run = found["id"]
    found = result(arguments, newest_run(arguments)["id"])
    print(f"{steps} steps, {kills} kills with -9 ({at_saving} while a checkpoint was written), seed {arguments.seed}")
    print(f"  never killed: weights {expected[0]}\n                losses  {expected[1]}")
    print(f"  killed:       weights {found[0]}\n                losses  {found[1]}")
    if found[:2] != expected[:2]:
        differ = [(a, b) for a, b in zip(expected[2], found[2]) if a != b]
        print(f"  DIFFERENT; the first losses that do: {differ[:3]}")
        sys.exit(1)
    print("  the same, bit for bit")


main()
