#!/usr/bin/env python3
"""How much memory PyTorch takes for training steps, and how long it takes, printed as a line of JSON.

    .venv/bin/python tests/reference/memory.py --model DIR --mode full|checkpointed|lora|lora-checkpointed
        --dtype float32|bfloat16 --tokens-per-text N --batch B [--steps 3] [--masters]

Random tokens, AdamW on the model's own weights, or with --masters on f32 copies from which the model is rounded
after each step. peak_mib is the process's largest resident size, imports_mib what was resident before the
model was loaded, difference_mib the one without the other, and training_mib the same for the steps alone,
without what loading took in passing.
"""
import argparse
import json
import pathlib
import resource
import statistics
import time

import torch
from families import LORA
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification
from transformers.utils import logging


def status_mib(name):
    line = next(line for line in open("/proc/self/status") if line.startswith(name))
    return int(line.split()[1]) / 1024


def load(arguments):
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[arguments.dtype]
    model = AutoModelForSequenceClassification.from_pretrained(arguments.model, dtype=dtype)
    model.config.use_cache = False
    if "checkpointed" in arguments.mode:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    if "lora" in arguments.mode:
        adapted, head = LORA[model.config.model_type]
        lora = LoraConfig(
            task_type="SEQ_CLS", r=8, lora_alpha=16, lora_dropout=0.0, target_modules=adapted,
            modules_to_save=list(head),
        )
        model = get_peft_model(model, lora)
    return model.train()


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--mode", choices=["full", "checkpointed", "lora", "lora-checkpointed"], required=True)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--tokens-per-text", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--masters", action="store_true")
    arguments = parser.parse_args()

    imports = status_mib("VmRSS")
    torch.manual_seed(0)
    model = load(arguments)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    moved = [parameter.detach().to(torch.float32, copy=True) for parameter in trained] if arguments.masters else trained
    optimizer = torch.optim.AdamW(moved, lr=2e-5, weight_decay=0.01)
    loaded_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # Linux then counts the largest resident size anew.
    pathlib.Path("/proc/self/clear_refs").write_text("5")

    # No token is the padding's, which may be the first or among the last.
    low, high = model.config.vocab_size // 4, model.config.vocab_size // 2
    seconds, losses = [], []
    for _ in range(arguments.steps):
        start = time.perf_counter()
        ids = torch.randint(low, high, (arguments.batch, arguments.tokens_per_text))
        labels = torch.randint(0, 2, (arguments.batch,))
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.float()
        loss = torch.nn.functional.cross_entropy(logits, labels)
        loss.backward()
        losses.append(loss.item())
        if arguments.masters:
            for master, parameter in zip(moved, trained):
                master.grad, parameter.grad = parameter.grad.float(), None
        torch.nn.utils.clip_grad_norm_(moved, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if arguments.masters:
            with torch.no_grad():
                for master, parameter in zip(moved, trained):
                    parameter.copy_(master)
        seconds.append(time.perf_counter() - start)

    training = status_mib("VmHWM")
    peak = max(loaded_peak, training, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps({
        "mode": arguments.mode, "dtype": arguments.dtype, "peak_mib": round(peak), "imports_mib": round(imports),
        "difference_mib": round(peak - imports), "training_mib": round(training - imports),
        "seconds_per_step": round(statistics.median(seconds), 3), "losses": [round(loss, 4) for loss in losses],
    }))


main()
