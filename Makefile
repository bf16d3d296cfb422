# Every target makes what it needs first: Python >= 3.11 (with venv), make and git are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHON_FOLDERS := src $(wildcard tests examples benchmarks docs .ci)
BENCHMARKS := rpc sdk footprint http state stream queue lag copies testing
.DEFAULT_GOAL := help

# A plain `pip install .` in there replaces the editable installation, and every target would run stale code
ifeq ($(wildcard $(VENV)/lib/python3*/site-packages/_editable_impl_iii_py.pth),)
.PHONY: $(STAMP)
endif

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv: $(STAMP) ## the environment in .venv, as the lock file says

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:3]; sys.exit(v < (3, 11) or (3, 12) <= v < (3, 12, 3))' || { \
	    echo "iii needs Python 3.11, or 3.12.3 or newer, and '$(PYTHON)' is not. Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@echo "== setting up $(VENV): about 60 packages, a minute or more"
	@$(PYTHON) -m venv $(VENV)
	@# --no-deps: the lock is complete, and pip 23 reads `coverage[toml]>=7` as unpinned beside `coverage==7.17.3`
	@$(BIN)/python -m pip install --progress-bar off --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: demo
demo: $(STAMP) ## engine and worker, shown at work until Ctrl-C (ONCE=1: ends by itself)
	@$(BIN)/python examples/demo.py $(if $(ONCE),--once)

.PHONY: test
test: $(STAMP) ## everything: check, all tests with coverage, the coverage floor
	@PYTHON=$(BIN)/python .ci/test

.PHONY: check
check: $(STAMP) ## format, lint, types, imports, docs as the source says
	@$(BIN)/ruff format --check $(PYTHON_FOLDERS)
	@$(BIN)/ruff check $(PYTHON_FOLDERS)
	@$(BIN)/mypy $(shell find $(PYTHON_FOLDERS) -name '*.py')
	@$(BIN)/lint-imports --no-logo --no-cache
	@$(BIN)/python -m docs.generator --check
	@.ci/console check

.PHONY: console
console: ## the console's front end, built into src/iii/console/assets (needs Node)
	@.ci/console build

.PHONY: pictures
pictures: $(STAMP) ## how the console's main pages look, which the tests compare: look at them before you commit them (needs Chromium)
	@$(BIN)/python -m tests.console.pictures

.PHONY: unit
unit: $(STAMP) ## tests of parts, in seconds: no sockets, fake clock
	@$(BIN)/python -m pytest -q tests/unit $(wildcard tests/property)

.PHONY: compat
compat: $(STAMP) ## tests against published clients of other makers
	@.ci/install node npm
	@$(BIN)/python -m pytest tests/compat

.PHONY: bench
bench: $(STAMP) ## what iii reaches, beside others in the same run
	@.ci/install nats-server wrk redis-server redis-benchmark
	@for name in $(BENCHMARKS); do echo "== benchmarks/$$name.py"; $(BIN)/python benchmarks/$$name.py || exit 1; done

.PHONY: docs
docs: $(STAMP) ## reference pages out of the source, and a look at every link
	@$(BIN)/python -m docs.generator

.PHONY: lock
lock: ## requirements.lock anew, newest versions that pyproject.toml allows
	@test -x $(VENV)-lock/bin/uv || { $(PYTHON) -m venv $(VENV)-lock && \
	    $(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check uv; }
	@$(VENV)-lock/bin/uv pip compile pyproject.toml --upgrade --quiet --universal --python-version 3.11 \
	    --extra dev --extra engine --extra otel --extra otlp --extra rabbitmq --extra redis --group dev --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --custom-compile-command 'make lock' --output-file requirements.lock
	@$(MAKE) --no-print-directory image-lock

.PHONY: image-lock
image-lock: ## of requirements.lock, what the image in deploy/ needs; nothing newer
	@test -x $(VENV)-lock/bin/uv || { $(PYTHON) -m venv $(VENV)-lock && \
	    $(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check uv; }
	@compile="$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --constraint requirements.lock --generate-hashes \
	    --no-annotate --no-emit-index-url --no-emit-find-links" && \
	    $$compile pyproject.toml --extra engine --extra otel --extra otlp --extra rabbitmq --extra redis \
	    --custom-compile-command 'make image-lock' --output-file deploy/requirements.lock && \
	    $$compile --group build --group image --custom-compile-command 'make image-lock' --output-file deploy/build.lock

.PHONY: clean
clean: ## remove environments, caches and what tests leave behind
	@rm -rf $(VENV) $(VENV)-* .cache build dist htmlcov coverage.json .coverage .coverage.* \
	    console/node_modules .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find src tests examples benchmarks docs .ci -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
