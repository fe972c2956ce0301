# `make search` and `make test` need Python 3.11 or newer and nothing else; both use the same .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: search test lint fast slow clean

search: .venv/installed
	$(BIN)/python run_search.py

test: lint fast slow

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fast: .venv/installed
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow and not gpu"

slow: .venv/installed
	$(BIN)/pytest -n 2 --dist worksteal -m "slow and not gpu"

# The marker is written last: an installation that failed half-way is done again.
.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gansearch needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
