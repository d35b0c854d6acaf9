# Each target makes its own virtual environment and installs what it needs from a lock: nothing is assumed but make and
# Python 3.11 or newer. PYTHON chooses the interpreter: make demo PYTHON=python3.12

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
WORKERS ?= 3
# Not empty: install by uv, which takes a fifth of the time, but knows nothing of pip's settings.
WITH_UV ?=
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
INSTALL := $(if $(WITH_UV),$(PIP) uv && $(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(PY),$(PIP)) -r

# Runs a step of making the environment; what it says is shown if it fails, after which the second argument is done.
# Ctrl-C ends it without a traceback and removes the environment, which would be half made.
quietly = trap 'rm -rf $(VENV); exit 130' INT; said=$$({ $(1); } 2>&1) || { echo "$$said" >&2; $(2) exit 1; }

.DEFAULT_GOAL := help
.PHONY: help demo demo-snowflake airflow test lint check bench lock clean

help:
	@echo "make demo    watch a shop flow from PostgreSQL into DuckDB and dbt marts"
	@echo "make demo-snowflake  the same into Snowflake, emulated: no account needed"
	@echo "make airflow  run the shop's pipeline in an Airflow on this machine, until Ctrl-C"
	@echo "make test    run all tests, none of which needs an account; PART=2/4 runs the second of four parts"
	@echo "make test-snowflake   run the tests that need a Snowflake account, which the environment names"
	@echo "make lint    check format, lint, types and import contracts"
	@echo "make check   the same, and run the fast tests"
	@echo "make bench   measure throughput, latency and memory"
	@echo "make lock    write requirements.txt and requirements-test.txt anew"
	@echo "make clean   remove what these targets made"

demo: $(VENV)/.product
	@$(PY) -m entrypoints.cli demo $(ARGS)

demo-snowflake: $(VENV)/.test
	@$(PY) -m tests.support.snowflake_demo $(ARGS)

airflow: $(VENV)/.test
	@$(PY) -m entrypoints.airflow.demo

test: $(VENV)/.test
	$(PY) -m pytest tests --ignore=tests/benchmarks --ignore=tests/real_snowflake \
	  -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(if $(PART),--part $(PART)) $(ARGS)

test-snowflake: $(VENV)/.test
	$(PY) -m pytest tests/real_snowflake --timeout=1800 $(ARGS)

lint: $(VENV)/.test
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	PYTHONPATH=src:. $(VENV)/bin/lint-imports

check: lint
	$(PY) -m pytest tests/unit -n $(WORKERS) -m "not slow" $(ARGS)

bench: $(VENV)/.test
	$(PY) -m tests.benchmarks $(ARGS)

lock: $(VENV)/bin/python
	$(PIP) uv
	@set -e; for pair in "requirements.txt:--extra demo" "requirements-test.txt:--all-extras"; do \
	  file=$${pair%%:*}; extras=$${pair#*:}; \
	  $(VENV)/bin/uv pip compile --quiet --universal --no-emit-index-url --no-header --no-annotate \
	    --python-version 3.11 pyproject.toml $$extras -o $(VENV)/lock.txt; \
	  { echo '# Pinned versions, written by `make lock` from pyproject.toml; edit that file, not this one.'; \
	    cat $(VENV)/lock.txt; } > $$file; \
	done

clean:
	rm -rf $(VENV) var logs build dist dbt/target dbt/logs .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make $(MAKECMDGOALS) PYTHON=python3.12"; \
	  exit 2; }
	@$(call quietly,$(PYTHON) -m venv $(VENV),rm -rf $(VENV);)

# Stamps: packages are installed only when a lock has changed. The test lock holds everything that the other one does.
$(VENV)/.product: requirements.txt | $(VENV)/bin/python
	@if [ ! -e $(VENV)/.test ]; then \
	  echo "installing what the product needs"; $(call quietly,$(INSTALL) requirements.txt); fi
	@touch $@

$(VENV)/.test: requirements-test.txt | $(VENV)/bin/python
	@echo "installing what the tests need"
	@$(call quietly,$(INSTALL) requirements-test.txt)
	@touch $@ $(VENV)/.product
