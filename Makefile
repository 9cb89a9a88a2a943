# Every target sets up what it needs: a virtual environment in .venv, made anew when pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTHONS ?= 3.11 3.12 3.13
# The environment of the lowest versions of all dependencies, on the lowest Python.
LOWEST := .venv-lowest
LOWEST_PYTHON ?= python3.11
# How many processes run the tests. More than two cores, since a test of a real server mostly waits for it.
WORKERS ?= 4
# Where results of benchmarks go.
BENCH ?= build/benchmarks

.PHONY: help run test test-quick test-slow test-3.14 test-all test-long test-lowest suites lint format fuzz mutations autobahn bench bench-all peers servers-table docs build clean

help: ## Show the targets
	@grep -E '^[a-z0-9.-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: $(VENV)/.run ## Serve the default application on http://127.0.0.1:8000; ARGS="--port 8001" for other options
	$(BIN)/python -m asgi_ws $(ARGS)

test: $(VENV)/.dev ## Run the whole test suite and hold the coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(WORKERS) $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Without what starts a process or a browser, which tests/quick.py finds out, and without what measures.
test-quick: $(VENV)/.dev ## Run the tests of the package that need no process, without the coverage, in half a minute
	$(BIN)/python -m pytest -q -n auto -m "not process and not long and not slow" --ignore tests/benchmarks $(ARGS)

test-all: ## Run the test suite on each of PYTHONS that is installed, and hold the coverage of all together
	PYTHONS="$(PYTHONS)" ARGS="-n $(WORKERS) $(ARGS)" sh tests/on_each_python.sh

# Without what needs the groups docs and bench of pyproject.toml.
test-lowest: $(LOWEST)/.installed ## Run the test suite with the lowest versions that pyproject.toml allows, on LOWEST_PYTHON
	$(LOWEST)/bin/python -m pytest -n $(WORKERS) --ignore tests/benchmarks --ignore tests/docs $(ARGS)

# No CPython 3.14 but Pyodide's is needed: it has no sockets, threads and processes, and what needs them is skipped.
PYODIDE := build/pyodide
test-3.14: $(VENV)/.dev ## Run what needs no socket on the Python 3.14 of Pyodide, which needs Node.js and npm
	npm install --silent --no-package-lock --no-save --prefix $(PYODIDE) pyodide@314
	$(BIN)/python -m pip install --quiet --upgrade --target $(PYODIDE)/site-packages --platform any --implementation py --abi none \
	    --python-version 3.14 --only-binary :all: asgiref httpx2 httpx2-jsfetch hypothesis pytest pytest-asyncio \
	    pytest-timeout starlette websockets
	node tests/pyodide/run.mjs $(PYODIDE) -q -p no:cacheprovider -m "not process and not long and not slow" \
	    $(addprefix tests/,aio brokers demo http hub routing testing websocket wire) tests/test_*.py $(ARGS)

test-slow: $(VENV)/.dev ## Run what takes most of a minute: the instructions of a message, counted in a simulated processor
	$(BIN)/python -m pytest -m slow tests/benchmarks $(ARGS)

test-long: $(VENV)/.dev ## Run what takes minutes: 2,000 examples of the state machine of the hub, and the soaks
	ASGI_WS_EXAMPLES=2000 $(BIN)/python -m pytest tests/hub/test_machine.py $(ARGS)
	$(BIN)/python -m pytest -m long --timeout 600 tests/hub tests/uvicorn_protocol $(ARGS)

suites: $(VENV)/.dev ## Run the test suites of Starlette, FastAPI, Litestar and Channels with asgi_ws.testing, in about ten minutes
	$(BIN)/python -m tests.suites $(ARGS)

lint: $(VENV)/.dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.dev ## Mend what can be mended of the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

fuzz: $(VENV)/.dev ## Feed the receive buffer and the parsers of the wire with what breaks them, for a quarter of an hour
	$(BIN)/python -m tests.uvicorn_protocol.fuzz_receive_buffer --cases 100000
	$(BIN)/python -m tests.wire.fuzz --seconds 600 $(ARGS)

mutations: $(VENV)/.dev ## Put faults into a copy of the package, each of which some test has to find; ARGS="hub --jobs 2" for some
	$(BIN)/python -m tests.mutations $(ARGS)

autobahn: $(VENV)/.dev ## Run the Autobahn suite against WebSocketProtocol, in about ten minutes
	$(BIN)/python -m tests.autobahn $(ARGS)

bench: $(VENV)/.dev ## Measure what messages and connections cost beside Starlette, in under five minutes
	$(BIN)/python -m benchmarks all --quick --json $(BENCH)/results.json --plot $(BENCH) $(ARGS)

bench-all: peers ## Measure everything beside everybody, in about an hour
	$(BIN)/python -m benchmarks all --json $(BENCH)/all.json --plot $(BENCH)/all $(ARGS)

# What cannot be installed is named in the results.
peers: $(VENV)/.dev ## Install the servers for `bench-all` that not every machine can have
	-$(BIN)/python -m pip install --quiet socketify h2corn
	-npm install --silent --no-package-lock --prefix benchmarks/peers/node

servers-table: $(VENV)/.dev ## Write the table of servers in the docs from a run of the contract suite, on Python 3.11
	$(BIN)/python -m tests.contracts.write_table

docs: $(VENV)/.dev ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

build: $(VENV)/.dev ## Build a wheel and an sdist into dist/
	$(BIN)/python -m build

clean: ## Remove what the other targets made
	rm -rf $(VENV) .venv-* build dist docs/plots site .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The stamps name what is finished: a step that failed or was interrupted is done again by the next `make`.
$(VENV)/.base:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "PYTHON=$(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo 'not there'), and Python 3.11 or newer is needed." >&2; \
	    echo "Name another, for example: make $(firstword $(MAKECMDGOALS) run) PYTHON=python3.12" >&2; \
	    exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

$(VENV)/.run: pyproject.toml $(VENV)/.base
	$(BIN)/python -m pip install --quiet --editable '.[speedups]'
	touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.base
	$(BIN)/python -m pip install --quiet --editable '.[speedups,testing]' --group dev
	touch $@ $(VENV)/.run

$(LOWEST)/.installed: pyproject.toml tests/lowest.py
	$(LOWEST_PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python tests/lowest.py > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet --upgrade pip
	$(LOWEST)/bin/python -m pip install --quiet --editable '.[speedups,testing]' --group test \
	    --constraint $(LOWEST)/constraints.txt
	touch $@
