# Every target sets up what it needs in .venv, again only when pyproject.toml or .ci/setup changes.
# PYTHON=python3.12 make test   picks the interpreter for a new .venv.

SHELL := /bin/bash
BIN := .venv/bin
DEMO := pcaps/socat-beacon.pcap.gz

.PHONY: help demo test lint types unit format docs quality clean

help:
	@echo "make demo    hunt through a capture in pcaps/ and show what is found"
	@echo "make test    everything below, as the continuous integration runs it"
	@echo "make lint    ruff: rules and format"
	@echo "make types   mypy, strict"
	@echo "make unit    the tests alone"
	@echo "make format  let ruff rewrite what it can"
	@echo "make docs    write anew what documents take from the program"
	@echo "make quality measure how well hops are found, and write docs/quality.md"
	@echo "make clean   remove .venv and caches"

.venv/.ready-core: pyproject.toml .ci/setup
	@.ci/setup core

.venv/.ready-test: pyproject.toml .ci/setup
	@.ci/setup test

demo: .venv/.ready-core
	@echo "+ hopscope hunt $(DEMO) --format table"
	@echo
	@$(BIN)/hopscope hunt $(DEMO) --format table || [ $$? -eq 1 ]
	@echo
	@echo "hopscope is in $(BIN); '. $(BIN)/activate' puts it on the PATH for the commands above."
	@echo "More captures, with what is true of each: pcaps/README.md. What else hopscope does: README.md."

test: lint types unit

lint: .venv/.ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.ready-test
	$(BIN)/mypy

unit: .venv/.ready-test
	@.ci/setup check
	timeout -k 60 40m $(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 0

format: .venv/.ready-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/.ready-test
	$(BIN)/python docs/records.py
	$(BIN)/python docs/settings.py
	$(BIN)/python docs/heuristics.py
	$(BIN)/python docs/coverage_page.py
	$(BIN)/python docs/sigma_rules.py
	$(BIN)/python docs/outputs.py
	$(BIN)/python docs/tutorial.py

quality: .venv/.ready-test
	$(BIN)/python -m bench.quality

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
