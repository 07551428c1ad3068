# One vocabulary for people and CI. Everything runs from .venv; `make setup` fills it.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup demo test lint bench load lock clean

help:            ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

setup:           ## install into .venv and build the snippet
	@$(PYTHON) engage/bootstrap.py

demo: setup      ## the whole product with a demo web app; Ctrl-C ends it
	@exec $(BIN)/python examples/demo-app/serve.py

test:            ## every check and every test, the browser ones in a real Chromium
	@$(PYTHON) engage/bootstrap.py --tests
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/python -m pytest

lint: setup      ## formatting, lint and types
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix . && $(BIN)/mypy

bench: setup     ## the table of measures, as ratios within one run
	@$(BIN)/python -m loadtests.bench

load: setup      ## locust with realistic users, bounded
	@$(BIN)/python -m loadtests.load

lock:            ## pin the dependencies anew
	@$(PYTHON) engage/bootstrap.py --lock

clean:           ## remove what was installed and built
	@rm -rf .venv sdk_js/node_modules sdk_js/dist
