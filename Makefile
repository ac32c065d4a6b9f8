# Everything a person types. The work is in deploy/; `make help` lists the targets.
PYTHON ?= python3
ARGS ?=
RUN = exec $(PYTHON) deploy/bootstrap.py

# A script reads two lines from `make up`: none of make's own among them.
MAKEFLAGS += --no-print-directory

.PHONY: help up test test-all check bench lock
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

# `exec`: the signals that make passes on must reach the supervisor itself.
up: ## Run everything: PostgreSQL, web, task clusters, sandbox. PORT, DATA_DIR, DEMO, DATABASE_URL
	@$(RUN) up $(ARGS)

test: ## Run the tests on a PostgreSQL of their own; heavy ones in small size. ARGS go to pytest
	@$(RUN) test $(ARGS)

test-all: ## Run all tests in full size
	@BULKHEAD_TEST_SIZE=full $(RUN) test $(ARGS)

check: ## Format, lint, types, import rules, deploy and migration checks, generated docs, tests
	@$(RUN) check $(ARGS)

bench: ## Run the benchmarks; BENCH_ORDERS is their size. ARGS name sections
	@$(RUN) bench $(ARGS)

lock: ## Pin names, versions and hashes again after a change in pyproject.toml
	@$(RUN) lock $(ARGS)
