# Windlass: everything a checkout needs, from Python 3.11+ (venv and pip), git and make.

PYTHON ?= python3
ARGS ?=
# Most tests wait for other processes, so there are more at once than two cores would need.
WORKERS ?= 4
VENV := .venv
BIN := $(VENV)/bin
export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Those of our folders that have Python in them.
TYPED := $(foreach dir,benchmarks cli core daemon docs providers themes tui,$(if \
	$(shell find $(dir) -name '*.py' -print -quit 2>/dev/null),$(dir)))

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long lint format lock bench bench-peers picture docs clean \
	setup-run system-packages

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---------------------------------------------------------------- set-up

setup: ## Make .venv with the locked dependencies and Windlass in it
	@sh requirements/install.sh "$(PYTHON)" "$(VENV)" dev

setup-run:
	@sh requirements/install.sh "$(PYTHON)" "$(VENV)" base

lock: setup ## Pin the dependencies anew (ARGS=--upgrade takes newer releases)
	@sh requirements/lock.sh "$(VENV)" $(ARGS)

# ---------------------------------------------------------------- use

demo: setup-run ## Set up and open the demo (ARGS=--headless for lines instead of screens)
	@$(BIN)/windlass demo $(ARGS)

# ---------------------------------------------------------------- check

test: setup system-packages lint ## Set up, lint and run the whole test suite but the long tests
	@# Many tests watch real processes, and a machine that is too busy fails one now and then: what failed
	@# beside others is run again alone, and only then counts.
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS) || \
	  $(BIN)/python -m pytest --last-failed --last-failed-no-failures none $(ARGS)

test-long: setup system-packages ## Run the tests that take minutes
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m long $(ARGS)

system-packages:
	@sh tests/system-packages.sh

lint: setup ## Check form, types, import contracts and documents
	$(BIN)/ruff format --quiet --check .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --strict $(TYPED)
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/python docs/checks.py
	$(BIN)/mkdocs build --quiet --strict --site-dir build/site

format: setup ## Put the code into form
	$(BIN)/ruff check --quiet --fix-only .
	$(BIN)/ruff format .

# ---------------------------------------------------------------- make

bench: setup ## Run the benchmarks
	@for file in benchmarks/bench_*.py; do \
		[ -e "$$file" ] || { echo "There are no benchmarks yet."; break; }; \
		echo "== $$file"; name=$${file#benchmarks/}; \
		$(BIN)/python -m "benchmarks.$${name%.py}" $(ARGS) || exit 1; \
	done

bench-peers: setup ## Install what the benchmarks run beside Windlass where it is there
	$(BIN)/python -m pip -qq --no-input install --require-hashes -r requirements/bench.txt

picture: setup ## Draw the picture of the run screen anew
	$(BIN)/python docs/picture.py $(ARGS)

docs: setup ## Build the documents as a site in build/site
	$(BIN)/mkdocs build --quiet --strict --site-dir build/site

clean: ## Remove what was built and cached, and .venv
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache \
		.mypy_cache .pytest_cache .ruff_cache snapshot_report.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
