"""What `speed` measures of ours, by PyTorch and Transformers: one JSON object.

    python pytorch.py dense|optimizer|tokenizing|prediction MODEL CSV [THREADS] [--bf16] [--lora]

dense: forward and backward over 16 texts of 128 tokens, seconds; with --lora by PEFT, rank 8 beside all linear
layers. optimizer: one step of
torch.optim.AdamW over all weights, seconds. tokenizing: texts a second of the CSV's column body.
prediction: from nothing to the answer to one text, which whoever starts this measures.
"""
import csv
import json
import os
import resource
import statistics
import sys
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
case, folder, path = sys.argv[1:4]
threads = int(sys.argv[4]) if len(sys.argv) > 4 else 2

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

torch.set_num_threads(threads)


def median(times, f):
    f()
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        f()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def model():
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)


if case == "dense":
    network = model()
    if "--lora" in sys.argv:
        from peft import LoraConfig, get_peft_model

        network = get_peft_model(network, LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, target_modules="all-linear"))
    network.train()
    ids = (torch.arange(16 * 128) * 7919 % 30_000 + 3).reshape(16, 128)
    labels, weight = torch.arange(16) % 2, torch.tensor([0.6, 0.4])

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled="--bf16" in sys.argv):
            logits = network(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        torch.nn.functional.cross_entropy(logits.float(), labels, weight=weight).backward()
        network.zero_grad()

    found = {"seconds": median(7, step)}
elif case == "optimizer":
    network = model()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-6, weight_decay=0.01)
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, 1e-3)

    # What Trainer does before each step.
    def step():
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    found = {"seconds": median(15, step)}
elif case == "tokenizing":
    csv.field_size_limit(1 << 30)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with open(path, encoding="utf-8", newline="") as file:
        texts = [row["body"] for row in csv.DictReader(file)]
    found = {"per_second": len(texts) / median(3, lambda: tokenizer(texts, truncation=True, max_length=512))}
elif case == "prediction":
    found = {"answer": pipeline("text-classification", folder, device="cpu")("I like quiet evenings with a book.")}
else:
    sys.exit(f"{case} is no case")
found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(found))
