# `make run` and `make test` need Python 3.11 to 3.13, and nothing else that has to be installed.
LEADS_PORT ?= 3000
VENV := .venv
BIN := $(VENV)/bin
BASE := $(VENV)/.installed
TEST := $(VENV)/.installed-test
BENCHMARK := $(VENV)/.installed-benchmark

# Half of all tests wait for something: two processes share them out. Some in ARGS are run by one, as ever.
SHARED := -n 2 --dist worksteal

# Quiet, setuptools' advice on editable installs included; an error still shows.
INSTALL := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable

# The newest interpreter that really runs and can make a virtual environment (Debian leaves ensurepip out of a bare python3).
FITS := import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
FIND := for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python); do \
	    if "$$python" -c '$(FITS)' >/dev/null 2>&1; then echo "$$python"; break; fi; done

.PHONY: help run test lint bench clean

help:
	@echo "make run      the leads service, and the gateway in front of it on port $${PORT:-8080} (PORT=..., LEADS_PORT=...)"
	@echo "make test     every test (ARGS='tests/test_router.py -x' for some)"
	@echo "make lint     ruff, its formatter, mypy --strict"
	@echo "make bench    the gateway beside the proxies that are installed"
	@echo "make clean    remove all that the others made, $(VENV) included"

run: $(BASE)
	@exec $(BIN)/gateway demo --port $(LEADS_PORT) --with-gateway gateway.yaml

test: $(TEST)
	@for tool in chromium curl promtool prometheus redis-server systemd-analyze; do \
	    command -v $$tool >/dev/null || echo "$$tool is not installed: the tests that need it will be left out"; \
	done
	@$(BIN)/python -m compileall -q gateway plugins  # hundreds of gateways are started: none shall compile what the others have
	@if $(BIN)/python -m pytest $(or $(ARGS),$(SHARED)); then \
	    echo "everything asked for passed (a line SKIPPED above says what was left out, and why). Next: make lint, make run"; \
	else \
	    echo "a line FAILED or ERROR above names each test that did not pass. One alone: make test ARGS='tests/test_x.py::test_y -x'"; exit 1; \
	fi

lint: $(TEST)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(BENCHMARK)
	$(BIN)/python -m tests.benchmarks.proxy $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@python=$$($(FIND)); \
	if [ -z "$$python" ]; then \
	    echo "no Python 3.11 to 3.13 with venv was found. Install one (Debian, Ubuntu: python3-venv), or name it: make PYTHON=/path/to/python"; \
	    exit 1; \
	fi; \
	echo "making $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv $(VENV)

# Installed once, and again when pyproject.toml changes; editable, so that the checkout is what runs.
$(BASE): pyproject.toml | $(BIN)/python
	@echo "installing the gateway into $(VENV)"
	@$(INSTALL) .
	@touch $@

$(TEST): pyproject.toml | $(BIN)/python
	@echo "installing the gateway and what its tests need into $(VENV)"
	@$(INSTALL) '.[test]'
	@touch $@ $(BASE)

$(BENCHMARK): pyproject.toml | $(BIN)/python
	@echo "installing the gateway and the proxies it is measured beside into $(VENV)"
	@$(INSTALL) '.[test,benchmark]'
	@touch $@ $(TEST) $(BASE)
