"""Runs programs one after another, each with a time limit, and keeps their exit codes and output."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time


class Steps:
    """The steps that have run so far, with their results."""

    def __init__(self, logs):
        self.logs = pathlib.Path(logs)
        self.all = []

    def run(self, name, commands, env, limit):
        """Runs commands until one fails or `limit` seconds have passed. Their output goes to the step's log file."""
        print(f"{name} …", file=sys.stderr, flush=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / (name.replace(" ", "-").replace(":", "") + ".log")
        began, status, why, out = time.monotonic(), "passed", None, ""
        with open(log, "wb") as file:
            for command in commands:
                left = limit - (time.monotonic() - began)
                code, out = ended(command, env, max(left, 1.0), file)
                if code is None:
                    status, why = "failed", f"it took more than {limit:.0f} s"
                elif code != 0:
                    status, why = "failed", f"it ended with {signalled(code)}"
                if code != 0:
                    break
        step = {"name": name, "status": status, "seconds": round(time.monotonic() - began, 1), "log": log.name}
        if why:
            step["why"] = f"{why}: {last_words(log)}"
        self.add(step)
        return step, out

    def skip(self, name, why):
        self.add({"name": name, "status": "skipped", "why": why})

    def add(self, step):
        self.all.append(step)
        why = f": {step['why']}" if "why" in step else ""
        print(f"{step['name']}: {step['status']}{why}", file=sys.stderr, flush=True)


def ended(command, env, limit, log):
    """The exit code (none after a timeout) and standard output. Everything is also written to `log`."""
    log.write(f"$ {' '.join(map(str, command))}\n".encode())
    log.flush()
    # In a group of its own: what it has started ends with it.
    try:
        process = subprocess.Popen(
            command, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        log.write(f"error: {error}\n".encode())
        return 127, ""
    try:
        out, _ = process.communicate(timeout=limit)
        code = process.returncode
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
        code = None
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
    log.write(out)
    return code, out.decode(errors="replace")


def signalled(code):
    return f"code {code}" if code > 0 else signal.Signals(-code).name


def last_words(log):
    """Why a program failed, in its own words: the first panic or error, else the last line."""
    # The log of a step names each command before what it says.
    last = ("\n" + log.read_text(errors="replace")).split("\n$ ")[-1]
    lines = [line.strip() for line in last.splitlines()[1:] if line.strip()]
    marks = ("panicked at", "error:", "Error:", "ERROR SUMMARY", "error while loading")
    at = next((at for at, line in enumerate(lines) if any(mark in line for mark in marks)), len(lines) - 1)
    return " ".join(lines[at : at + 2])[:300]


def measured(command, env, limit):
    """The JSON object that a program prints, or {"failed": WHY}."""
    try:
        done = subprocess.run(
            command, env={**os.environ, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"it took more than {limit:.0f} s"}
    except OSError as error:
        return {"failed": str(error)}
    if done.returncode == 0:
        try:
            return json.loads(done.stdout.strip().splitlines()[-1])
        except (ValueError, IndexError):
            return {"failed": f"it printed no JSON: {done.stdout[-200:]!r}"}
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    # Rust's message comes after the line that names its place, PyTorch's comes last.
    at = next((at for at, line in enumerate(lines) if "panicked at" in line), len(lines) - 1)
    return {"failed": f"{signalled(done.returncode)}: {' '.join(lines[at : at + 2])[:300]}"}
