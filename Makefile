# Everything a fresh machine needs is Python 3.11+, make and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-fast lint completions bench clean

demo: $(VENV)/demo.stamp
	$(BIN)/python -m benchmarks.demo demo

# Tests run in processes of one thread each: see tests/conftest.py. WORKERS=0 is this process alone.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test: $(VENV)/test.stamp
	$(PYTEST)

test-fast: $(VENV)/test.stamp
	$(PYTEST) -m "not slow"

lint: $(VENV)/lint.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

completions: $(VENV)/base.stamp
	$(BIN)/python completions/generate.py completions

# models/BENCH.md. Hours on all pictures: LIMIT=2 makes a page in minutes. PICTURES: see mdn bench.
LIMIT ?= 0
BASELINES ?= peer:all
PICTURES ?= $(MDN_TEST_DATA)
bench: $(VENV)/bench.stamp
	$(BIN)/python -m benchmarks.bench_page models/BENCH.md --work runs/bench-page \
		--root $(PICTURES) --limit $(LIMIT) --baselines $(BASELINES)

clean:
	rm -rf $(VENV) demo build dist

$(VENV)/base.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/%.stamp: $(VENV)/base.stamp
	$(PIP) -e ".[$*]"
	touch $@
