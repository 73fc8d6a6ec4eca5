"""Runs ours and the reference in turn, several times each, and writes a table of medians and ratios.

    python bench.py --engine MBTI --speed EXAMPLE --model FOLDER --train CSV --valid CSV
                    --reference HF_TRAINER --work FOLDER [--rounds 3] [--steps 60] [--out FILE]

HF_TRAINER is a program that fine-tunes with Hugging Face's Trainer and prints one JSON object
with train_tokens_per_s, train_samples_per_s, eval_samples_per_s, peak_rss_mib and loss.
"""
import argparse
import csv
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

p = argparse.ArgumentParser()
for name in ("engine", "speed", "model", "train", "valid", "reference", "work"):
    p.add_argument(f"--{name}", required=True)
p.add_argument("--rounds", type=int, default=3)
p.add_argument("--steps", type=int, default=60)
p.add_argument("--out")
a = p.parse_args()
home = Path(a.work) / "home"
here = Path(__file__).parent
threads = str(os.cpu_count())


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def measured(command, **more):
    """Seconds, MiB and standard output of a program."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    out, error = process.communicate()
    seconds = time.perf_counter() - begin
    if process.returncode != 0:
        sys.exit(f"{command} ended with {process.returncode}:\n{error}")
    return seconds, out


def engine(*words):
    return measured([a.engine, "--home", str(home), *words])


def reference(*words, valid=None):
    _, out = measured([sys.executable, a.reference, "--model", a.model, "--train", a.train,
                       "--valid", str(valid or a.valid), "--threads", threads, *words])
    return json.loads(out.strip().splitlines()[-1])


def pytorch(case, *words):
    _, out = measured([sys.executable, str(here / "pytorch.py"), case, a.model, a.valid, threads, *words])
    return json.loads(out.strip().splitlines()[-1])


def speed(case):
    _, out = measured([a.speed, case, a.model, str(home / "datasets" / "valid")])
    return json.loads(out)


def train(*words):
    """A run of ours on J/P, its settings those of the reference."""
    _, out = engine("train", "--data", "train", "--valid", "valid", "--model", "model", "--axes", "J-P",
                    "--max-length", "512", "--learning-rate", "2e-5", "--head-learning-rate-multiplier", "1",
                    "--warmup-ratio", "0", "--eval-steps", "100000",
                    "--load-best-model-at-end=false", "--json", *words)
    events = [json.loads(line) for line in out.splitlines()]
    finished = next(event for event in events if event["event"] == "finished")
    evaluation = [event for event in events if event["event"] == "evaluation"][-1]
    return {"tokens": finished["tokens_per_second"], "samples": finished["samples_per_second"],
            "mib": finished["peak_rss_mib"], "loss": evaluation["loss"], "run": finished["run"]}


rows, notes = [], []
# PyTorch emulates bf16 on other processors: five steps of (b) then take it longer than a hundred in f32. Ours has
# products in bf16 by AVX512-BF16 alone.
flags = Path("/proc/cpuinfo").read_text()
has_bf16 = any(name in flags for name in ("avx512_bf16", "amx_bf16"))
ours_has_bf16 = "avx512_bf16" in flags
mixed = ["--dtype", "bf16_mixed"]


def median(values):
    return statistics.median(values)


def row(case, unit, ours, theirs, larger_is_better, target, ours_mib=None, theirs_mib=None, digits=0):
    """A line of the table; the ratio is how many times better ours is."""
    mine, other = median(ours), median(theirs)
    ratio = mine / other if larger_is_better else other / mine
    spread = lambda values: f"{min(values):.{digits}f} to {max(values):.{digits}f}"
    memory = "–" if not ours_mib else f"{median(ours_mib):.0f} / {median(theirs_mib):.0f}"
    rows.append(f"| {case} | {unit} | {mine:.{digits}f} ({spread(ours)}) | {other:.{digits}f} ({spread(theirs)}) "
                f"| **{ratio:.2f}** | {target} | {memory} |")
    say(rows[-1])


def rounds(*functions):
    """The results of each function, called in turn."""
    results = [[] for _ in functions]
    for number in range(a.rounds):
        for place, function in enumerate(functions):
            results[place].append(function())
            say(f"  round {number + 1}: {json.dumps(results[place][-1])[:160]}")
    return results


shutil.rmtree(home, ignore_errors=True)
for name, path in (("train", a.train), ("valid", a.valid)):
    engine("datasets", "import", path, "--name", name)
engine("models", "add", a.model, "--name", "model")

seeds = [iter(range(1000)), iter(range(1000))]
steps = ["--max-steps", str(a.steps)]
say("(a) real texts, batch 8, f32")
ours, theirs = rounds(
    lambda: train(*steps, "--seed", str(next(seeds[0]))),
    lambda: reference(*steps, "--batch", "8", "--seed", str(next(seeds[1]))),
)
row("(a) real texts, batch 8, f32", "tokens/s", [r["tokens"] for r in ours], [r["train_tokens_per_s"] for r in theirs],
    True, "≥ 3.0", [r["mib"] for r in ours], [r["peak_rss_mib"] for r in theirs])
row("(a) the same", "texts/s", [r["samples"] for r in ours], [r["train_samples_per_s"] for r in theirs], True, "≥ 3.0",
    digits=1)
row("(a) peak memory", "MiB", [r["mib"] for r in ours], [r["peak_rss_mib"] for r in theirs], False, "≥ 3.0")
losses = [", ".join(f"{r['loss']:.4f}" for r in runs) for runs in (ours, theirs)]
notes.append(f"Validation loss after the {a.steps} steps of (a), one seed after another: ours {losses[0]}; the reference "
             f"{losses[1]}.")
fastest = max(r["train_tokens_per_s"] for r in theirs)
notes.append(f"The reference pads every batch to its longest text, so that its time and memory hang on the order that "
             f"the seed makes. Against the fastest of its seeds in (a), {fastest:.0f} tokens/s, the median of ours is "
             f"{median([r['tokens'] for r in ours]) / fastest:.2f} times as fast, and needs 1/"
             f"{min(r['peak_rss_mib'] for r in theirs) / median([r['mib'] for r in ours]):.1f} of its least memory.")
last_run = str(ours[-1]["run"])

if ours_has_bf16:
    say("(a) with products in bf16")
    seeds = [iter(range(1000)), iter(range(1000))]
    halved, halved_theirs = rounds(
        lambda: train(*steps, *mixed, "--seed", str(next(seeds[0]))),
        lambda: reference(*steps, "--batch", "8", "--bf16", "--seed", str(next(seeds[1]))),
    )
    for name, others in (("its f32", theirs), ("its bf16", halved_theirs)):
        row(f"(a) ours in bf16 beside {name}", "tokens/s", [r["tokens"] for r in halved],
            [r["train_tokens_per_s"] for r in others], True, "≥ 4.0" if others is theirs else "–",
            [r["mib"] for r in halved], [r["peak_rss_mib"] for r in others])
    notes.append("Validation loss after the same steps with products in bf16: ours "
                 + ", ".join(f"{r['loss']:.4f}" for r in halved) + "; the reference "
                 + ", ".join(f"{r['loss']:.4f}" for r in halved_theirs) + ".")
else:
    notes.append("This processor has no AVX512-BF16, so that nothing of ours was measured with products in bf16: "
                 "`--dtype bf16_mixed` is the same as f32 here.")

say("(d) evaluation")
ours_evaluation = rounds(lambda: speed("evaluation"))[0]
row("(d) evaluation", "texts/s", [r["per_second"] for r in ours_evaluation], [r["eval_samples_per_s"] for r in theirs],
    True, "≥ 4.0")

say("(b) the best settings of each, the same number of samples")
# It evaluates too, which is not looked at here.
fewer = Path(a.work) / "fewer.csv"
with open(a.valid, encoding="utf-8", newline="") as file, open(fewer, "w", encoding="utf-8", newline="") as cut:
    lines = list(csv.reader(file))
    csv.writer(cut).writerows(lines[:1] + lines[1::20])
few = ["--max-steps", str(max(a.steps // 4, 5))]
ours, plain = rounds(
    lambda: train("--max-steps", few[1], "--per-device-train-batch-size", "32"),
    lambda: reference(*few, "--batch", "32", "--group-by-length", valid=fewer),
)
halved = [reference(*few, "--batch", "32", "--group-by-length", "--bf16", valid=fewer) for _ in range(a.rounds * has_bf16)]
if ours_has_bf16:
    in_bf16 = rounds(lambda: train("--max-steps", few[1], "--per-device-train-batch-size", "32", *mixed))[0]
    ours = max((ours, in_bf16), key=lambda runs: median([r["samples"] for r in runs]))
    notes.append(f"Of ours the faster in (b) was that with {'bf16' if ours is in_bf16 else 'f32'}.")
best = max((plain, halved) if has_bf16 else (plain,), key=lambda runs: median([r["train_samples_per_s"] for r in runs]))
row("(b) best settings", "samples/s", [r["samples"] for r in ours], [r["train_samples_per_s"] for r in best], True,
    "≥ 2.0", [r["mib"] for r in ours], [r["peak_rss_mib"] for r in best], 1)
notes.append("Of the reference's best settings the faster on this machine was that with "
             + ("bf16." if best is halved else "f32; this processor has no instructions for bf16, which was left out."
                if not has_bf16 else "f32."))

say("(c) dense 16 × 128")
ours, theirs = rounds(lambda: speed("dense"), lambda: pytorch("dense"))
row("(c) dense 16 × 128, forward and backward", "ms", [1000 * r["seconds"] for r in ours],
    [1000 * r["seconds"] for r in theirs], False, "≥ 1.0", [r["peak_mib"] for r in ours], [r["peak_mib"] for r in theirs])
if ours_has_bf16:
    ours, theirs = rounds(lambda: speed("dense-bf16"), lambda: pytorch("dense", "--bf16"))
    row("(c) the same in bf16", "ms", [1000 * r["seconds"] for r in ours], [1000 * r["seconds"] for r in theirs], False,
        "≥ 1.0", [r["peak_mib"] for r in ours], [r["peak_mib"] for r in theirs])

say("(h) LoRA on real texts")
seeds = [iter(range(1000)), iter(range(1000))]
lora = ["--trainable", "lora", "--lora-rank", "8", "--lora-alpha", "16"]
ours, theirs = rounds(
    lambda: train(*steps, *lora, "--seed", str(next(seeds[0]))),
    lambda: reference(*steps, "--batch", "8", "--lora", "8", "--seed", str(next(seeds[1]))),
)
row("(h) LoRA on real texts, batch 8, f32", "tokens/s", [r["tokens"] for r in ours],
    [r["train_tokens_per_s"] for r in theirs], True, "≥ 4.0", [r["mib"] for r in ours], [r["peak_rss_mib"] for r in theirs])
row("(j) its peak memory", "MiB", [r["mib"] for r in ours], [r["peak_rss_mib"] for r in theirs], False, "≥ 2.0")

say("(i) LoRA, dense")
ours, theirs = rounds(lambda: speed("dense-lora"), lambda: pytorch("dense", "--lora"))
row("(i) LoRA dense 16 × 128, forward and backward", "ms", [1000 * r["seconds"] for r in ours],
    [1000 * r["seconds"] for r in theirs], False, "≥ 1.0", [r["peak_mib"] for r in ours], [r["peak_mib"] for r in theirs])
row("(j) its peak memory", "MiB", [r["peak_mib"] for r in ours], [r["peak_mib"] for r in theirs], False, "≥ 2.0")
if ours_has_bf16:
    ours, theirs = rounds(lambda: speed("dense-lora-bf16"), lambda: pytorch("dense", "--lora", "--bf16"))
    row("(i) the same in bf16", "ms", [1000 * r["seconds"] for r in ours], [1000 * r["seconds"] for r in theirs], False,
        "≥ 1.0", [r["peak_mib"] for r in ours], [r["peak_mib"] for r in theirs])

say("(e) cold start to a prediction")
sentence = "I like quiet evenings with a book."
ours, theirs = rounds(
    lambda: engine("predict", "--run", last_run, sentence)[0],
    lambda: measured([sys.executable, str(here / "pytorch.py"), "prediction",
                      str(home / "runs" / last_run / "model"), a.valid])[0],
)
row("(e) cold start to a prediction", "s", ours, theirs, False, "≥ 10", digits=2)

say("(f) AdamW, (g) tokenizing")
ours, theirs = rounds(lambda: speed("optimizer"), lambda: pytorch("optimizer"))
row("(f) AdamW with clipping, 22.7 M weights", "ms", [1000 * r["seconds"] for r in ours],
    [1000 * r["seconds"] for r in theirs], False, "≥ 1.0", digits=1)
ours, theirs = rounds(lambda: speed("tokenizing"), lambda: pytorch("tokenizing"))
row("(g) tokenizing", "texts/s", [r["per_second"] for r in ours], [r["per_second"] for r in theirs], True, "–")

say("parts of a step")
parts = rounds(lambda: speed("parts"))[0]
part = sorted(parts, key=lambda found: found["step_ms"])[len(parts) // 2]
possible = part["limit_gflop_per_second"] * part["step_ms"] / 1000
share, with_attention = (operations / possible for operations in
                         (part["gflop"], part["gflop"] + part["attention_gflop"]))
table = sorted(part["milliseconds"].items(), key=lambda item: -item[1])

say("single operations")
criterion = Path(os.environ["CARGO_TARGET_DIR"]) / "criterion"
shutil.rmtree(criterion, ignore_errors=True)
measured(["cargo", "bench", "--locked", "-p", "model", "--bench", "ops"])
single = {}
for path in criterion.glob("*/*/new/benchmark.json"):
    about = json.loads(path.read_text())
    nanoseconds = json.loads(path.with_name("estimates.json").read_text())["median"]["point_estimate"]
    single[about["function_id"]] = (nanoseconds, about["throughput"]["Elements"])
nanoseconds, operations = single.pop("product 1024")
product = operations / nanoseconds
of_products = {name: found for name, found in single.items() if name.startswith(("linear", "attention"))}
of_elements = {name: found for name, found in single.items() if name not in of_products}


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


has = [name for name in ("avx2", "fma", "avx512f", "avx512_bf16") if f" {name}" in flags]
lines = [
    "# Speed beside PyTorch",
    "",
    "Made by `make bench`: ours and Hugging Face's Trainer on PyTorch in turn, with nothing else running, "
    f"{a.rounds} times each; medians, with the lowest and the highest in brackets. The ratio is how many times better "
    "ours is, in time or in memory. The model is all-MiniLM-L6-v2 (22.7 M weights).",
    "",
    f"Machine: {threads} cores of {processor()} with {', '.join(has)}; {time.strftime('%Y-%m-%d')}. Such a machine, shared "
    "with others, varies by a third from minute to minute, which is why only ratios of one run are told.",
    "",
    "| case | unit | ours | PyTorch | ratio | target | MiB, ours / PyTorch |",
    "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    *rows,
    "",
    *notes,
    "",
    "## Where the milliseconds of a training step go",
    "",
    f"Batches of 8 real texts, {part['tokens']:.0f} tokens on average, {part['step_ms']:.0f} ms a step. Its matrix "
    f"products with weights are {part['gflop']:.1f} GFLOP; a large product makes {part['limit_gflop_per_second']:.0f} "
    f"GFLOP/s here, so that the step reaches {100 * share:.0f} % of that limit. With the {part['attention_gflop']:.1f} "
    f"GFLOP of attention's own products it is {100 * with_attention:.0f} %.",
    "",
    "| what | ms | share |",
    "| --- | ---: | ---: |",
    *(f"| {name} | {value:.1f} | {100 * value / part['step_ms']:.0f} % |" for name, value in table),
    "",
    "## Single operations",
    "",
    "Forward and backward with all gradients, over the 412 tokens of eight texts, by criterion (`cargo bench -p model`): "
    f"medians. A product of 1024 × 1024 matrices, which is the limit, made {product:.0f} GFLOP/s in the same minute.",
    "",
    "| made of products | ms | GFLOP/s | share of the limit |",
    "| --- | ---: | ---: | ---: |",
    *(f"| {name} | {ns / 1e6:.2f} | {work / ns:.0f} | {100 * work / ns / product:.0f} % |"
      for name, (ns, work) in sorted(of_products.items())),
    "",
    "| made of elements | ms | ns an element |",
    "| --- | ---: | ---: |",
    *(f"| {name} | {ns / 1e6:.2f} | {ns / work:.2f} |" for name, (ns, work) in sorted(of_elements.items())),
]
text = "\n".join(lines) + "\n"
print(text)
if a.out:
    Path(a.out).write_text(text, encoding="utf-8")
