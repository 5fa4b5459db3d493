# koboshi: everything that a person or a machine does with this clone. `make help` lists it.

PYTHON ?= python3
VENV := $(if $(filter python3,$(notdir $(PYTHON))),.venv,.venv-$(notdir $(PYTHON)))
RUN := $(CURDIR)/$(VENV)/bin
export PATH := $(RUN):$(PATH)
# Compiled modules are kept: without them each start of the stack compiles Airflow, Ray and MLflow again.
unexport PYTHONDONTWRITEBYTECODE
unexport VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help setup up demo compose-test drills fuzz test test-unit lint format stop clean tools lock docs recording
.PHONY: benchmark-ingest benchmark-planning benchmark-recovery benchmark-training benchmark-detector benchmark-model nemesis-training

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-19s %s\n", $$1, $$2}'
	@echo "  PYTHON=python3.13 chooses another interpreter (3.11 to 3.13)."

setup: ## Make the environment from the hashed lock; does nothing when it is up to date
	@$(PYTHON) tools/bootstrap.py $(VENV)

up: setup ## Start the stack and wait until every part has done real work
	@koboshi up

demo: setup ## The whole flow, from a record in Kafka to an answer at the endpoint, and a drill
	@python -m pipelines.demo

drills: setup ## Every drill on the running stack, then every negative control; takes up to half an hour
	@koboshi up
	@koboshi drill run --all; ended=$$?; koboshi drill report; exit $$ended
	@python -m pytest -q -m drills tests/drills

benchmark-ingest: setup ## What landing and its audit cost, and a record beside kafka-python's own consumer
	@python -m benchmarks.ingest

benchmark-recovery: setup ## How soon a training goes on after a fault, beside its peers on Ray; on a cluster of its own
	@python -m benchmarks.recovery

benchmark-training: setup ## What the machinery costs while nothing goes wrong; on a cluster of its own
	@python -m benchmarks.training

benchmark-detector: setup ## How soon silence is suspicious, and how often wrongly: beats of half an hour on a busy machine
	@python -m benchmarks.detector

benchmark-model: setup ## Our models beside the published ones, week after week, while workers are killed: the same bits
	@python -m benchmarks.model

benchmark-planning: setup ## What a landing with nothing new costs, with 10 and with 100,000 spans in the ledger
	@python -m benchmarks.planning

nemesis-training: setup ## Two hundred faults, drawn from a seed, over every ready-made unit; SEED=7 replays a schedule
	@python -m benchmarks.nemesis $(if $(SEED),--seed $(SEED))

test: setup ## Every test, on a real stack, with branch coverage (REQUIRE_TOOLS=1: an absent tool is a failure)
	@python tools/run_tests.py

test-unit: setup ## The pure tests, in seconds: no process, no waiting
	@python -m tools.run_unit_tests

fuzz: setup ## 100,000 generated inputs for each door from outside, new ones each time; SEED=7 repeats a run
	@FUZZ_CASES=$${FUZZ_CASES:-100000} python -m pytest -q --timeout=0 --hypothesis-profile=new \
	  $(if $(SEED),--hypothesis-seed=$(SEED)) tests/fuzz

compose-test: setup ## The stack in containers: image, flow, kills under load, down and up (Docker, or root on Debian)
	@COMPOSE_TEST=1 python -m pytest -q -s -x tests/compose

docs: setup ## Build the documentation as a site in site/, with warnings as errors
	@python -m tools.build_docs

recording: setup ## Record a kill and its recovery on the running stack, and picture the newest drill report: docs/pictures/
	@python -m tools.record_recovery
	@python -m tools.picture_report

lint: setup ## Style, types, the rules of the house, and whether dvc.yaml is as declared
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports
	@koboshi project sync --check

format: setup ## Put the code into the house's style
	@ruff format .
	@ruff check --fix .

stop: ## Stop the stack: no process and no port of it is left
	@if [ -x $(RUN)/koboshi ]; then koboshi down; else echo "Nothing is set up, so nothing runs."; fi

clean: stop ## Stop the stack and remove everything that was made, also outside of this folder
	@rm -rf .koboshi .venv .venv-* data build dist site htmlcov .coverage .coverage.* .dvc/cache .dvc/tmp
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@# What `make setup` has told DVC of this clone's page goes, what a person has told it stays.
	@if [ -f .dvc/config.local ]; then sed -i '/html_template = .*koboshi\/dvc-plots.html/d' .dvc/config.local; \
	  grep -q = .dvc/config.local || rm .dvc/config.local; fi

tools: ## Install the system tools that some tests use (Debian, as root)
	@if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "make tools needs root on Debian; elsewhere install by hand: strace chromium chromium-driver wrk docker docker-compose postgresql" >&2; exit 1; fi
	@apt-get update -qq
	@DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends strace chromium chromium-driver wrk \
	  docker-compose debootstrap $$(command -v dockerd >/dev/null || echo docker.io) \
	  $$(command -v initdb >/dev/null || echo postgresql)

lock: setup ## Resolve the dependencies anew: requirements.lock, the wheel's constraints, the jars
	@UV_CACHE_DIR=.koboshi/cache/uv .koboshi/cache/uv-*/bin/uv pip compile --quiet --universal --generate-hashes \
	  --no-header --all-extras --python-version 3.11 --upgrade pyproject.toml -o requirements.lock
	@python tools/write_constraints.py
	@python tools/lock_jars.py
