"""What a run is expected to need against what it needed, for several settings: a table in Markdown.

    python3 estimates.py ENGINE MODEL CSV WORK-FOLDER
"""
import json
import os
import subprocess
import sys
import time

engine, model, data, work = sys.argv[1:5]
home = os.path.join(work, "home")
SETTINGS = {
    "defaults": [],
    "batch 16, moments in 8 bits, texts up to 512 tokens":
        ["--per-device-train-batch-size", "16", "--optim", "adamw_8bit", "--max-length", "512"],
    "LoRA in bf16": ["--trainable", "lora", "--dtype", "bf16"],
    "batch 4 × 4, gradient checkpointing":
        ["--per-device-train-batch-size", "4", "--gradient-accumulation-steps", "4", "--gradient-checkpointing=true"],
    "batches of 2,000 tokens, texts up to 64": ["--max-tokens-per-batch", "2000", "--max-length", "64"],
}


def mbti(*words):
    return [engine, "--home", home, *words]


subprocess.run(mbti("datasets", "import", data, "--name", "data"), check=True, stdout=subprocess.DEVNULL)
subprocess.run(mbti("models", "add", model, "--name", "model"), check=True, stdout=subprocess.DEVNULL)
print("| settings | memory told, MiB | measured, MiB | told / measured | steps told, s | measured, s | told / measured "
      "| evaluations told, s | measured, s | all told / measured |")
print("| --- |" + " ---: |" * 9)
for name, settings in SETTINGS.items():
    process = subprocess.Popen(mbti("train", "--data", "data", "--model", "model", "--epochs", "1", "--json", *settings),
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    told, evaluating, last_step = None, 0.0, None
    for line in process.stdout:
        event, now = json.loads(line), time.monotonic()
        if event["event"] == "estimate":
            told = event
        elif event["event"] == "step":
            last_step = now
        elif event["event"] == "evaluation" and last_step:
            # The last one comes after a checkpoint, the others right after their step.
            evaluating += now - last_step
        elif event["event"] == "finished":
            finished = event
    assert process.wait() == 0 and told
    seconds, expected = finished["train_seconds"] + evaluating, told["training_seconds"] + told["evaluation_seconds"]
    peak = finished["peak_rss_mib"]
    print(f"| {name} | {told['peak_mib']:.0f} | {peak:.0f} | {told['peak_mib'] / peak:.2f} | {told['training_seconds']:.0f} "
          f"| {finished['train_seconds']:.0f} | {told['training_seconds'] / finished['train_seconds']:.2f} "
          f"| {told['evaluation_seconds']:.0f} | {evaluating:.0f} | {expected / seconds:.2f} |", flush=True)
