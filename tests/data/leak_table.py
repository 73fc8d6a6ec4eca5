#!/usr/bin/env python3
"""What splits by text and by author leak, and what the bag of words makes of either; and the same of a data set
whose texts name types, with and without those words. Prints tables in Markdown.

    python3 leak_table.py ENGINE HOME BENCH-CSV KAGGLE-CSV
"""
import json
import shutil
import statistics
import subprocess
import sys

engine, home, bench, kaggle = sys.argv[1:]
SEEDS = (0, 1, 2)
AXES = ("E-I", "N-S", "F-T", "J-P")
shutil.rmtree(home, ignore_errors=True)


def run(*words):
    done = subprocess.run([engine, "--home", home, "--json", *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{words}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def leaks(data, by):
    found = [run("datasets", "leaks", data, "--by", by, "--seed", str(seed))[0] for seed in SEEDS]
    def mean(value):
        return statistics.mean(100 * value(one) / one["split"]["valid_examples"] for one in found)
    counts = [mean(lambda one, name=name: one[name]) for name in
              ("leaking_texts", "texts_of_shared_authors", "exact_duplicates", "near_duplicates", "own_type_named",
               "type_words")]
    alone = [one["type_words_alone"] for one in found if one["type_words_alone"]]
    alone = [statistics.mean(one[axis] for one in alone) for axis in AXES] if alone else []
    return counts, alone


def words(data, by):
    """Balanced accuracy by text of the bag of words on each axis, the mean over the seeds."""
    found = []
    for seed in SEEDS:
        events = run("train", "--data", data, "--model", "words", "--axes", ",".join(AXES), "--split-by", by, "--seed",
                     str(seed))
        number = next(event for event in events if event["event"] == "finished")["run"]
        axes = run("runs", "show", str(number))[0]["run"]["assessment"]["by_text"]["axes"]
        found.append([axes[axis]["metrics"]["balanced_accuracy"] for axis in AXES])
    return [statistics.mean(column) for column in zip(*found)]


for name, path in (("bench", bench), ("kaggle", kaggle)):
    run("datasets", "import", path, "--name", name)
run("datasets", "clean", "kaggle", "--to", "kaggle-masked", "--type-words", "mask")
rows = [(data, by) for data in ("bench", "kaggle", "kaggle-masked") for by in ("text", "author")]
print("| data set | split by | leaking texts | shared authors | exact | near | own type named | any type word |")
print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
alone = {}
for data, by in rows:
    counts, alone[data, by] = leaks(data, by)
    print(f"| {data} | {by} | **{counts[0]:.1f} %** | " + " | ".join(f"{count:.1f} %" for count in counts[1:]) + " |")
print()
print("| data set | split by | learned from | " + " | ".join(AXES) + " |")
print("| --- | --- | --- | " + " | ".join("---:" for _ in AXES) + " |")
for data, by in rows:
    print(f"| {data} | {by} | texts | " + " | ".join(f"{value:.3f}" for value in words(data, by)) + " |", flush=True)
    if alone[data, by]:
        print(f"| {data} | {by} | type words alone | " + " | ".join(f"{value:.3f}" for value in alone[data, by]) + " |")
