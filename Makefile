# The project's commands. Each installs what it needs and is missing.

SHELL := /bin/bash

.PHONY: run test gpu-tests lint build package cuda package-cuda gpu-folder bench-gpu parity metrics-parity faults bf16 bench

## run: build a release and open the program; with no display, do the main job in the terminal
run:
	@scripts/run.sh

## test: pass all tests
test:
	@scripts/test.sh

## gpu-tests: the part of the tests that is about GPUs, on the emulated one
gpu-tests:
	@scripts/gpu-tests.sh

## lint: rustfmt, clippy, svelte-check, cargo-deny
lint:
	@scripts/lint.sh

## build: the page, the engine and the program, unoptimised
build:
	@scripts/setup.sh && scripts/build.sh

## package: a Debian package of the program with its engine
package:
	@scripts/package.sh

## cuda: the engine for NVIDIA GPUs, mbti-cuda, beside the release of mbti; no GPU and no CUDA is needed to build it
cuda:
	@scripts/cuda.sh

## package-cuda: a Debian package of mbti-cuda with the libraries of CUDA that it needs
package-cuda:
	@scripts/package-cuda.sh

## gpu-folder: a folder to carry to a machine with an NVIDIA GPU, whose run.py checks and times the engine there; GPU_FOLDER says where
gpu-folder:
	@scripts/gpu-folder.sh $(if $(GPU_FOLDER),"$(GPU_FOLDER)")

## bench-gpu: on a machine with an NVIDIA GPU, training steps of whole models beside PyTorch, up to 8 minutes; from the folder of gpu-folder
bench-gpu:
	@scripts/gpu-folder.sh $(if $(GPU_FOLDER),"$(GPU_FOLDER)")
	@python3 "$(or $(GPU_FOLDER),gen/gpu-folder)/run.py" --bench

## parity: compare every family with Transformers on fresh random models, and on pretrained ones
parity:
	@scripts/parity.sh

## metrics-parity: compare every metric with scikit-learn on 1,000 random cases
metrics-parity:
	@scripts/metrics-parity.sh

## faults: kill a real engine 30 times, fill its disk, and compare its end with that of a run untouched
faults:
	@scripts/faults.sh

## bf16: the products that need AVX512-BF16, on an emulated processor where this one has none
bf16:
	@scripts/bf16.sh

## bench: speed and memory beside PyTorch, written to docs/benchmarks.md
bench:
	@scripts/bench.sh
