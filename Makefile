# The two commands of a newcomer: `make run` and `make test`. Both make the environment first when it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := $(if $(GPU),requirements-gpu.lock,requirements.lock)
STAMP := $(VENV)/installed-$(LOCK)
# DVC runs `python -m thaw`: the environment's Python has to come first.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1

.PHONY: run test test-slow check bench bench-elpv mutants ui install lock help
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

run: $(STAMP) data/raw ## the main job: demo images, the whole pipeline, a result table (GPU=1 for NVIDIA cards)
	$(BIN)/thaw run

test: $(STAMP) ## the tests that CI runs
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

test-slow: $(STAMP) ## the tests that take longer
	$(BIN)/python -m pytest -m slow

check: $(STAMP) ## lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/architecture -q

bench: $(STAMP) ## the benchmarks, as ratios measured in one run
	$(BIN)/python -m benchmarks

bench-elpv: $(STAMP) ## accuracy on ELPV over five seeds
	$(BIN)/python -m benchmarks.elpv

mutants: $(STAMP) ## the share of small faults that the tests see
	$(BIN)/python -m benchmarks.mutants

ui: $(STAMP) ## MLflow's and Prefect's pages
	$(BIN)/thaw ui

install: $(STAMP) ## the environment alone

data/raw:
	$(BIN)/thaw demo

# uv installs in seconds, and compiles as pip does: where Python may write no bytecode, as in most containers, each process would
# compile Keras and TensorFlow anew. Where uv cannot (no wheel for the platform, a registry only pip is set up for), pip does the same.
$(STAMP): $(LOCK) pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	rm -f $(VENV)/installed-*
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep -oE '^uv==[0-9.]+' requirements.lock) || true
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r $(LOCK) \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

lock: ## resolve the dependencies anew
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra demo --extra dev --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra demo --extra dev --extra gpu --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" pyproject.toml -o requirements-gpu.lock
