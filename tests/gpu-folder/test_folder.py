#!/usr/bin/env python3
"""What the folder of `make gpu-folder` does where there is no GPU, and where what it runs fails."""

import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

from parts import bench, libraries, models, report, times  # noqa: E402
from parts.steps import Steps, measured  # noqa: E402


class InAFolder(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def carried(self, engine):
        """A folder as it is carried, with an engine that is a script."""
        carried = self.folder / "carried"
        shutil.copytree(HERE / "parts", carried / "parts")
        shutil.copy(HERE / "run.py", carried)
        (carried / "bin").mkdir()
        (carried / "bin/mbti-cuda").write_text(f"#!/bin/sh\n{engine}\n")
        (carried / "bin/mbti-cuda").chmod(0o755)
        return carried

    def put(self, folder, names):
        (self.folder / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            (self.folder / folder / name).write_bytes(b"")
        return str(self.folder / folder)

    def run_it(self, carried, given):
        env = {**os.environ, "MBTI_CUDA_LIBRARIES": ""}
        command = [sys.executable, carried / "run.py", "--libraries", given, "--out", self.folder / "out"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("No NVIDIA GPU can be used on this machine: ", done.stderr)
        self.assertIn("Nothing was run and no results were written.", done.stderr)
        self.assertFalse((self.folder / "out").exists())
        return done.stderr


class WithoutAGpu(InAFolder):
    def test_without_libraries_there_is_a_sentence_code_2_and_no_file(self):
        self.run_it(self.carried("exit 0"), self.put("empty", []))

    def test_a_driver_that_finds_no_card_is_told(self):
        given = self.put("all", [libraries.DRIVER, *libraries.CUDA])
        said = self.run_it(self.carried("""echo '[{"device": "cpu", "name": "x", "unusable": null}]'"""), given)
        self.assertIn("the driver finds no GPU", said)

    def test_a_card_that_cannot_be_used_is_named_with_its_reason(self):
        given = self.put("all", [libraries.DRIVER, *libraries.CUDA])
        listed = [{"device": "cuda:0", "name": "NVIDIA A", "unusable": {"kind": "old_card", "capability": "7.5"}}]
        said = self.run_it(self.carried(f"echo '{json.dumps(listed)}'"), given)
        self.assertIn("NVIDIA A cannot be used", said)
        self.assertIn("7.5", said)

    def test_an_engine_that_does_not_start_is_told_with_its_own_words(self):
        given = self.put("all", [libraries.DRIVER, *libraries.CUDA])
        self.assertIn("symbol lookup error", self.run_it(self.carried("echo 'symbol lookup error' >&2; exit 127"), given))


class Libraries(InAFolder):
    def test_cuda_is_taken_from_its_folder_and_the_driver_from_its_own(self):
        driver = self.put("driver", [libraries.DRIVER])
        cuda = self.put("cuda", libraries.CUDA)
        self.assertEqual(libraries.find(self.folder, [driver, cuda]), (driver, cuda))
        env = libraries.environment(driver, cuda)
        self.assertEqual(env["LD_LIBRARY_PATH"].split(":")[:2], [cuda, driver])

    def test_the_emulated_gpu_is_told_from_a_driver_by_its_name(self):
        driver = self.put("driver", [libraries.DRIVER])
        self.assertFalse(libraries.is_emulated(driver))
        # The name as the emulated GPU's own source has it.
        source = HERE.parent.parent / "crates/emulated-gpu/src/settings.rs"
        self.assertIn(f'const NAME: &str = "{libraries.EMULATED.decode()}";', source.read_text())
        (self.folder / "driver" / libraries.DRIVER).write_bytes(b"\0" + libraries.EMULATED + b"\0")
        self.assertTrue(libraries.is_emulated(driver))

    def test_cublas_alone_is_not_enough(self):
        given = self.put("part", [libraries.DRIVER, libraries.CUDA[0]])
        with self.assertRaisesRegex(libraries.Missing, "libcurand.so.10"):
            libraries.find(self.folder, [given])

    def test_a_toolkit_that_the_environment_names_is_found(self):
        self.put("toolkit/lib64", libraries.CUDA)
        before, os.environ["CUDA_HOME"] = os.environ.get("CUDA_HOME"), str(self.folder / "toolkit")
        self.addCleanup(lambda: os.environ.update(CUDA_HOME=before) if before else os.environ.pop("CUDA_HOME"))
        self.assertIn(str(self.folder / "toolkit/lib64"), libraries.candidates(self.folder / "nothing"))


class Programs(InAFolder):
    def test_a_check_that_fails_ends_no_other_and_says_why(self):
        steps = Steps(self.folder / "logs")
        steps.run("one", [["sh", "-c", "echo 'error: wrong number' >&2; exit 3"], ["touch", self.folder / "next"]], {}, 20)
        step, out = steps.run("two", [["echo", "fine"]], {}, 20)
        self.assertEqual([step["status"] for step in steps.all], ["failed", "passed"])
        self.assertIn("code 3: error: wrong number", steps.all[0]["why"])
        self.assertFalse((self.folder / "next").exists())
        self.assertEqual((out, step.get("why")), ("fine\n", None))

    def test_a_program_that_is_not_there_is_a_check_that_failed(self):
        steps = Steps(self.folder / "logs")
        step, _ = steps.run("none", [[self.folder / "none"]], {}, 20)
        self.assertEqual(step["status"], "failed")
        self.assertIn("No such file", step["why"])
        self.assertIn("No such file", measured([self.folder / "none"], {}, 20)["failed"])

    def test_a_program_that_hangs_is_ended_with_all_that_it_has_started(self):
        steps, began = Steps(self.folder / "logs"), time.monotonic()
        command = ["sh", "-c", f"(sleep 3; touch {self.folder}/late) & sleep 30"]
        step, _ = steps.run("hangs", [command], {}, 1)
        self.assertIn("more than 1 s", step["why"])
        time.sleep(max(0.0, 4 - (time.monotonic() - began)))
        self.assertFalse((self.folder / "late").exists())

    def test_a_time_that_cannot_be_had_has_a_reason(self):
        self.assertEqual(measured(["echo", '{"seconds": 2}'], {}, 20), {"seconds": 2})
        self.assertIn("out of memory", measured(["sh", "-c", "echo out of memory >&2; exit 1"], {}, 20)["failed"])
        self.assertIn("no JSON", measured(["echo", "x"], {}, 20)["failed"])
        self.assertIn("more than 1 s", measured(["sleep", "9"], {}, 1)["failed"])


class Models(InAFolder):
    def test_a_model_has_each_tensor_at_its_place_and_no_byte_more(self):
        for name, config, size in [("a", models.minilm(True), 4), ("c", models.qwen3(True), 2), ("b", models.phi3(True, 2), 2)]:
            models.write(self.folder / name, config)
            content = (self.folder / name / "model.safetensors").read_bytes()
            (length,) = struct.unpack("<Q", content[:8])
            header = json.loads(content[8 : 8 + length])
            weights = sum(models.math.prod(shape) for _, shape in models.shapes(config))
            self.assertEqual(len(content), 8 + length + size * weights)
            at = 0
            for tensor in list(header.values())[1:]:
                self.assertEqual(tensor["data_offsets"], [at, at + size * models.math.prod(tensor["shape"])])
                at = tensor["data_offsets"][1]
        # The upper half of 1.0 in every weight of a norm.
        self.assertEqual(content[-128:], b"\x80\x3f" * 64)

    def test_the_real_shapes_have_the_real_numbers_of_weights(self):
        count = lambda config: sum(models.math.prod(shape) for _, shape in models.shapes(config))
        self.assertEqual(count(models.minilm(False)), 22_713_216)
        # Qwen3-0.6B, whose head for words is its table.
        self.assertEqual(count(models.qwen3(False)), 596_049_920)
        # Phi-3-mini without its head for words.
        self.assertEqual(count(models.phi3(False, 32)), 3_821_079_552 - 32_064 * 3_072)


class Report(InAFolder):
    def test_the_table_has_ratios_and_why_a_figure_is_missing(self):
        config = models.minilm(False)
        rows = [
            times.row(config, "minilm", "dense", 16, 128, {"seconds": 0.002, "device_peak_mib": 100.0}, {"seconds": 0.003}),
            times.row(config, "minilm", "dense-nf4", 16, 128, {"failed": "no | memory"}, {"skipped": "no bitsandbytes"}),
        ]
        self.assertAlmostEqual(rows[0]["ratio"], 1.5)
        self.assertAlmostEqual(rows[0]["ours"]["tokens_per_second"], 1_024_000)
        # 6 · 10,616,832 weights · 2048 tokens and 6 layers of 12 · 2048 · 128 · 384.
        flop = 6 * 10_616_832 * 2048 + 6 * 12 * 2048 * 128 * 384
        self.assertAlmostEqual(rows[0]["ours"]["tflop_per_second"], flop / 0.002 / 1e12)
        results = {
            "gpu": {"name": "NVIDIA A", "memory_mib": 2048.0}, "emulated": False, "quick": True, "interrupted": False,
            "driver": {"release": "580.1", "cuda": "13.0"}, "libraries": {"driver": "/d", "cuda": "/c"}, "pytorch": "2",
            "made_of": {"commit": "abc"}, "began": "today", "seconds": 1.0, "times": rows,
            "checks": [{"name": "contract", "status": "failed", "seconds": 1.0, "why": "a | b"}],
        }  # fmt: skip
        report.write(self.folder, results)
        table = (self.folder / "results.md").read_text()
        self.assertIn("| minilm, 6 layers | dense | 16 × 128 | 2.000 |", table)
        self.assertIn("| 1.50 |", table)
        self.assertIn("| contract | failed | 1.0 | a \\| b |", table)
        self.assertIn("minilm dense-nf4 16 × 128, PyTorch: no bitsandbytes", table)
        self.assertEqual(json.loads((self.folder / "results.json").read_text())["times"][0]["case"], "dense")


class Bench(InAFolder):
    """Steps of whole models, with a `speed` that is a script, and with the engine's own on an emulated GPU."""

    def rows(self, speed, torch="PyTorch is not installed"):
        (self.folder / "bin").mkdir()
        (self.folder / "bin/speed").write_text(f"#!/bin/sh\n{speed}\n")
        (self.folder / "bin/speed").chmod(0o755)
        return list(bench.run(self.folder, {}, self.folder, sys.executable, torch, True))

    def test_each_case_has_its_figures_and_the_share_of_a_product(self):
        kernels = [[f"kernel {number}", 2.0, 3] for number in range(40)]
        step = json.dumps({"seconds": 0.5, "device_peak_mib": 9.0, "kernels": kernels})
        rows = self.rows(f"""case $1 in product-bf16) echo '{{"tflop_per_second": 2.0}}';; *) echo '{step}';; esac""")
        self.assertEqual([row["case"] for row in rows], [case for _, _, case, _, _ in bench.CASES])
        for row in rows:
            ours = row["ours"]
            self.assertAlmostEqual(ours["tokens_per_second"], row["texts"] * row["tokens"] * row["batches"] / 0.5)
            self.assertAlmostEqual(ours["share_of_peak"], ours["tflop_per_second"] / 2)
            self.assertEqual((len(ours["kernels"]), ours["in_kernels_ms"]), (bench.NAMED, 80.0))
        results = {"gpu": {"name": "NVIDIA A"}, "emulated": True, "rows": rows}
        bench.write(self.folder / "out", results)
        table = (self.folder / "out/bench.md").read_text()
        self.assertIn("| phi3, 2 layers | all of it in TF32, 4 × 2 as in the tutorial | 2 × 2 × 24 |", table)
        self.assertIn("theirs: PyTorch is not installed", table)
        self.assertIn("| kernel 0 | 2.00 | 3 |", table)
        self.assertLess(sum(path.stat().st_size for path in (self.folder / "out").iterdir()), 20_000)
        self.assertEqual(list(pathlib.Path("/dev/shm").glob(f"mbti-bench-{os.getpid()}-*")), [])

    def test_a_case_that_fails_says_why_and_ends_no_other(self):
        rows = self.rows("""case "$*" in *nf4*) echo 'out of memory' >&2; exit 3;; *) echo '{"seconds": 1}';; esac""")
        failed = [row["case"] for row in rows if "failed" in row["ours"]]
        self.assertEqual((failed, len(rows)), (["steps-nf4-bf16"], len(bench.CASES)))

    def test_no_case_begins_when_the_time_is_over(self):
        before, bench.ALL = bench.ALL, 10
        self.addCleanup(setattr, bench, "ALL", before)
        for row in self.rows("exit 1"):
            self.assertEqual(row["ours"], {"skipped": "no time was left"})

    @unittest.skipUnless("MBTI_TEST_SPEED" in os.environ, "scripts/gpu-tests.sh runs it with the program that it has built")
    def test_every_case_runs_on_an_emulated_gpu(self):
        (self.folder / "bin").mkdir()
        (self.folder / "bin/speed").symlink_to(os.environ["MBTI_TEST_SPEED"])
        for row in bench.run(self.folder, {}, self.folder, sys.executable, "an emulated GPU", True):
            self.assertGreater(row["peak"].get("tflop_per_second", 0), 0, row)
            self.assertGreater(row["ours"].get("tokens_per_second", 0), 0, row)
            self.assertEqual(len(row["ours"]["kernels"]), bench.NAMED, row)
            self.assertTrue(all(milliseconds > 0 and launches > 0 for _, milliseconds, launches in row["ours"]["kernels"]), row)


if __name__ == "__main__":
    unittest.main()
