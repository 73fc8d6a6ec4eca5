#!/usr/bin/env python3
"""Writes the fixtures of tests/bert_equals_transformers.rs: a tiny random BERT by Transformers, its
logits, its loss, the gradient of every parameter, and its weights after three AdamW steps.

    python -m venv .venv && .venv/bin/pip install -r tests/reference/requirements.txt
    .venv/bin/python tests/reference/bert.py

One folder for one axis (two labels, weighted cross-entropy) and one for four (multi-label, weighted
binary cross-entropy on each axis, averaged). Dropout is off, as masks cannot be compared.
"""
import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForSequenceClassification

HERE = pathlib.Path(__file__).parent / "fixtures"
TEXTS = [[2, 7, 11, 5, 3], [2, 9, 3], [2, 4, 8, 15, 16, 23, 38, 3], [2, 30, 31, 32, 33, 34, 3]]
# Classes on E-I, N-S, F-T, J-P: 1 is the second letter. INFP, ESTJ, ENTP, ISFJ.
CLASSES = [[1, 0, 0, 1], [0, 1, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0]]
WEIGHTS = {"J-P": [[0.6, 0.4]], "all": [[0.7, 1.3], [2.0, 0.5], [1.0, 1.5], [0.6, 0.4]]}


def loss_of(logits, axes):
    classes = torch.tensor(CLASSES)
    if axes == "J-P":
        weight = torch.tensor(WEIGHTS[axes][0])
        return torch.nn.functional.cross_entropy(logits, classes[:, 3], weight=weight)
    losses = []
    for axis, weight in enumerate(WEIGHTS[axes]):
        target = classes[:, axis]
        each = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, axis], target.float(), reduction="none")
        each_weight = torch.tensor(weight)[target]
        losses.append((each * each_weight).sum() / each_weight.sum())
    return torch.stack(losses).mean()


def write(axes):
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24,
        max_position_embeddings=12, type_vocab_size=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        initializer_range=0.3,
    )
    if axes == "J-P":
        config.id2label, config.label2id = {0: "J", 1: "P"}, {"J": 0, "P": 1}
        config.problem_type = "single_label_classification"
    else:
        config.id2label = {0: "I", 1: "S", 2: "T", 3: "P"}
        config.label2id = {"I": 0, "S": 1, "T": 2, "P": 3}
        config.problem_type = "multi_label_classification"
    config.num_labels = len(config.id2label)
    model = BertForSequenceClassification(config)
    # Norms and biases begin at 1 and 0, where a mistake in them would not show.
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.eval()
    folder = HERE / f"bert-{axes}"
    model.save_pretrained(folder)

    longest = max(map(len, TEXTS))
    ids = torch.tensor([text + [0] * (longest - len(text)) for text in TEXTS])
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in TEXTS])
    expected = {}
    logits = model(input_ids=ids, attention_mask=mask).logits
    loss = loss_of(logits, axes)
    loss.backward()
    expected["logits"] = logits.detach()
    expected["loss"] = loss.detach().reshape(1)
    for name, parameter in model.named_parameters():
        expected[f"gradient.{name}"] = parameter.grad.clone()

    decays = [p for p in model.parameters() if p.dim() >= 2]
    spared = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decays, "weight_decay": 0.01}, {"params": spared, "weight_decay": 0.0}], lr=1e-2, eps=1e-8
    )
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = loss_of(model(input_ids=ids, attention_mask=mask).logits, axes)
        losses.append(loss.item())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    expected["losses"] = torch.tensor(losses)
    for name, parameter in model.named_parameters():
        expected[f"after.{name}"] = parameter.detach().clone()
    save_file({name: tensor.contiguous() for name, tensor in expected.items()}, folder / "expected.safetensors")
    case = {"texts": TEXTS, "classes": CLASSES, "weights": WEIGHTS[axes]}
    (folder / "case.json").write_text(json.dumps(case) + "\n")


for axes in WEIGHTS:
    write(axes)
