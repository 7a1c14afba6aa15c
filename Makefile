# The first target that is called makes the environment in .venv by itself (.ci/environment says how).
#   make test PYTHON=python3.12      with another Python
#   make test ARGS="-k order -x"     more arguments for the command behind the target
#   make test ARGS="-n 0 --pdb"      in one process
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?=
ARGS ?=
# The tests of a file share what they have compiled, so they stay together.
TESTS := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME VIRTUAL_ENV

.PHONY: help demo test test-all check format docs bench lock environment clean

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile

environment: ## the environment alone
	@PYTHON='$(PYTHON)' .ci/environment $(VENV)

demo: environment ## train a small model on photographs, about a minute (on text or speech: ARGS="--modality text", audio)
	@$(BIN)/artifex demo $(ARGS)

test: environment ## the tests, without the long ones
	@$(TESTS) $(ARGS)

test-all: environment ## all tests
	@$(TESTS) -m "" $(ARGS)

check: environment ## format, lint, types, import contracts, changelog fragments
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/python -m basedpyright
	$(BIN)/lint-imports
	@said=$$($(BIN)/towncrier build --draft --version next 2>&1) || { echo "changelog.d: $$said"; exit 1; }

format: environment ## put the code into its form
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: environment ## build the documentation into site/ and run its examples
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	$(BIN)/python -m pytest tests/test_docs.py $(ARGS)

bench: environment ## measure, beside loops by hand and other packages (ARGS="--without-peers" is quicker)
	@$(BIN)/python -m benchmarks $(ARGS)

lock: ## choose the versions of the environment anew (needs uv)
	.ci/lock $(ARGS)

clean: ## remove what was made, the environments too
	rm -rf $(VENV) .venv-smoke site build dist demo .bench .hypothesis .ruff_cache .import_linter_cache
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} + 2> /dev/null || true
