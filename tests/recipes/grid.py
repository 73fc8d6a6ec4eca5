#!/usr/bin/env python3
"""grid.py ENGINE HOME OUT --data NAME … --model NAME … [--seeds 5] [--set NAME=VALUE …] [--title TEXT]

Trains each model on each data set with each seed from 0 on, by the command line's defaults and what --set changes, and prints a
table in Markdown: the mean balanced accuracy over the axes by text, of the mean and the worst seed, beside the bag of words that
learned from the same texts, and what a run took. OUT is a file of JSON lines, one a run; runs that it has are not done again.
"""
import argparse
import json
import statistics
import subprocess
from pathlib import Path


def engine(args, *command):
    done = subprocess.run([args.engine, "--home", args.home, *command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"mbti {' '.join(command)}: {done.stderr[-2000:]}")
    return done.stdout


def mean_of(assessment, level="by_text", metric="balanced_accuracy"):
    axes = assessment[level]["axes"].values()
    return statistics.fmean(axis["metrics"][metric] for axis in axes)


def one(args, data, model, seed):
    settings = [f"--{name.replace('_', '-')}={value}" for name, value in (pair.split("=", 1) for pair in args.set)]
    out = engine(args, "train", "--data", data, "--model", model, "--seed", str(seed), "--device", "cpu", "--json", *settings)
    events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    number = next(event["run"] for event in events if event.get("event") == "finished")
    shown = json.loads(engine(args, "runs", "show", str(number), "--json"))
    run = shown["run"]
    assessment, words = run["assessment"], (run.get("baseline") or {}).get("assessment")
    axes = assessment["by_text"]["axes"].values()
    return {
        "data": data, "model": model, "seed": seed, "settings": sorted(args.set),
        "balanced_accuracy": mean_of(assessment),
        "axes": [round(axis["metrics"]["balanced_accuracy"], 4) for axis in axes],
        "by_author": mean_of(assessment, "by_author"),
        "roc_auc": mean_of(assessment, metric="roc_auc"),
        "log_loss": mean_of(assessment, metric="log_loss"),
        "majority_accuracy": mean_of(assessment, metric="majority_accuracy"),
        "accuracy": mean_of(assessment, metric="accuracy"),
        "words": mean_of(words) if words else mean_of(assessment),
        "seconds": next(event["train_seconds"] for event in events if event.get("event") == "finished"),
        "best_step": next(event.get("best_step") for event in events if event.get("event") == "finished"),
        "collapsed": [problem["code"] for problem in run["collapse"]],
    }


def table(rows, title):
    print(f"\n### {title}\n" if title else "")
    print("| data | model | settings | seeds | `words` | balanced accuracy, mean | worst seed | by author | ROC AUC | ahead of `words` | s a run | collapsed |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    groups = {}
    for row in rows:
        groups.setdefault((row["data"], row["model"], " ".join(row["settings"])), []).append(row)
    for (data, model, settings), found in groups.items():
        mean = lambda name: statistics.fmean(row[name] for row in found)
        worst = min(row["balanced_accuracy"] for row in found)
        ahead = sum(row["balanced_accuracy"] > row["words"] for row in found)
        print(f"| {data} | {model} | {settings or 'defaults'} | {len(found)} | {mean('words'):.3f} | {mean('balanced_accuracy'):.3f} "
              f"| {worst:.3f} | {mean('by_author'):.3f} | {mean('roc_auc'):.3f} | {ahead} of {len(found)} | {mean('seconds'):.0f} "
              f"| {sum(bool(row['collapsed']) for row in found)} |")


def main():
    parser = argparse.ArgumentParser()
    for name in ("engine", "home", "out"):
        parser.add_argument(name)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--model", nargs="+", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--title", default="")
    args = parser.parse_args()
    path = Path(args.out)
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    for data in args.data:
        for model in args.model:
            for seed in range(args.seeds):
                key = (data, model, seed, sorted(args.set))
                if any((row["data"], row["model"], row["seed"], row["settings"]) == key for row in rows):
                    continue
                rows.append(one(args, data, model, seed))
                with path.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
                print(json.dumps(rows[-1]), flush=True)
    table(rows, args.title)


if __name__ == "__main__":
    main()
