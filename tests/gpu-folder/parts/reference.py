"""What `speed` measures of ours, by PyTorch, Transformers and PEFT: one JSON object.

    python reference.py CASE MODEL [--texts N,…] [--tokens N] [--batches N] [--times N] [--device D]

CASE is named as for `speed`. -bf16 is autocast over weights in 32 bits, of attention alone queries,
keys and values in bf16; -bf16-weights is a model in bf16. A case that needs a package that is not there prints
{"skipped": WHY}. Of several numbers of texts the one with the most tokens a second counts, which is told besides; where
memory runs out, larger ones are not tried.
"""

import argparse
import importlib.util
import json
import os
import re
import statistics
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

p = argparse.ArgumentParser()
p.add_argument("case")
p.add_argument("model")
p.add_argument("--texts", type=lambda numbers: [int(number) for number in numbers.split(",")], default=[16])
p.add_argument("--batches", type=int, default=1)
p.add_argument("--tokens", type=int, default=128)
p.add_argument("--times", type=int, default=7)
p.add_argument("--device", default="cuda:0")
a = p.parse_args()

kind, way, precision, moments = re.fullmatch(
    r"(dense|steps|optimizer|attention)(-lora|-nf4)?(-tf32|-bf16|-bf16-weights)?(-8bit)?", a.case
).groups("")
needed = ["torch"] + ["transformers"] * (kind != "attention") + ["peft"] * (way in ("-lora", "-nf4"))
needed += ["bitsandbytes"] * (way == "-nf4" or moments != "")
for name in needed:
    if importlib.util.find_spec(name) is None:
        print(json.dumps({"skipped": f"{name} is not installed"}))
        raise SystemExit

import torch

device = torch.device(a.device)
on_gpu = device.type == "cuda"
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "-tf32"
dtype = torch.bfloat16 if precision == "-bf16-weights" else torch.float32


def wait():
    if on_gpu:
        torch.cuda.synchronize()


def measured(f):
    f()
    wait()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(a.times):
        begin = time.perf_counter()
        f()
        wait()
        seconds.append(time.perf_counter() - begin)
    peak = torch.cuda.max_memory_allocated() / 1048576 if on_gpu else None
    return {"seconds": statistics.median(seconds), "device_peak_mib": peak}


def config():
    with open(os.path.join(a.model, "config.json")) as file:
        return json.load(file)


def attention():
    sizes = config()
    heads = sizes["num_attention_heads"]
    d = sizes["hidden_size"] // heads
    shape = (a.texts[0], heads, a.tokens, d)
    factors = torch.bfloat16 if precision == "-bf16" else torch.float32
    q, k, v, g = ((torch.rand(shape, device=device) * 2 - 1).to(factors) for _ in range(4))
    inputs = [x.requires_grad_() for x in (q, k, v)]
    causal = sizes["model_type"] != "bert"

    def both_ways():
        result = torch.nn.functional.scaled_dot_product_attention(*inputs, is_causal=causal)
        torch.autograd.grad(result, inputs, g)

    return measured(both_ways)


def network():
    from transformers import AutoModelForSequenceClassification

    more = {}
    if way == "-nf4":
        from transformers import BitsAndBytesConfig

        in_four = dict(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=False)
        compute = torch.float32 if precision in ("", "-tf32") else torch.bfloat16
        more = {"quantization_config": BitsAndBytesConfig(bnb_4bit_compute_dtype=compute, **in_four), "device_map": a.device}
    made = AutoModelForSequenceClassification.from_pretrained(a.model, num_labels=2, dtype=dtype, **more)
    if way in ("-lora", "-nf4"):
        from peft import LoraConfig, get_peft_model

        made = get_peft_model(made, LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, target_modules="all-linear"))
    made.config.use_cache = False
    return made.to(device).train()


def passes():
    model = network()
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    known = min(30_000, max(1, config()["vocab_size"] - 3))
    weight = torch.tensor([0.6, 0.4], device=device)
    optimizer = None
    if kind != "dense":
        if moments:
            import bitsandbytes

            optimizer = bitsandbytes.optim.AdamW8bit(learning, lr=1e-6, weight_decay=0.01)
        else:
            optimizer = torch.optim.AdamW(learning, lr=1e-6, weight_decay=0.01, fused=on_gpu)
    if kind == "optimizer":
        for parameter in learning:
            parameter.grad = torch.full_like(parameter, 1e-3)

    def one(texts):
        ids = (torch.arange(texts * a.tokens, device=device) * 7919 % known + 3).reshape(texts, a.tokens)
        labels = torch.arange(texts, device=device) % 2
        for _ in range(0 if kind == "optimizer" else a.batches):
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "-bf16"):
                logits = model(input_ids=ids).logits
            torch.nn.functional.cross_entropy(logits.float(), labels, weight=weight).backward()
        if optimizer is not None:
            # What Trainer does before each step.
            torch.nn.utils.clip_grad_norm_(learning, 1.0)
            optimizer.step()
        if kind != "optimizer":
            model.zero_grad()

    best = None
    for texts in a.texts:
        try:
            found = {**measured(lambda: one(texts)), "texts": texts}
        except torch.cuda.OutOfMemoryError:
            if best is None:
                raise
            break
        if best is None or found["seconds"] / texts < best["seconds"] / best["texts"]:
            best = found
    return best


print(json.dumps(attention() if kind == "attention" else passes()))
