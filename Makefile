# One word each:  make run  starts Flowport,  make test  runs every test.
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
PY := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help run quick inside test test-postgres chromium processes browser attacks one setup check circles bench chaos slow canvas canvas-check icons openapi demo lock format pin-image image-check release-check

# What each tier may use together, in CPU seconds on a quiet machine; the run prints it beside what was used.
# The loop to work in: a minute on two cores.
QUICK_CPU := 100
# Half of the time of all tests in the process is pages that are drawn; a press of, and a forged event for, all that is on
# them take 30 s. Rolled-up figures compared with their rows at every moment of random histories take 10 s, and every
# pattern with texts of growing length 12. Files, documents, knowledge, agents, questions, schedules and hooks have a
# thousand tests, which take 40 s; rows that go from one database to the other and several servers have a hundred. What
# people may do at the same time, clocks that were wrong and files made to cost much have three hundred, which take 25 s;
# settings, keys, backups and batches that are in an odd state have as many.
INSIDE_CPU := 330
# 18 servers with their workers, and the workers that tests kill, read the modules anew: 4 s each. Two runs of schemathesis
# and a page that is stopped after its 10 s of CPU time take 40 s more.
PROCESS_CPU := 340
# A press of everything that an owner sees (30 s) and the boxes of thirty flows are among them.
BROWSER_CPU := 640
ATTACKS_CPU := 100
# The tests that open a database, once more. Each has a database of its own, a copy that takes 25 ms.
POSTGRES_CPU := 300
PYTEST := $(PY) -m pytest -q
INSIDE := $(PYTEST) -n 2 --dist worksteal -m "not process and not browser and not slow and not chaos" \
	$(foreach folder,browser chaos commands contract hosting live soak,--ignore=tests/$(folder)) --allow-hosts= --cpu-budget
# Pages that are drawn, attacks and random histories take two thirds of that, and are left to `make test`.
QUICK := $(INSIDE) $(QUICK_CPU) $(foreach folder,ui security storage/monitoring,--ignore=tests/$(folder))
# More at once than there are cores: tests that start processes wait for them, and browsers for the server. `make test`
# runs these two side by side; the tests of processes wait most, so they have four.
BY_FILE := --dist loadfile --no-loadscope-reorder
PROCESS := $(PYTEST) -n 4 $(BY_FILE) -m "process and not alone and not browser and not slow and not chaos" --cpu-budget $(PROCESS_CPU)
BROWSER := $(PYTEST) tests/browser -n 2 $(BY_FILE) -m "browser and not slow and not chaos" --cpu-budget $(BROWSER_CPU)
# Attacks are held to how fast the server answers an innocent caller meanwhile, so only waiting tests run beside them.
ATTACKS := $(PYTEST) tests/security -n 3 $(BY_FILE) -m "process and alone and not slow and not chaos" --cpu-budget $(ATTACKS_CPU)
# What opens a database: storage, jobs, actions and the API.
POSTGRES_FOLDERS := storage engine/jobs engine/actions api hosting/postgres ui/parts/postgres
# `make test-postgres CORE=1` runs a part that fits into CI beside the rest: what PostgreSQL does in its own way, and of
# each kind of query the file that tries most of it. What is added here is added to the time of .ci/run.
CORE_CPU := 90
CORE_FILES := storage/postgres engine/jobs/postgres \
	$(foreach name,database job_changes jobs datasets queue tables table_rows,storage/test_$(name).py) \
	storage/monitoring/test_overview.py \
	$(foreach name,submit/test_accept submit/test_limits submit/test_idempotency submit/test_batches server/test_erasing test_flow_concurrency test_questions,engine/jobs/$(name).py) \
	$(foreach name,limits members datasets keys,engine/actions/test_$(name).py) \
	api/routes/test_jobs.py
# Moves and backups take a fifth of it, and touch nothing that the others do.
CORE_LEFT := $(foreach name,move backups,--ignore=tests/storage/postgres/test_$(name).py)
POSTGRES := FLOWPORT_TEST_POSTGRES=1 $(PYTEST) $(addprefix tests/,$(if $(CORE),$(CORE_FILES),$(POSTGRES_FOLDERS))) \
	$(if $(CORE),$(CORE_LEFT)) -n 2 --dist worksteal -m "not alone and not browser and not slow and not chaos" \
	--cpu-budget $(if $(CORE),$(CORE_CPU),$(POSTGRES_CPU))

.uv/bin/uv: scripts/uv.lock.txt
	@./scripts/get-uv

# An extra stays, in the version of its lock, where somebody has installed it.
HAS = $(wildcard .venv/lib/python*/site-packages/$(1))
EXTRAS = $(if $(call HAS,psycopg),requirements-postgres.lock) $(if $(call HAS,opentelemetry/sdk),requirements-otel.lock) \
	$(if $(call HAS,playwright),requirements-browser.lock)

.venv/run.stamp: requirements.lock requirements-postgres.lock requirements-otel.lock requirements-browser.lock $(filter .uv/%,$(UV))
	@echo "Setting up Flowport (once, and after an upgrade) ..."
	@$(UV) venv -q --allow-existing $$(./scripts/find-python --flag) .venv && $(UV) pip sync -q --require-hashes requirements.lock $(EXTRAS) && touch $@

.venv/dev.stamp: requirements-dev.lock $(filter .uv/%,$(UV))
	@echo "Setting up Flowport with its test tools ..."
	@$(UV) venv -q --allow-existing $$(./scripts/find-python --flag) .venv && $(UV) pip sync -q --require-hashes requirements-dev.lock && touch $@ .venv/run.stamp

