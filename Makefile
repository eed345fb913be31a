# Every target bootstraps what it needs: only Python 3.12 or newer, make and git have to be there.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
VENV := .venv
BIN := $(VENV)/bin
# A uv that is on the PATH is used; otherwise one comes from PyPI into a folder of this checkout.
E2E ?= tests/e2e
UV := $(shell command -v uv || echo .uv/bin/uv)

# Some machines set this; without bytecode every process of every test would compile everything again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test check format e2e bench clean
help:              ## this list
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: $(VENV)/.ready  ## make .venv from uv.lock, with `jac` and `jacfn` in it

.uv/bin/uv:
	@python3 -m venv .uv && .uv/bin/pip install --quiet --disable-pip-version-check uv

$(VENV)/.ready: pyproject.toml uv.lock $(filter .uv/bin/uv,$(UV))
	@$(UV) sync --quiet --frozen --all-extras && touch $@

demo: setup        ## deploy examples/shop on this laptop, call it, watch it sleep and wake (two minutes at most)
	@$(BIN)/python examples/demo.py

test: setup        ## the test suite, on real servers (under five minutes on two cores)
	@$(BIN)/pytest

check: setup       ## format, lint, types, walls
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check . | tail -20; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache | tail -3

format: setup      ## rewrite what `check` would complain about
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format --quiet .

e2e: setup         ## the slow evidence: four homes, a real cluster (../shared/cluster)
	@$(BIN)/pytest -n 0 --override-ini addopts="" -q --strict-markers --import-mode=importlib -p no:randomly --timeout 1200 $(E2E)

bench: setup       ## tables and JSON under .bench/; budgets of the design fail it
	@$(BIN)/python -m tests.bench

clean:             ## remove what make made
	@rm -rf $(VENV) .uv .bench .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
