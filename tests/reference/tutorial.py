#!/usr/bin/env python3
"""The reference for training Phi-3 as the tutorial does: the losses of the steps of a Trainer.

    .venv/bin/python tests/reference/tutorial.py make-model --out DIR --tokenizer FOLDER [--dtype float32]
    .venv/bin/python tests/reference/tutorial.py train --model DIR --train CSV --order FILE --total-steps N
        [--steps 10] [--dtype float32|bfloat16] [--lora --adapter FOLDER]

make-model writes a random Phi-3 of 49 million weights, its settings as Phi-3-mini-4k has them but smaller, with
the tokenizer of a folder (Phi-3's own).

train learns J-P from the rows of CSV (columns body and J-P) in the order of FILE, a JSON list of numbers of rows
from 0, eight of them a step: 2 x 4 texts of at most 256 tokens, learning rate 2e-5 falling in a line over all
steps, weight decay 0.01 but not on norms, gradients clipped to length 1, classes weighted 0.6 and 0.4. A step's
loss is that of one batch of eight: the sum of the weighted losses over the sum of the weights. It prints the
losses before each step as a line of JSON. In bfloat16 the gradients of the two halves are added in f32 and move
f32 weights, from which the model's are rounded after each step. With --lora (rank 8, alpha 16, all four linear
layers, the head whole) training starts from an adapter in a folder.
"""
import argparse
import csv
import json
import pathlib
import resource
import shutil

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Phi3Config, Phi3ForSequenceClassification
from transformers.utils import logging

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
WEIGHTS = torch.tensor([0.6, 0.4])


def make_model(arguments):
    torch.manual_seed(0)
    config = Phi3Config(
        vocab_size=32064, hidden_size=512, intermediate_size=1408, num_hidden_layers=10, num_attention_heads=8,
        max_position_embeddings=4096, original_max_position_embeddings=4096, sliding_window=2047,
        initializer_range=0.02, bos_token_id=1, eos_token_id=32000, pad_token_id=32000,
        id2label={0: "J", 1: "P"}, label2id={"J": 0, "P": 1}, problem_type="single_label_classification",
    )
    model = Phi3ForSequenceClassification(config).to(DTYPES[arguments.dtype])
    model.save_pretrained(arguments.out)
    path = arguments.out / "config.json"
    settings = json.loads(path.read_text())
    del settings["rope_parameters"]
    settings |= {"rope_theta": 10000.0, "rope_scaling": None, "torch_dtype": settings.pop("dtype")}
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
    for file in arguments.tokenizer.iterdir():
        shutil.copyfile(file, arguments.out / file.name)
    print(f"{arguments.out}: {sum(parameter.numel() for parameter in model.parameters())} weights")


def load(arguments):
    """The model and the f32 weights that are trained."""
    model, info = AutoModelForSequenceClassification.from_pretrained(
        arguments.model, dtype=DTYPES[arguments.dtype], output_loading_info=True
    )
    assert not any(info.values()), info
    model.config.use_cache = False
    if arguments.lora:
        model = PeftModel.from_pretrained(model, arguments.adapter, is_trainable=True)
        lora = model.peft_config["default"]
        assert (lora.r, lora.lora_alpha, lora.lora_dropout) == (8, 16, 0.0), lora
        assert {name.split(".")[-1] for name in lora.target_modules} == {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"}, lora.target_modules
        # PEFT keeps what is trained in f32 beside a bf16 model, but for the head.
        trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        head = load_file(arguments.adapter / "adapter_model.safetensors")["base_model.model.score.weight"]
        masters = {name: head if "score" in name else parameter for name, parameter in trained.items()}
    else:
        masters = load_file(arguments.model / "model.safetensors")
        trained = dict(model.named_parameters())
    assert masters.keys() == trained.keys()
    masters = {name: master.detach().to(torch.float32, copy=True) for name, master in masters.items()}
    return model.train(), trained, masters


def train(arguments):
    tokenizer = AutoTokenizer.from_pretrained(arguments.model, padding_side="right")
    with open(arguments.train, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    order = json.loads(arguments.order.read_text())
    assert len(order) >= 8 * arguments.steps, f"{len(order)} rows are too few for {arguments.steps} steps"
    model, trained, masters = load(arguments)
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in masters.values() if p.dim() >= 2], "weight_decay": 0.01},
            {"params": [p for p in masters.values() if p.dim() < 2], "weight_decay": 0.0},
        ],
        lr=2e-5, eps=1e-8,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0, 1 - step / arguments.total_steps))

    losses = []
    for step in range(arguments.steps):
        group = [rows[row] for row in order[8 * step : 8 * step + 8]]
        classes = torch.tensor(["JP".index(row["J-P"].strip().upper()) for row in group])
        all_weights = WEIGHTS[classes].sum()
        loss_of_group = 0.0
        for part in (slice(0, 4), slice(4, 8)):
            texts = [row["body"] for row in group[part]]
            batch = tokenizer(texts, truncation=True, max_length=256, padding=True, return_tensors="pt")
            logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits.float()
            each = torch.nn.functional.cross_entropy(logits, classes[part], weight=WEIGHTS, reduction="sum")
            loss = each / all_weights
            loss_of_group += loss.item()
            loss.backward()
            with torch.no_grad():
                for name, parameter in trained.items():
                    gradient = parameter.grad.float()
                    master = masters[name]
                    master.grad = gradient if master.grad is None else master.grad.add_(gradient)
                    parameter.grad = None
        losses.append(loss_of_group)
        torch.nn.utils.clip_grad_norm_(masters.values(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(masters[name])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"losses": losses, "peak_rss_mib": peak}))


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    make = commands.add_parser("make-model")
    make.set_defaults(run=make_model)
    make.add_argument("--out", type=pathlib.Path, required=True)
    make.add_argument("--tokenizer", type=pathlib.Path, required=True)
    make.add_argument("--dtype", choices=DTYPES, default="float32")
    learn = commands.add_parser("train")
    learn.set_defaults(run=train)
    for name in ("--model", "--train", "--order"):
        learn.add_argument(name, type=pathlib.Path, required=True)
    learn.add_argument("--total-steps", type=int, required=True)
    learn.add_argument("--steps", type=int, default=10)
    learn.add_argument("--dtype", choices=DTYPES, default="float32")
    learn.add_argument("--lora", action="store_true")
    learn.add_argument("--adapter", type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.run(arguments)


main()