# This list, made of the comments above the targets.
help:
	@awk '/^#/ { told = told substr($$0, 2); next } \
		/^[a-z][a-z-]*:/ && told { sub(/:.*/, ""); sub(/[.:]( .*)?$$/, "", told); printf "make %-14s%s\n", $$0, told } \
		!/:=/ { told = "" }' Makefile

# Set up the program in this folder; then `.venv/bin/python app.py --help` works.
setup: .venv/run.stamp

# Start Flowport on http://localhost:8080 with its data in ./data.
run: setup
	@exec $(PY) app.py serve

# Pure and in-process tests, without a socket and without another process: the loop to work in, about a minute.
quick: .venv/dev.stamp
	@$(QUICK)

# All tests without a socket and without another process: quick, and those that draw pages or take long.
inside: .venv/dev.stamp
	@$(INSIDE) $(INSIDE_CPU)

# The browser of the tests, once: tests of both tiers below use it.
chromium: .venv/dev.stamp
	@./scripts/get-browser $(PY)

# All tests that a newcomer needs: those in the process, then what starts processes beside what drives a real browser, then
# the attacks alone.
test: chromium
	@$(INSIDE) $(INSIDE_CPU)
	@$(MAKE) -j 2 --output-sync --no-print-directory processes browser
	@$(ATTACKS)

# The tests of storage, jobs, actions and the API on a real PostgreSQL, which comes from a wheel and ends with them; with
# CORE=1 a part of them.
test-postgres: .venv/dev.stamp
	@$(POSTGRES)

# Tests that start a process or listen on a socket, without the attacks.
processes: chromium
	@$(PROCESS)

# Tests in a real browser. Playwright's synchronous interface and asyncio do not share a process, so they have a run of
# their own.
browser: chromium
	@$(BROWSER)

# Tests that measure how long an innocent caller waits during an attack. Nothing else may run meanwhile.
attacks: .venv/dev.stamp
	@$(ATTACKS)

# One test, file or folder, as it stands: make one T=tests/engine/flow/test_rules.py
one: .venv/dev.stamp
	@$(PYTEST) $(T)

# Lint, format, types and the direction of imports: what CI runs before the tests. The type checker is a program of Node,
# whose own 16 MB for young objects are small for what it makes: with more, it collects garbage less often.
check: .venv/dev.stamp
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@NODE_OPTIONS=--max-semi-space-size=128 .venv/bin/basedpyright --level error
	@.venv/bin/lint-imports --no-cache

# Circles of imports between modules; it prints each, and 0 circles when there is none.
circles: .venv/dev.stamp
	@$(PY) -m scripts.import_circles

# Format the code, and mend what ruff can mend.
format: .venv/dev.stamp
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

# Figures as ratios to a baseline of the same run.
bench: .venv/dev.stamp
	@./scripts/get-browser $(PY)
	@$(PY) -m tests.benchmarks

# kill -9 and SIGSTOP, again and again, for most of an hour (fewer jobs and kills take less), and power cuts.
JOBS := 10000
KILLS := 200
chaos: .venv/dev.stamp
	@./scripts/get-strace
	@CHAOS_JOBS=$(JOBS) CHAOS_KILLS=$(KILLS) $(PYTEST) -m chaos

# Load, bombs, schemathesis at length, hosting: what takes minutes. No promise is shown here alone.
slow: .venv/dev.stamp
	@./scripts/get-browser $(PY)
	@./scripts/get-nginx
	@$(PYTEST) -m slow

# Build the canvas bundle (needs Node; users never do).
canvas: .venv/dev.stamp
	@$(PY) scripts/build_canvas.py

# Whether the canvas bundle in the repository is that of its sources.
canvas-check: .venv/dev.stamp
	@$(PY) scripts/build_canvas.py --check

# The icon fonts with the icons in use only: after a new icon, and after an upgrade of NiceGUI.
icons: .venv/dev.stamp
	@$(PY) -m scripts.subset_icons

# The published OpenAPI document (tests/api/docs/openapi_snapshot.json), after a change of it that is meant.
openapi: .venv/dev.stamp
	@$(PY) -m tests.api.docs.snapshot

# README's animation, from the real product.
demo: .venv/dev.stamp
	@./scripts/get-browser $(PY)
	@$(PY) -m scripts.record_demo

# Pin every dependency with its hash. No host of a registry is written. LOCKS is the folder the locks are written to.
LOCKS := .
LOCK_EXTRA := $(UV) pip compile - -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url --no-header -c $(LOCKS)/requirements-dev.lock
lock: $(filter .uv/%,$(UV))
	$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml -o $(LOCKS)/requirements.lock
	$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml -o $(LOCKS)/requirements-dev.lock
	printf 'psycopg[binary]\n' | $(LOCK_EXTRA) -o $(LOCKS)/requirements-postgres.lock
	printf 'opentelemetry-exporter-otlp-proto-http\nopentelemetry-sdk\n' | $(LOCK_EXTRA) -o $(LOCKS)/requirements-otel.lock
	printf 'playwright\n' | $(LOCK_EXTRA) -o $(LOCKS)/requirements-browser.lock
	$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --group pyproject.toml:uv -o $(LOCKS)/scripts/uv.lock.txt

# The digest of the base image into the Dockerfile, before a release (needs Docker).
pin-image:
	@./scripts/pin-base-image

# Build the image once, start it and let it answer a call, before a release. BASE=local makes the base image from this
# system's Debian packages instead of fetching it. Needs root, buildah, and debootstrap for a base made here.
BASE := any
image-check:
	@$$(./scripts/find-python) -m scripts.image_check --base $(BASE)

# What a release still lacks; it ends with 1 when that is something.
release-check: .venv/dev.stamp
	@$(PY) -m scripts.release_check
