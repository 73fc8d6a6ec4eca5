#!/usr/bin/env python3
"""Imports a large CSV file, takes the tutorial's tenth, splits it and trains until the first step; prints the time
and the most memory of each.

    python3 large_import.py ENGINE CSV HOME
"""
import json
import os
import shutil
import subprocess
import sys
import time

engine, path, home = sys.argv[1:]
shutil.rmtree(home, ignore_errors=True)


def measured(name, *words, until=None):
    """Runs the engine to its end, or until it tells an event of this name."""
    begin = time.perf_counter()
    process = subprocess.Popen([engine, "--home", home, "--json", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    peak = 0
    for line in process.stdout:
        if until and json.loads(line).get("event") == until:
            with open(f"/proc/{process.pid}/status") as status:
                peak = next(int(found.split()[1]) for found in status if found.startswith("VmHWM"))
            process.kill()
            break
    _, status, usage = os.wait4(process.pid, 0)
    seconds, peak = time.perf_counter() - begin, peak or usage.ru_maxrss
    if status and not until:
        sys.exit(f"{words} failed")
    rate = f", {os.path.getsize(path) / 1e6 / seconds:.0f} MB/s" if name == "import" else ""
    busy = usage.ru_utime + usage.ru_stime
    print(f"{name}: {seconds:.1f} s ({busy:.1f} s of a core){rate}; {peak / 1024:.0f} MiB", flush=True)


measured("import", "datasets", "import", path, "--name", "hub")
measured("tenth", "datasets", "sample", "hub", "--to", "tenth", "--fraction", "0.1", "--seed", "0")
measured("split", "datasets", "split", "tenth", "--valid", "0.2", "--by", "text", "--seed", "1")
measured("first step of the bag of words on that tenth", "train", "--data", "tenth-train", "--valid", "tenth-valid",
         "--model", "words", "--axes", "J-P", "--logging-steps", "1", until="step")
