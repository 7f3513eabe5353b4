# Every target sets up .venv by itself; the stamps make a second call fast.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ONLY ?=

.PHONY: run test check bench models docs help clean

help:
	@echo "make run | test | check | bench [ONLY=part] | models | docs | clean"

$(VENV)/base.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Freehold needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make run PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/base.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(VENV)/bench.stamp: $(VENV)/dev.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

run: $(VENV)/base.stamp  ## the node on 127.0.0.1:8400 with the embedded model
	@$(BIN)/freehold serve

test: $(VENV)/dev.stamp  ## the whole suite, what starts processes of its own by itself; fetches the embedded model first
	@$(BIN)/freehold models pull smollm2-135m --quiet
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --ignore tests/integration --ignore tests/cli
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 2 --dist loadfile tests/integration tests/cli

check: $(VENV)/dev.stamp  ## lint, types, arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/bench.stamp  ## measured figures, as ratios within one run
	@$(BIN)/python -m bench --only "$(ONLY)"

models: $(VENV)/dev.stamp  ## the real models that benches and tests use, by digest
	@$(BIN)/python -m bench.models

docs: $(VENV)/dev.stamp  ## README's command help, written from the program itself
	@$(BIN)/python -m freehold.cli.docs

clean:
	rm -rf $(VENV) bench/out .mypy_cache .ruff_cache .hypothesis
