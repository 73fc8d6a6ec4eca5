#!/usr/bin/env python3
"""Compares the class counts of our stratified tenth and its split with those of Hugging Face's datasets.

    .venv/bin/python tests/reference/splits_parity.py PROGRAM [--seed N] [--cases 200]

PROGRAM is the example `stratified_counts` of the crate `data`. Cases are random, besides one with the type counts of
each CSV file that is named after the options. Counts have to be the same, but for classes of exactly the same
remainder, among which datasets draws and we take the first.
"""
import argparse
import collections
import csv
import json
import pathlib
import random
import subprocess
import sys

p = argparse.ArgumentParser()
p.add_argument("program")
p.add_argument("--seed", type=int, default=0)
p.add_argument("--cases", type=int, default=200)
p.add_argument("files", nargs="*")
a = p.parse_args()
draw = random.Random(a.seed)
cases = [[draw.randrange(15, 10 ** draw.choice([2, 3, 3])) for _ in range(draw.randrange(2, 17))] for _ in range(a.cases)]
csv.field_size_limit(1 << 30)
for path in a.files:
    with open(path, encoding="utf-8", newline="") as file:
        cases.append(sorted(collections.Counter(row["mbti"] for row in csv.DictReader(file)).values()))

here = pathlib.Path(__file__).parent


def answers(command):
    found = subprocess.run(command, input=json.dumps(cases), capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in found.strip().splitlines()]


theirs, ours = answers([sys.executable, str(here / "stratified_counts.py")]), answers([a.program])
same = drawn = refused = 0
wrong = []
for counts, other, found in zip(cases, theirs, ours, strict=True):
    if "error" in other:
        refused += 1
        continue
    ties = {part: set(other["tied"][part]["classes"]) for part in ("tenth", "split")}
    apart = {part: {place for place, pair in enumerate(zip(other[part], found[part])) if pair[0] != pair[1]}
             for part in ("tenth", "train", "test")}
    alike = all(sum(other[part]) == sum(found[part]) for part in apart) and apart["tenth"] <= ties["tenth"]
    if not any(apart.values()):
        same += 1
    elif alike and (apart["tenth"] or apart["train"] | apart["test"] <= ties["split"]):
        # Of another tenth the parts are others too; that they have its sizes was seen.
        drawn += 1
    else:
        wrong.append((counts, other, found))
print(f"{same} of {len(cases)} cases have the same counts in all parts, {drawn} differ only by a draw among equal "
      f"remainders, {refused} are refused by datasets, which wants two texts of each type; {len(wrong)} differ.")
for case in wrong[:5]:
    print(json.dumps(case))
sys.exit(bool(wrong))
