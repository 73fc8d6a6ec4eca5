#!/usr/bin/env python3
"""A table in Markdown of what runs tell of each axis, beside the majority line and the bag of words.

    mbti runs show ID --json | scripts/results.py authors|texts METRIC …

METRIC is a name such as balanced_accuracy. A cell is the value with its 95 % interval.
"""
import json
import math
import sys

level, metrics = ("by_author" if sys.argv[1] == "authors" else "by_text"), sys.argv[2:]
run = json.load(sys.stdin)["run"]
words = (run.get("baseline") or {}).get("assessment")


def cell(assessment, axis, metric):
    judged = assessment[level]["axes"][axis]
    value, interval = judged["metrics"].get(metric), judged["intervals"].get(metric)
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def majority(axis, metric):
    share = run["assessment"][level]["axes"][axis]["metrics"]["majority_accuracy"]
    entropy = -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)
    known = {"accuracy": share, "balanced_accuracy": 0.5, "roc_auc": 0.5, "macro_f1": share / (1 + share),
             "log_loss": entropy}
    return f"{known[metric]:.3f}" if metric in known else "–"


columns = ["majority"] + (["`words`"] if words else []) + [f"`{run['config']['model']}`"]
print(f"| axis | measure | {' | '.join(columns)} |")
print("| --- | --- |" + " ---: |" * len(columns))
for axis in run["config"]["axes"]:
    for metric in metrics:
        cells = [majority(axis, metric)] + ([cell(words, axis, metric)] if words else [])
        print(f"| {axis} | {metric} | {' | '.join(cells + [cell(run['assessment'], axis, metric)])} |")
