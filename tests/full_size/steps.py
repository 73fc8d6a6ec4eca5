"""Fine-tunes a full-size model with its base in 4 or 8 bits, and tells memory and time.

    steps.py ENGINE HOME MODEL_FOLDER QUANTIZATION LIMIT_GIB

Three steps of LoRA with gradient checkpointing on one text of 128 tokens each; the run is stopped after its first
step and resumed, and its adapter predicts. Prints a line of JSON, and ends with 1 where any of the three
processes held more than the limit, or the estimate is off by more than 15 %.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

engine, home, folder, quantization, limit = sys.argv[1:]
limit = float(limit)
TYPES = ["INFP", "ESTJ", "ENTP", "ISFJ"]
WORDS = "I think that we should walk a little longer and talk about what happened before it gets dark again".split()


def command(*words):
    return [engine, "--home", home, *words]


def ask(*words):
    answer = subprocess.run(command(*words, "--json"), capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def watched(*words, stop_after=None, given=None):
    """Runs a command, and gives the most that it held, in GiB, and its time; it is asked to stop after so many steps."""
    begin = time.time()
    process = subprocess.Popen(command(*words), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if given is not None:
        process.stdin.write(given)
    process.stdin.close()
    asked = False
    while process.poll() is None:
        if stop_after is not None and not asked:
            runs = ask("runs", "list")
            last = runs[0].get("last_step") if runs else None
            if last and last["step"] >= stop_after:
                process.send_signal(signal.SIGINT)
                asked = True
        time.sleep(1)
    _, status, usage = 0, process.returncode, None
    with process.stderr:
        said = process.stderr.read()
    assert status in (0, 130), said
    return time.time() - begin


def peak(*words, **more):
    """The same in a process of its own, whose children are this command alone."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        import resource

        seconds = watched(*words, **more)
        gib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        os.write(write, json.dumps([gib, seconds]).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        found = pipe.read()
    os.waitpid(child, 0)
    assert found, "the command failed"
    return json.loads(found)


with tempfile.NamedTemporaryFile("w", suffix=".csv", delete=False) as texts:
    texts.write("author,body,mbti\n")
    for n in range(20):
        turned = WORDS[n % len(WORDS) :] + WORDS[: n % len(WORDS)]
        texts.write(f"a{n},{' '.join(turned * 12)},{TYPES[n % 4]}\n")

names = {model["name"] for model in ask("models", "list")}
if "phi3" not in names:
    subprocess.run(command("models", "add", folder, "--name", "phi3"), check=True, stdout=subprocess.DEVNULL)
if not any(data["name"] == "long" for data in ask("datasets", "list")):
    subprocess.run(command("datasets", "import", texts.name, "--name", "long"), check=True, stdout=subprocess.DEVNULL)

settings = ["--model", "phi3", "--data", "long", "--trainable", "lora", "--quantization", quantization, "--dtype", "bf16",
            "--gradient-checkpointing", "--max-length", "128", "--per-device-train-batch-size", "1",
            "--per-device-eval-batch-size", "1", "--max-steps", "3", "--save-steps", "1", "--eval-steps", "3",
            "--validation-fraction", "0.1", "--learning-rate", "1e-4"]
first = peak("train", *settings, stop_after=1)
run = ask("runs", "list")[0]
assert run["status"] in ("stopped", "interrupted"), run["status"]
done = run["last_step"]["step"]
second = peak("train", "--resume", str(run["id"]))
shown = ask("runs", "show", str(run["id"]))
assert shown["run"]["status"] == "finished", shown["run"]["status"]
steps = shown["steps"]
assert [step["step"] for step in steps] == [1, 2, 3], steps
assert all(step["loss"] == step["loss"] for step in steps)
third = peak("predict", "--run", str(run["id"]), " ".join(WORDS))
estimate = shown["run"].get("estimate") or {}
estimated = estimate.get("peak_mib", 0) / 1024
most = max(first[0], second[0])
report = {
    "quantization": quantization,
    "stopped_after": done,
    "train_gib": round(first[0], 2),
    "resume_gib": round(second[0], 2),
    "predict_gib": round(third[0], 2),
    "estimated_gib": round(estimated, 2),
    "seconds": [round(first[1]), round(second[1]), round(third[1])],
    "tokens_per_second": steps[-1]["tokens_per_second"],
    "losses": [step["loss"] for step in steps],
}
print(json.dumps(report))
over = [gib for gib, _ in (first, second, third) if gib > limit]
off = abs(estimated / most - 1) if most else 1
sys.exit(1 if over or off > 0.15 else 0)
