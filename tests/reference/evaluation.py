#!/usr/bin/env python3
"""Judges a model with Transformers and scikit-learn, for crates/cli/tests/evaluate.rs.

Makes a small BERT, saves it by Transformers with a tokenizer of letters and with the temperatures of a run, loads both
again, and writes the folder, some texts, Transformers' logits of them and scikit-learn's metrics to
tests/reference/fixtures/evaluation. `mbti evaluate` has to find the same.

    tests/reference/evaluation.py --out tests/reference/fixtures/evaluation
"""
import argparse
import json
import os
import warnings

import numpy as np
import torch
from scipy.special import expit
from transformers import (AutoModelForSequenceClassification, AutoTokenizer, BertConfig,
                          BertForSequenceClassification, PreTrainedTokenizerFast)

from metrics_parity import CLASS_1, commonest, level, units_of

AXES = ["E-I", "N-S", "F-T", "J-P"]
TEMPERATURES = {"E-I": 1.75, "N-S": 0.5, "J-P": 3.25}
MAX_LENGTH = 24
AUTHORS, TEXTS, SEED = 9, 48, 5


def tokenizer_file(path):
    letters = {chr(ord("a") + number): number + 4 for number in range(26)}
    content = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "decoder": None,
        "normalizer": {"type": "Lowercase"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "pre_tokenizer": {"type": "Split", "pattern": {"String": ""}, "behavior": "Isolated", "invert": False},
        "model": {"type": "WordLevel", "unk_token": "[UNK]",
                  "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, **letters}},
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file)
    return path


def calibration(temperature):
    """As record::Calibration, of which an evaluation reads the temperature."""
    return {"temperature": temperature, "at_limit": False, "fitted_texts": 10, "judged_texts": 10, "log_loss": None,
            "calibrated_log_loss": None, "expected_calibration_error": None,
            "calibrated_expected_calibration_error": None, "band": {"logits": [], "lower": [], "upper": []}}


def save_model(folder, texts):
    """The classifier's bias is such that every axis has texts on both sides."""
    torch.manual_seed(SEED)
    labels = {number: axis.split("-")[1] for number, axis in enumerate(AXES)}
    config = BertConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, initializer_range=0.6, id2label=labels,
        label2id={label: number for number, label in labels.items()}, problem_type="multi_label_classification",
        mbti_tuner={"model": "tiny", "max_length": MAX_LENGTH,
                    "calibration": {axis: calibration(value) for axis, value in TEMPERATURES.items()}})
    model = BertForSequenceClassification(config)
    model.save_pretrained(folder)
    file = tokenizer_file(os.path.join(folder, "tokenizer.json"))
    PreTrainedTokenizerFast(tokenizer_file=file, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]",
                            sep_token="[SEP]").save_pretrained(folder)
    with torch.no_grad():
        model.classifier.bias -= torch.tensor(np.median(logits_of(folder, texts), axis=0), dtype=torch.float32)
    model.save_pretrained(folder)


def made_up_texts():
    random = np.random.default_rng(SEED)
    of_author = ["".join(pair[random.integers(2)] for pair in ("EI", "NS", "FT", "JP")) for _ in range(AUTHORS)]
    texts = []
    for number in range(TEXTS):
        author = int(random.integers(AUTHORS))
        length = int(random.integers(4, 40))
        text = "".join(chr(ord("a") + random.integers(26)) for _ in range(length))
        texts.append({"author": f"a{author}", "text": text, "mbti": of_author[author]})
    return texts


def logits_of(folder, texts):
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = []
    with torch.no_grad():
        for one in texts:
            ids = tokenizer(one["text"], truncation=True, max_length=MAX_LENGTH, return_tensors="pt")
            found.append(model(input_ids=ids["input_ids"]).logits[0].tolist())
    return np.array(found)


def judged(texts, logits):
    """By text and by author, as record::Level without intervals, the logits divided by the temperatures."""
    calibrated = logits / np.array([TEMPERATURES.get(axis, 1.0) for axis in AXES])
    types = [one["mbti"] for one in texts]
    units, count = units_of([one["author"] for one in texts])

    def classes(types):
        return [[any(letter in name and letter in CLASS_1 for letter in axis.split("-")) for name in types]
                for axis in AXES]

    of_unit = [[text for text in range(len(texts)) if units[text] == unit] for unit in range(count)]
    means = np.array([calibrated[rows].mean(axis=0) for rows in of_unit])
    author_types = [commonest([types[text] for text in rows]) for rows in of_unit]
    by_text = level(AXES, classes(types), expit(calibrated).T, units, [])
    by_author = level(AXES, classes(author_types), expit(means).T, list(range(count)), [])
    # Whatever is nearly undecided could be told the other way by another sum of the same numbers.
    assert min(abs(calibrated).min(), abs(means).min()) > 1e-4
    balanced = [axis["metrics"]["balanced_accuracy"] for axis in by_text["axes"].values()]
    return {"by_text": by_text, "by_author": by_author, "mean_balanced_accuracy": float(np.mean(balanced))}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    folder = os.path.join(arguments.out, "model")
    os.makedirs(folder, exist_ok=True)
    texts = made_up_texts()
    save_model(folder, texts)
    logits = logits_of(folder, texts)
    expected = {"texts": texts, "axes": AXES, "temperatures": TEMPERATURES, "logits": logits.tolist(),
                **judged(texts, logits)}
    with open(os.path.join(arguments.out, "expected.json"), "w", encoding="utf-8") as file:
        json.dump(expected, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
