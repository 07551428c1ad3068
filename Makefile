# One vocabulary for people and CI. The installing itself is engage/bootstrap.py; a second run of any of these is quick.
PYTHON ?= python3
SETUP := $(PYTHON) -I engage/bootstrap.py
BIN := .venv/bin
# Where PYTHONDONTWRITEBYTECODE is set, as in many containers, each of pytest's processes would compile all tests again, in every run.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup dev demo test test-quick lint bench load chaos lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup:  ## install what running Engage needs into .venv, and build the snippet
	@$(SETUP) runtime sdk

dev:
	@$(SETUP) dev sdk

demo: setup  ## run the product with the demo app; Ctrl-C ends all of it
	@exec $(BIN)/python examples/demo-app/serve.py

test: dev lint  ## every check and every test, the browser ones in a real Chromium
	@$(SETUP) sdk-test clients browser
	$(PYTEST)

test-quick: dev  ## the tests that need no browser and kill nothing
	$(PYTEST) -m "not browser and not faults and not slow"

lint: dev  ## style, formatting, types
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: dev  ## the table of numbers, as ratios within one run; also as JSON
	@$(SETUP) clients browser
	$(BIN)/python -m loadtests.bench

SCENARIO ?= day
load: dev  ## locust, headless and bounded: SCENARIO=day, launch, herd or hostile, against a product of its own or ENGAGE_URL
	$(BIN)/python -m loadtests.load $(SCENARIO)

chaos: dev  ## the fault tests in full, about a quarter of an hour; ENGAGE_CHAOS_SEED=… makes the same choices again
	ENGAGE_CHAOS=1 $(BIN)/python -m pytest -m faults -n 0

lock: dev  ## the lock files anew
	@$(SETUP) lock

clean:  ## remove what was installed and built (not the data in .engage)
	rm -rf .venv build *.egg-info sdk_js/node_modules sdk_js/dist tests/clients/node_modules
