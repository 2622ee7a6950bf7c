# `make` or `make help` lists the targets. Works with GNU make 3.81 and later.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q
ARGS   ?=

PEERS  := bench/peers
DATA   ?= coronahack
FILMS  ?= chest_xray

INSTALLED      := $(VENV)/.installed
INSTALLED_TEST := $(VENV)/.installed-test
INSTALLED_DEV  := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help demo test soak bench lint format hooks constraints clean

help: ## list the targets
	@echo "usage: make TARGET [PYTHON=python3.12]"
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

demo: $(INSTALLED) ## install into .venv and run the demo (ARGS="..." is passed on)
	@$(BIN)/cxrdiag demo $(ARGS)

test: lint ## lint, check types, run the tests (ARGS="..." goes to pytest)
	@echo "== pytest"
	@$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

soak: $(INSTALLED_TEST) ## the long checks of what may go wrong, in full; an hour
	@set -e; for script in benchmarks/reliability/*.py; do \
	    echo "== $$script"; $(BIN)/python -W ignore $$script; done

bench: $(INSTALLED_TEST) $(PEERS)/.installed ## time cxrdiag beside others (DATA=coronahack FILMS=chest_xray); two hours
	@$(BIN)/python benchmarks/speed/side_by_side.py --data $(DATA) --films $(FILMS) --peers $(PEERS) $(ARGS)
	@$(BIN)/python benchmarks/speed/growth.py
	@$(BIN)/python benchmarks/speed/gpu.py --data $(DATA)

lint: $(INSTALLED_TEST) ## ruff check, ruff format --check and mypy
	@echo "== ruff check"
	@$(BIN)/ruff check
	@echo "== ruff format --check"
	@$(BIN)/ruff format --check
	@echo "== mypy"
	@$(BIN)/mypy

format: $(INSTALLED_TEST) ## fix what ruff can fix, and format the code
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

hooks: $(INSTALLED_DEV) ## install the pre-commit hooks
	@$(BIN)/pre-commit install

constraints: ## write constraints.txt anew, from the latest releases
	@$(check_python)
	@set -e; work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	echo "== installing the latest releases into a temporary environment: 2 to 5 GB, some minutes"; \
	$(PYTHON) -m venv "$$work/venv"; \
	"$$work/venv/bin/python" -m pip --disable-pip-version-check -q install '.[test,dev,dicom,download]'; \
	"$$work/venv/bin/python" -m pip --disable-pip-version-check freeze --all --exclude-editable \
	    --exclude cxrdiag --exclude pip > "$$work/frozen"; \
	if grep -nE '@|\+' "$$work/frozen"; then \
	    echo "error: the lines above are not plain releases of the package index; nothing written" >&2; exit 1; \
	fi; \
	sed -n '/^#/p' constraints.txt > "$$work/new"; \
	cat "$$work/frozen" >> "$$work/new"; \
	cp "$$work/new" constraints.txt; \
	echo "== wrote constraints.txt; now run make test"

clean: ## remove caches and build products; .venv, data and runs stay
	@rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment -------------------------------------------------------------------------

define check_python
command -v $(PYTHON) >/dev/null 2>&1 || { \
    echo "error: $(PYTHON) not found; install Python 3.11 or later, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
    echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1); cxrdiag needs 3.11 or later: make PYTHON=python3.12" >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
    echo "error: $(PYTHON) has no venv module; on Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
endef

$(BIN)/python:
	@$(check_python)
	@echo "== creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# What cxrdiag is timed beside, in an environment of its own.
$(PEERS)/.installed: benchmarks/speed/peers.txt constraints.txt
	@$(check_python)
	@echo "== installing what cxrdiag is timed beside into $(PEERS): 5 GB"
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip --disable-pip-version-check -q install -c constraints.txt -r $<
	@touch $@

# The stamps make a second call start at once; the install is editable, so code edits need none.
$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	@echo "== installing cxrdiag: the first time downloads torch, 2 to 5 GB on Linux, and takes a minute or more"
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(INSTALLED_TEST): $(INSTALLED)
	@echo "== installing the test tools"
	@$(PIP) install -c constraints.txt -e '.[test]'
	@touch $@

$(INSTALLED_DEV): $(INSTALLED_TEST)
	@echo "== installing the development tools"
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@
