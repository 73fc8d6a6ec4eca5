"""Checks that the engine computes the right results on this GPU."""

import json
import shutil

from parts import models


def run(steps, here, env, work, quick, emulated):
    """Runs all checks and records them in `steps`. One that fails does not stop the others."""
    bin, fixtures = here / "bin", here / "fixtures"
    env = {
        **env,
        "MBTI_TEST_DEVICE": "cuda:0",
        "MBTI_TEST_FIXTURES": str(fixtures),
        "MBTI_TEST_ENGINE": str(bin / "mbti-cuda"),
        "RUST_BACKTRACE": "0",
    }
    limit = 600 if quick else 1800
    steps.run("contract", [[bin / "contract"]], env, limit)
    # The test that is skipped does not use a device.
    parity = [bin / "families_equal_transformers", "--nocapture", "--skip", "odd_values_in_a_config"]
    if quick:
        # In full and with LoRA; bf16, quantised weights and saving are left to the full run.
        parity += ["ten_steps_with_lora" if emulated else "logits_gradients_and_ten_steps"]
    steps.run("parity", [parity], env, limit)
    # An emulated GPU takes minutes for what a card does in seconds.
    only = ["weights_and_states", "steps_by_pieces"] if quick and emulated else []
    steps.run("runs", [[bin / "runs", *only]], env, limit)
    # The other test of commands makes the GPU fail on demand, which only scripts/gpu-tests.sh can.
    commands = [bin / "commands", "--skip", "a_gpu_that_is_lost"]
    if quick and emulated:
        steps.skip("commands", "it takes minutes on an emulated GPU; left out by --quick")
    else:
        steps.run("commands", [commands], env, limit)
    main_job(steps, bin / "mbti-cuda", fixtures, env, work, limit, emulated)
    sanitize(steps, bin / "contract", env, quick, emulated)


def main_job(steps, engine, fixtures, env, work, limit, emulated):
    """From the made-up sample to a prediction by commands, as a user would."""
    home, model = work / "home", work / "tiny-bert"
    shutil.copytree(fixtures / "families/bert-all/model", model)
    (model / "tokenizer.json").write_text(json.dumps(models.letters_tokenizer()))
    env = {**env, "MBTI_KEYRING": "off", "HF_HOME": str(work / "hugging-face")}
    mbti = lambda *words: [engine, "--home", home, *words]
    length = ["--max-steps", "20"]
    if emulated:
        length = ["--max-steps", "4", "--max-length", "32", "--sample-fraction", "0.2"]
    commands = [
        mbti("datasets", "import", "--sample"),
        mbti("models", "add", model, "--name", "tiny"),
        mbti("train", "--data", "made-up-sample", "--model", "tiny", "--device", "cuda:0", *length),
        mbti("predict", "--run", "1", "I stayed in with a book.", "--json"),
        mbti("runs", "show", "1", "--json"),
    ]
    step, out = steps.run("import to prediction", commands, env, limit)
    if step["status"] == "passed":
        run = json.loads(out)["run"]
        device = (run.get("used_device") or {}).get("device")
        if run["status"] != "finished" or device != "cuda:0":
            step.update(status="failed", why=f"the run is {run['status']} and was computed on {device}")


def sanitize(steps, contract, env, quick, emulated):
    """NVIDIA's own tools for memory errors and races, on every kernel."""
    for tool in ["memcheck", "racecheck"]:
        name = f"compute-sanitizer {tool}"
        program = shutil.which("compute-sanitizer")
        if emulated:
            steps.skip(name, "it needs NVIDIA's driver, and this GPU is emulated")
        elif program is None:
            steps.skip(name, "compute-sanitizer is not on PATH")
        else:
            command = [program, "--tool", tool, "--error-exitcode", "9", contract, "--test-threads", "1"]
            steps.run(name, [command], env, 600 if quick else 3600)
