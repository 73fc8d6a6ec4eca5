"""Times the engine on this GPU, beside PyTorch on the same one."""

import sys

from parts import models
from parts.steps import measured

# Each with its way of learning and its precision, as `speed` and reference.py name them.
MINILM = [
    "dense", "dense-tf32", "dense-bf16", "dense-bf16-weights", "dense-lora", "dense-lora-bf16", "dense-nf4",
    "optimizer", "optimizer-8bit", "steps", "steps-tf32", "steps-bf16", "steps-bf16-weights",
]  # fmt: skip
PHI3 = [
    "dense-bf16-weights", "dense-lora-tf32", "dense-lora-bf16-weights", "dense-nf4-bf16", "optimizer",
    "steps-bf16-weights", "steps-lora-bf16-weights", "steps-nf4-bf16",
]  # fmt: skip
QUICK = {"minilm": ["dense", "dense-bf16", "dense-lora", "dense-nf4", "optimizer", "steps-tf32"],
         "phi3": ["dense-bf16-weights", "dense-lora-bf16-weights", "steps-nf4-bf16"]}  # fmt: skip
LENGTHS = [128, 512, 2048, 4096]
# Tokens of a batch whose attention is timed alone.
TOKENS = 8192


def cases(quick, emulated):
    """Model, case, texts, tokens of each."""
    texts, tokens = (2, 32) if emulated else (16, 128)
    for model, all in [("minilm", MINILM), ("phi3", PHI3)]:
        for case in QUICK[model] if quick else all:
            yield model, case, texts, tokens
        for length in [64] if emulated else LENGTHS[:2] if quick else LENGTHS:
            for case in ["attention", "attention-bf16"]:
                yield model, case, 1 if emulated else TOKENS // length, length


def run(here, env, work, python, torch, quick, emulated, layers):
    """Yields a row for each case. `torch` is why PyTorch cannot be used, or none if it can."""
    configs = {"minilm": models.minilm(emulated), "phi3": models.phi3(emulated, layers)}
    unwritten = {name: why for name, config in configs.items() if (why := write(work / name, config))}
    limit = 120 if quick else 600
    times = 1 if emulated else 5 if quick else 15
    for model, case, texts, tokens in cases(quick, emulated):
        print(f"{model} {case} {texts} × {tokens} …", file=sys.stderr, flush=True)
        if model in unwritten:
            neither = [{"failed": unwritten[model]} for _ in range(2)]
            yield row(configs[model], model, case, texts, tokens, *neither)
            continue
        words = [case, work / model, "--device", "cuda:0", "--texts", str(texts), "--tokens", str(tokens), "--times", str(times)]
        ours = measured([here / "bin/speed", *words], env, limit)
        theirs = {"skipped": torch} if torch else measured([python, here / "parts/reference.py", *words], {}, limit)
        yield row(configs[model], model, case, texts, tokens, ours, theirs)


def write(folder, config):
    """Why a model could not be written, such as a full disk."""
    print(f"writing a random model: {folder.name}", file=sys.stderr, flush=True)
    try:
        models.write(folder, config)
    except OSError as error:
        return f"the model cannot be written: {error}"
    return None


def row(config, model, case, texts, tokens, ours, theirs):
    total = texts * tokens
    flop = None
    if case.startswith("attention"):
        flop = models.flop_of_attention(config, total, tokens)
    elif not case.startswith("optimizer"):
        flop = models.flop_of_pass(config, total, tokens, "lora" in case or "nf4" in case)
    found = {"model": model, "layers": config["num_hidden_layers"], "case": case, "texts": texts, "tokens": tokens}
    for name, one in [("ours", ours), ("pytorch", theirs)]:
        if "seconds" in one:
            if flop:
                one["tokens_per_second"] = total / one["seconds"]
                one["tflop_per_second"] = flop / one["seconds"] / 1e12
        found[name] = one
    if "seconds" in ours and "seconds" in theirs:
        found["ratio"] = theirs["seconds"] / ours["seconds"]
    return found
