#!/usr/bin/env python3
"""How many texts of each type train_test_split of Hugging Face's datasets takes, for comparing our counts with them.

    .venv/bin/python tests/reference/stratified_counts.py < CASES

CASES is a JSON list, each case a list of numbers of texts, one for each type. For each case a line of JSON: "counts",
as read; "tenth", what train_size=0.1 and seed 0 takes; "train" and "test", what test_size=0.2 and seed 1 makes of that
tenth. Where datasets refuses a case, "error" says why instead.

datasets shares out the number of texts by the largest remainder, first for the part to learn from; where classes with
the same remainder are more than the texts left over, it draws among them. "tied" tells for the tenth and for the split
which classes have that remainder: other counts are as right where only these differ and all sums are the same.
"by_rounding" is true where datasets sees no such tie or one of fewer classes, as its floating-point numbers differ in
their last bits.
"""
import json
import sys
from fractions import Fraction

import datasets
import numpy


def tied(remainders, left):
    """The classes that have the remainder of the last that gets a text more, if not all of them get one."""
    if left == 0:
        return []
    last = sorted(remainders, reverse=True)[left - 1]
    classes = [place for place, remainder in enumerate(remainders) if remainder == last]
    return classes if sum(remainder >= last for remainder in remainders) > left else []


def ties(counts, taken):
    """The ties in taking this many of all."""
    exact = [Fraction(taken * count, sum(counts)) for count in counts]
    rounded = taken * numpy.array(counts) / sum(counts)
    left = taken - sum(int(share) for share in exact)
    classes = tied([share % 1 for share in exact], left)
    return {"classes": classes, "by_rounding": classes != tied((rounded - numpy.floor(rounded)).tolist(), left)}


datasets.disable_progress_bars()
for counts in json.load(sys.stdin):
    found = {"counts": counts}
    classes = datasets.ClassLabel(num_classes=len(counts))
    whole = datasets.Dataset.from_dict({"mbti": numpy.repeat(numpy.arange(len(counts)), counts)},
                                       features=datasets.Features({"mbti": classes}))

    def counted(part):
        return numpy.bincount(part["mbti"][:], minlength=len(counts)).tolist()

    try:
        tenth = whole.train_test_split(train_size=0.1, stratify_by_column="mbti", seed=0)["train"]
        found["tenth"] = counted(tenth)
        parts = tenth.train_test_split(test_size=0.2, stratify_by_column="mbti", seed=1)
        found["train"], found["test"] = counted(parts["train"]), counted(parts["test"])
        found["tied"] = {"tenth": ties(counts, len(tenth)), "split": ties(found["tenth"], len(parts["train"]))}
    except ValueError as error:
        found["error"] = str(error)
    print(json.dumps(found))
