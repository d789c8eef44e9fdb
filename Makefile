# Two commands for a fresh machine, each complete on its own: `make demo` and `make test`.
# What they need is installed once by scripts/setup.sh; a second call installs nothing.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-long lint docs bench setup-demo setup-test setup-bench clean distclean

PYTEST_WORKERS ?= 2
PYTEST_ARGS ?=

# Which ngspice the set-up settled on; empty where it is simply the one on the PATH.
VENV = . .venv/.setup/env && .venv/bin
# One thread each: the tests start several simulators, and BSIM4 over OpenMP threads on shared
# cores is many times slower than on one.
ONE_THREAD = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1
PYTEST = . .venv/.setup/env && $(ONE_THREAD) .venv/bin/python -m pytest
PARALLEL = -n $(PYTEST_WORKERS) --dist loadgroup

help:
	@echo "make demo       handwritten digits through a simulated array and converter (no torch)"
	@echo "make test       lint, types and all tests but the long ones"
	@echo "make test-long  the long tests: many kills, many chips"
	@echo "make lint       ruff (rules and format), mypy --strict"
	@echo "make docs       run the commands of the documentation"
	@echo "make bench      benchmarks"
	@echo "make clean      remove caches and build products; distclean removes .venv too"

setup-demo:
	@bash scripts/setup.sh demo

setup-test:
	@bash scripts/setup.sh test

setup-bench:
	@bash scripts/setup.sh bench

demo: setup-demo
	@$(VENV)/imccircuit accuracy digits

lint: setup-test
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

test: lint
	@$(PYTEST) -m "not long" $(PARALLEL) $(PYTEST_ARGS)

test-long: setup-test
	@$(PYTEST) -m long $(PYTEST_ARGS)

docs: setup-test
	@$(PYTEST) tests/docs $(PYTEST_ARGS)

bench: setup-bench
	@. .venv/.setup/env && $(ONE_THREAD) .venv/bin/python benchmarks/run.py

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv
