"""Lets the disk run full in the midst of a run: the error must be clear, the last checkpoint whole,
and after room is made the run must end as one that never met a full disk.

    full_disk.py ENGINE FOLDER --model DIR --data FILE -- TRAIN ARGUMENTS

FOLDER is an empty tmpfs, which is the home. Run by scripts/faults.sh in a mount namespace.
"""

import os
import subprocess
import sys
import time

from engine import arguments as read_arguments, ask, command, result


def main():
    arguments = read_arguments()

    def run(*words):
        done = subprocess.run(command(arguments, *words), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    run("datasets", "import", arguments.data, "--name", "texts")
    run("models", "add", arguments.model, "--name", "model")
    train = ["train", "--data", "texts", "--model", "model", *arguments.train]
    run(*train)
    expected = result(arguments, 1)
    run("runs", "remove", "1")

    process = subprocess.Popen(
        command(arguments, *train), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    checkpoints = os.path.join(arguments.home, "runs", "2", "checkpoints")
    while process.poll() is None and not (os.path.isdir(checkpoints) and any(n[5:].isdigit() for n in os.listdir(checkpoints))):
        time.sleep(0.005)
    ballast = os.path.join(arguments.home, "ballast")
    with open(ballast, "wb") as file:
        try:
            while True:
                file.write(b"\0" * (1 << 16))
                file.flush()
        except OSError:
            pass
        # Room for the history, and not for a checkpoint, which is what fails.
        file.truncate(max(0, os.path.getsize(ballast) - (20 << 20)))
    error = process.communicate()[1]
    last = error.strip().splitlines()[-1] if error.strip() else "(nothing)"
    print(f"full disk: exit code {process.returncode}, {last}")
    assert process.returncode == 1 and "panicked" not in error, error
    assert "No space left" in last and "room" in last, last
    os.remove(ballast)
    names = sorted(os.listdir(checkpoints))
    assert all(name[5:].isdigit() for name in names), names
    progress = ask(arguments, "runs", "show", "2")
    print(f"  status {progress['run']['status']}, resumable {progress['resumable']}, checkpoints {names}")
    assert progress["resumable"], progress
    run("train", "--resume", "2")
    found = result(arguments, 2)
    print(f"  never full: {expected[0]}\n  went on:    {found[0]}")
    if found != expected:
        print("  DIFFERENT")
        sys.exit(1)
    print("  the same weights and losses, bit for bit")


main()
