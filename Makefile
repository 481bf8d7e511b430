# make demo   the taxi story, from a fresh clone: own environment, own agent, a model at the end
# make lab    the same notebook in JupyterLab, with the sidebar
# make sidebar  builds the sidebar, where something in it has changed
# make test   everything that must hold: lint, unit tests on every Python found, the rest on the newest
# make soak   the long runs
# make bench  our speed and that of other systems, written to docs/benchmarks.md; half an hour

.PHONY: demo lab sidebar test lint unit front full soak bench clean
.DELETE_ON_ERROR:

PYTHON := $(shell sh tools/pythons.sh | head -n 1)
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python tools/install.py
# other systems, for the benchmarks
PEERS := .venvs/peers
# most tests wait for processes, so that one more than a small machine has cores fills it
WORKERS ?= 3

demo: $(VENV)/.examples
	@$(BIN)/python tools/demo.py

lab: $(VENV)/.lab sidebar
	@$(BIN)/python tools/lab.py

sidebar: $(VENV)/.sidebar
	@$(BIN)/python tools/sidebar.py

test: $(VENV)/.test
	@$(MAKE) --no-print-directory -j 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) lint unit front
	@$(MAKE) --no-print-directory full

lint: $(VENV)/.test
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/mypy

unit: $(VENV)/.test
	@sh tools/unit_tests.sh $(BIN)/python

front: $(VENV)/.sidebar
	@$(BIN)/python tools/sidebar.py test

full: $(VENV)/.test sidebar
	@sh tools/optional_packages.sh
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not unit and not soak and not browser"
	@sh tools/chromium.sh
	$(BIN)/python -m pytest -q -n 2 -m "browser and not soak"

soak: $(VENV)/.test
	@sh tools/chromium.sh
	$(BIN)/python -m pytest -q -n 2 -m soak

bench: $(VENV)/.test $(PEERS)/.installed
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv .venvs .demo dist build .mypy_cache .pytest_cache .ruff_cache
	rm -rf src/mlmagics/lab/labextension labextension/lib labextension/build-test labextension/node_modules

# Environments: a stamp for each group of packages, made anew when pyproject.toml changes.

$(VENV)/.pip: pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python from 3.10 to 3.14 was found" >&2; exit 1; }
	@echo "making the environment $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.base: $(VENV)/.pip
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/.examples: $(VENV)/.base
	@echo "installing what the example needs (pandas, xgboost, matplotlib); once, up to a minute"
	@$(INSTALL) --editable ".[examples]" --group demo
	@touch $@

$(VENV)/.lab: $(VENV)/.examples
	@echo "installing JupyterLab; once"
	@$(INSTALL) --editable ".[lab,examples]"
	@touch $@

$(VENV)/.sidebar: $(VENV)/.base
	@echo "installing what builds the sidebar; once"
	@$(INSTALL) $$($(BIN)/python tools/sidebar.py needs)
	@touch $@

# the tests need all of it: at once, which is quicker than one after the other
$(VENV)/.test: $(VENV)/.pip
	@echo "installing what the tests need; once, up to a minute"
	@$(INSTALL) --editable ".[lab,examples]" \
		--group test --group lint --group browser $$($(BIN)/python tools/sidebar.py needs)
	@touch $(VENV)/.base $(VENV)/.examples $(VENV)/.lab $(VENV)/.sidebar $@

$(PEERS)/.installed: benchmarks/peers/requirements.txt tools/peers.py
	@echo "installing the systems to compare with; once, a few minutes"
	@$(PYTHON) tools/peers.py $(PEERS)
	@touch $@
