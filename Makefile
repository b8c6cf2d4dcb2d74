# Two commands on a fresh machine: `make demo` and `make test`. Both build .venv once and reuse it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# One process a core; the tests of a file share its fixtures, so they stay together.
PARALLEL := --numprocesses auto --dist loadfile
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test test-slow lint bench notebooks pictures clean
.DELETE_ON_ERROR:

$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if (3,11) <= sys.version_info[:2] <= (3,13) else "kerasbert needs Python 3.11, 3.12 or 3.13; choose one with: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/kerasbert demo

test: $(INSTALLED)
	$(BIN)/python -m pytest $(PARALLEL)

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest $(PARALLEL) --run-slow

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

# In an environment of their own, which their first cells fill.
notebooks: $(INSTALLED)
	$(BIN)/python -m notebooks

# Of the READMEs, in Chromium, of what `make demo` leaves behind.
pictures: $(INSTALLED)
	$(BIN)/python -m notebooks.pictures

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
