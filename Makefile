# Everything a fresh machine needs is Python 3.11+, make and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-fast lint completions clean

demo: $(VENV)/demo.stamp
	$(BIN)/python -m tests.demo demo

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest

test-fast: $(VENV)/test.stamp
	$(BIN)/python -m pytest -m "not slow"

lint: $(VENV)/lint.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

completions: $(VENV)/base.stamp
	$(BIN)/python -m mdn.cli.completions completions

clean:
	rm -rf $(VENV) demo build dist

$(VENV)/base.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/%.stamp: $(VENV)/base.stamp
	$(PIP) -e ".[$*]"
	touch $@
