# Two commands are enough: `make demo` and `make test`. Both install what they need into .venv.

PYTHON ?= python3.11
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
# Wheels are linked from uv's cache where that lies on the same disk: a second checkout installs in seconds.
INSTALL = $(BIN)/uv pip install --quiet --python $(VENV) --constraints requirements.lock
FIGURES ?= runs
# anomalib is no dependency: it lives in an environment of its own, and only `make compare` and `make bench-compare` make it.
PEERS := .venv-anomalib
SETS ?= ../shared/data/magnetic_tile ../shared/data/deeppcb ../shared/data/hazelnut_toy

.PHONY: demo test faults lint bench bench-compare compare lock clean

demo: $(VENV)/.run
	$(BIN)/linewarden demo --journal $(FIGURES)/demo-journal $(DEMO)
	$(BIN)/linewarden ledger verify $(FIGURES)/demo-journal

test: $(VENV)/.dev
	bash deploy/install-servers.sh
	$(MAKE) --no-print-directory $(VENV)/.gige
	$(BIN)/python -m pytest $(TESTS)

# Planted bugs that a campaign must catch, processes killed and taken over one by one, then the campaign of 20 minutes
# with three seeds: 80 minutes in all.
faults: $(VENV)/.dev
	bash deploy/install-servers.sh
	$(BIN)/python -m pytest -m campaign tests/faults
	for seed in 1 2 3; do \
	  $(BIN)/linewarden faults --seed $$seed --minutes 20 --json $(FIGURES)/faults-$$seed.json || exit; done

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The short set, some minutes: every figure as JSON and as a picture. All of it runs, and what missed a bound is named.
bench: $(VENV)/.dev
	bash deploy/install-servers.sh
	@missed=""; \
	run() { name=$$1; echo "linewarden bench $$*"; \
	  $(BIN)/linewarden bench "$$@" --json $(FIGURES)/$$name.json --picture $(FIGURES)/$$name.png || missed="$$missed $$name"; }; \
	run model --rounds 100; \
	run pipeline --seconds 5 --rounds 3; \
	run payloads --rounds 100; \
	run bus --seconds 5 --rounds 2; \
	run gate --simulated 5000 --real 200; \
	run scale --seconds 6 --count 1 --count 2; \
	run soak --minutes 1; \
	[ -z "$$missed" ] || { echo "missed a bound:$$missed" >&2; exit 1; }

# Beside anomalib's inferencers.
bench-compare: $(VENV)/.dev $(PEERS)/.run
	$(BIN)/linewarden bench compare --peers $(PEERS)/bin/python --json $(FIGURES)/peers.json --picture $(FIGURES)/peers.png

compare: $(VENV)/.run $(PEERS)/.run
	$(BIN)/linewarden compare $(SETS) --profile lite-pyramid --peers $(PEERS)/bin/python --json $(FIGURES)/compare.json

lock:
	$(BIN)/uv pip compile pyproject.toml --all-extras --generate-hashes --no-header --python-version 3.11 -o requirements.lock

clean:
	rm -rf $(VENV) $(PEERS) runs dist

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
		|| { echo "error: Python 3.11 is needed as $(PYTHON). Install it, or give another: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.run: $(BIN)/uv pyproject.toml requirements.lock
	@echo "Installing linewarden; the first time downloads about 3 GB (torch's build for PyPI brings CUDA)."
	$(INSTALL) --editable '.[all]'
	@touch $@

$(VENV)/.dev: $(BIN)/uv pyproject.toml requirements.lock
	@echo "Installing linewarden with its tests' tools."
	$(INSTALL) --editable '.[all,dev,gentl]'
	@touch $@ $(VENV)/.run

# After install-servers.sh, which installs the compiler and the headers that this is built with. Without it the tests
# with GigE Vision cameras are skipped and say why, except in CI.
$(VENV)/.gige: $(VENV)/.dev
	@$(INSTALL) --editable '.[gige]' && touch $@ \
		|| { echo "GigE Vision cameras: PyGObject could not be installed." >&2; [ "$$CI" != true ]; }

$(PEERS)/.run: $(BIN)/uv deploy/peers/requirements.txt
	@echo "Installing anomalib beside linewarden; torch comes from uv's cache."
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(PEERS)
	$(BIN)/uv pip install --quiet --python $(PEERS) --requirements deploy/peers/requirements.txt
	@touch $@
