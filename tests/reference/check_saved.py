#!/usr/bin/env python3
"""Loads with Transformers and PEFT what our program has saved, and compares the logits.

    .venv/bin/python tests/reference/check_saved.py DIR

DIR holds case folders as families.py writes them. In each that has ours/, these are read:

    ours/full/, ours/merged/      model folders: no key may be missing, unexpected or of another shape
    ours/lora/                    an adapter for the case's model/, with a config.json that has the labels
    ours/logits.safetensors       "full", "lora", "merged": our logits of the case's texts

Prints a table of the largest difference of logits, and fails when one is over 1e-4 or a check fails.
"""
import json
import pathlib
import sys
import warnings

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

LETTERS = {"J-P": ["J", "P"], "all": ["I", "S", "T", "P"]}
TOLERANCE = 1e-4


def check(holds, message):
    if not holds:
        raise AssertionError(message)


def check_labels(config, axes):
    check(config.id2label == dict(enumerate(LETTERS[axes])), f"id2label is {config.id2label}")
    check(config.label2id == {letter: i for i, letter in config.id2label.items()}, f"label2id is {config.label2id}")


def load_folder(case_folder, case, folder):
    model, info = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    check(not any(info.values()), f"keys that do not match: { {kind: keys for kind, keys in info.items() if keys} }")
    check_labels(model.config, case["axes"])
    ours, theirs = (AutoTokenizer.from_pretrained(path) for path in (folder, case_folder / "model"))
    sentence = " ".join(case["sentences"])
    check(ours(sentence).input_ids == theirs(sentence).input_ids, "the tokenizer gives other ids")
    return model


def load_lora(case_folder, case, folder):
    config = AutoConfig.from_pretrained(folder)
    check_labels(config, case["axes"])
    base = AutoModelForSequenceClassification.from_pretrained(
        case_folder / "model", config=config, dtype=torch.float32, attn_implementation="eager"
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = PeftModel.from_pretrained(base, folder)
    said = [str(warning.message) for warning in caught]
    said = [text for text in said if any(word in text.lower() for word in ("missing", "unexpected", "mismatch"))]
    check(not said, "; ".join(said))
    file = load_file(folder / "adapter_model.safetensors")
    used = get_peft_model_state_dict(model, save_embedding_layers=False)
    check(used.keys() == file.keys(), f"keys that do not match: {sorted(used.keys() ^ file.keys())}")
    for key, tensor in file.items():
        check(torch.equal(used[key], tensor.float()), f"{key} was not loaded")
    return model


def compare(case_folder):
    """For each of the three folders the largest difference of logits, or what is wrong."""
    case = json.loads((case_folder / "case.json").read_text())
    ours = load_file(case_folder / "ours" / "logits.safetensors")
    found = {}
    for kind, load in {"full": load_folder, "lora": load_lora, "merged": load_folder}.items():
        try:
            model = load(case_folder, case, case_folder / "ours" / kind).eval()
            pad, longest = model.config.pad_token_id, max(map(len, case["texts"]))
            ids = torch.tensor([text + [pad] * (longest - len(text)) for text in case["texts"]])
            mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in case["texts"]])
            with torch.no_grad():
                theirs = model(input_ids=ids, attention_mask=mask).logits
            check(theirs.shape == ours[kind].shape, f"logits are {tuple(ours[kind].shape)}")
            found[kind] = (theirs - ours[kind]).abs().max().item()
        except Exception as problem:  # whatever a library says of a folder is a finding
            found[kind] = f"{type(problem).__name__}: {problem}"
    return found


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    folders = sorted(path.parent for path in pathlib.Path(sys.argv[1]).glob("*/ours"))
    good, problems = bool(folders), []
    print(f"{'case':<28}{'full':>12}{'lora':>12}{'merged':>12}")
    for folder in folders:
        row = f"{folder.name:<28}"
        for kind, difference in compare(folder).items():
            if isinstance(difference, str):
                problems.append(f"{folder.name}, {kind}: {difference}")
                row += f"{'failed':>12}"
            else:
                good &= difference <= TOLERANCE
                row += f"{difference:>12.1e}"
        print(row)
    for problem in problems:
        print(problem)
    print(f"{len(folders)} cases, tolerance {TOLERANCE}")
    sys.exit(0 if good and not problems else 1)


main()
