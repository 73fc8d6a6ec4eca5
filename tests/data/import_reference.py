#!/usr/bin/env python3
"""Measures how pandas or Hugging Face's datasets reads, samples and splits a data set, as a line of JSON.

    .venv/bin/python tests/data/import_reference.py pandas|datasets CSV

CSV has the column mbti. Stages, each with its seconds: "read", to a frame or, with datasets, to Arrow files in a cache
that is empty at first and removed at the end; "encode", with datasets only, types to numbers, which writes the Arrow
files anew; "tenth", a tenth of the texts, each type in proportion; "split", this tenth in 80 and 20 per cent, again in
proportion. datasets goes through the column of types row by row where it splits, which is nearly all of its time there
in version 5.2.0. mb_per_s is the file's size in millions of bytes over the seconds of reading, imports_mib what was
resident before it, peak_rss_mib the largest resident size of the process or of a child of it, whichever is larger. Of
datasets this counts pages of its Arrow files too, which are mapped into memory. tenth, train and test have the number
of texts of each type.
"""
import json
import os
import resource
import sys
import tempfile
import time

if len(sys.argv) != 3 or sys.argv[1] not in ("pandas", "datasets"):
    sys.exit(__doc__)
mode, path = sys.argv[1:]
seconds = {}
os.environ["HF_HUB_OFFLINE"] = "1"


def peak_mib():
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def timed(stage, function):
    begin = time.perf_counter()
    result = function()
    seconds[stage] = time.perf_counter() - begin
    peaks[stage] = round(peak_mib())
    return result


def by_pandas():
    frame = timed("read", lambda: pandas.read_csv(path))
    tenth = timed("tenth", lambda: train_test_split(
        frame, train_size=0.1, stratify=frame["mbti"], random_state=0)[0])
    parts = timed("split", lambda: train_test_split(
        tenth, test_size=0.2, stratify=tenth["mbti"], random_state=1))
    return len(frame), [part["mbti"].value_counts().sort_index().to_dict() for part in (tenth, *parts)]


def by_datasets(cache):
    whole = timed("read", lambda: datasets.load_dataset("csv", data_files=path, split="train", cache_dir=cache))
    encoded = timed("encode", lambda: whole.class_encode_column("mbti"))
    tenth = timed("tenth", lambda: encoded.train_test_split(
        train_size=0.1, stratify_by_column="mbti", seed=0)["train"])
    parts = timed("split", lambda: tenth.train_test_split(test_size=0.2, stratify_by_column="mbti", seed=1))
    names = tenth.features["mbti"].names
    counts = [numpy.bincount(part["mbti"][:], minlength=len(names)).tolist()
              for part in (tenth, parts["train"], parts["test"])]
    return len(whole), [dict(zip(names, found)) for found in counts]


begin = time.perf_counter()
if mode == "pandas":
    import pandas
    from sklearn.model_selection import train_test_split
    version = pandas.__version__
else:
    import datasets
    import numpy
    datasets.disable_progress_bars()
    version = datasets.__version__
seconds["imports"] = time.perf_counter() - begin
imports_mib = round(peak_mib())
peaks = {}

if mode == "pandas":
    rows, counts = by_pandas()
else:
    with tempfile.TemporaryDirectory() as cache:
        rows, counts = by_datasets(cache)

print(json.dumps({
    "mode": mode, "version": version, "rows": rows, "bytes": os.path.getsize(path),
    "seconds": {stage: round(found, 3) for stage, found in seconds.items()},
    "mb_per_s": round(os.path.getsize(path) / 1e6 / seconds["read"], 1),
    "imports_mib": imports_mib, "peak_rss_mib": round(peak_mib()), "peak_rss_mib_after": peaks,
    "tenth": counts[0], "train": counts[1], "test": counts[2],
}))
