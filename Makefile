# One word each:  make run  starts Flowport,  make test  runs every test.
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
PY := .venv/bin/python

.PHONY: run test setup check bench chaos slow canvas canvas-check lock format

.uv/bin/uv:
	@./scripts/get-uv

.venv/run.stamp: requirements.lock $(filter .uv/%,$(UV))
	@echo "Setting up Flowport (once, and after an upgrade) ..."
	@$(UV) venv -q --allow-existing $$(./scripts/find-python --flag) .venv && $(UV) pip sync -q --require-hashes requirements.lock && touch $@

.venv/dev.stamp: requirements-dev.lock $(filter .uv/%,$(UV))
	@echo "Setting up Flowport with its test tools ..."
	@$(UV) venv -q --allow-existing $$(./scripts/find-python --flag) .venv && $(UV) pip sync -q --require-hashes requirements-dev.lock && touch $@ .venv/run.stamp

# Set up; then `.venv/bin/python app.py --help` works.
setup: .venv/run.stamp

# Start Flowport on http://localhost:8080 with its data in ./data.
run: setup
	@exec $(PY) app.py serve

# Every test, a real browser included. Three at once also on two cores: they wait more than they compute.
test: .venv/dev.stamp
	@./scripts/get-browser $(PY)
	@./scripts/get-nginx
	@$(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not chaos and not slow"

# Lint, format, types and the direction of imports: what CI runs before the tests.
check: .venv/dev.stamp
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/basedpyright --level error
	@.venv/bin/lint-imports --no-cache

format: .venv/dev.stamp
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

# Figures as ratios to a baseline of the same run.
bench: .venv/dev.stamp
	@./scripts/get-browser $(PY)
	@$(PY) -m tests.benchmarks

# kill -9, again and again, for minutes.
chaos: .venv/dev.stamp
	@$(PY) -m pytest -m chaos

slow: .venv/dev.stamp
	@./scripts/get-browser $(PY)
	@$(PY) -m pytest -m slow

# Build the canvas bundle (needs Node; users never do).
canvas: .venv/dev.stamp
	@$(PY) scripts/build_canvas.py

canvas-check: .venv/dev.stamp
	@$(PY) scripts/build_canvas.py --check

# Pin every dependency with its hash. No host of a registry is written.
lock: $(filter .uv/%,$(UV))
	$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.lock
	$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml -o requirements-dev.lock
