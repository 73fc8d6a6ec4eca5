"""What scripts/hub-trip.sh lets Python do: put a model and a data set on the Hub, and load what was pushed."""

import json
import math
import sys
from pathlib import Path

TOLERANCE = 1e-4


def fill(model, texts):
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo("alice/minilm")
    api.upload_folder(repo_id="alice/minilm", folder_path=model)
    api.create_repo("alice/texts", repo_type="dataset")
    api.upload_file(repo_id="alice/texts", repo_type="dataset", path_or_fileobj=texts, path_in_repo="train.csv")


def compare(repo, run, texts, predicted):
    """Each axis' probability by Transformers, with the run's temperature, against what our program shows."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    model, info = AutoModelForSequenceClassification.from_pretrained(repo, output_loading_info=True)
    assert not any(info.values()), info
    tokenizer = AutoTokenizer.from_pretrained(repo)
    calibration = json.loads(Path(run).read_text())["run"]["assessment"]["calibration"]
    worst = 0.0
    lines = Path(predicted).read_text().splitlines()
    for text, line in zip(Path(texts).read_text().splitlines(), lines, strict=True):
        ours = json.loads(line)
        with torch.no_grad():
            logits = model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=64)).logits[0]
        for place, (axis, shown) in enumerate(sorted(ours["axes"].items(), key=lambda pair: order(pair[0]))):
            logit = logits[place].item() / calibration.get(axis, {"temperature": 1.0})["temperature"]
            second = 1 / (1 + math.exp(-logit))
            letter = model.config.id2label[place] if second >= 0.5 else axis.replace("-", "").replace(model.config.id2label[place], "")
            assert shown["letter"] == letter, (text, axis, shown, second)
            worst = max(worst, abs(shown["probability"] - max(second, 1 - second)))
        print(ours["type"], {axis: round(shown["probability"], 4) for axis, shown in ours["axes"].items()}, text)
    print(f"largest difference of a probability: {worst:.1e}")
    assert worst < TOLERANCE
    found = pipeline("text-classification", repo, top_k=None, function_to_apply="sigmoid")("A text.")
    print("pipeline:", found)


def order(axis):
    return ["E-I", "N-S", "F-T", "J-P"].index(axis)


{"fill": fill, "compare": compare}[sys.argv[1]](*sys.argv[2:])
