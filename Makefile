# `make test` and `make demo` need Python 3.11 and nothing else: the first run makes .venv, later ones reuse it.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.slowfast-setup
TYPES := build/types/slowfast
EXTRAS := dev,doom,eval,lerobot,minari,mujoco,train

# Two workers with one thread each, and no network: what a test needs is in the repository or in the environment.
TEST_ENV := OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 PIP_NO_INDEX=1
PYTEST_ARGS ?= -n 2 --dist loadfile

.PHONY: setup demo test lint types pytest interop format clean
.DEFAULT_GOAL := test

setup: $(STAMP)

# torch goes first and by its exact pin: that is what finds the CPU build where only that is offered.
$(STAMP): pyproject.toml setup.py constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt pip setuptools
	$(BIN)/python -m pip install -c constraints.txt torch
	$(BIN)/python -m pip install -c constraints.txt --no-build-isolation -e '.[$(EXTRAS)]'
	touch $@

demo: $(STAMP)
	$(BIN)/slowfast demo

test: lint types pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# A type checker does not follow the mapping of envs/ to slowfast.envs, so it gets the tree as it is imported, in links.
types: $(STAMP)
	rm -rf $(TYPES) && mkdir -p $(TYPES)
	ln -s $(CURDIR)/slowfast/* $(TYPES)/
	ln -s $(CURDIR)/envs $(CURDIR)/datasets $(CURDIR)/configs $(TYPES)/
	cd $(TYPES)/.. && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache -p slowfast

pytest: $(STAMP)
	$(TEST_ENV) $(BIN)/pytest $(PYTEST_ARGS)

# Is what we export what others read? lerobot gets an environment of its own; the answer is benchmarks/results/interop.json.
interop: $(STAMP)
	$(BIN)/python benchmarks/lerobot_interop.py

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist out *.egg-info .mypy_cache .pytest_cache .ruff_cache
