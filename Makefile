# Each target works on a fresh machine: it makes .venv and installs what it needs.
PYTHON ?= python3
BUNDLE ?= mr2ct_pix2pix
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
BUNDLES := $(notdir $(patsubst %/,%,$(wildcard bundles/*/)))

.PHONY: demo test lint types clean

demo: $(READY)
	@test -d bundles/$(BUNDLE) || { echo "error: BUNDLE: is one of $(BUNDLES), but got $(BUNDLE); choose one of them" >&2; exit 2; }
	@$(PY) tools/demo.py $(BUNDLE)

test: $(READY)
	$(PY) -m pytest

lint: $(READY)
	$(VENV)/bin/ruff check .

types: $(READY)
	$(VENV)/bin/mypy common bundles/*/*/*.py tools

clean:
	rm -rf $(VENV) bundles/*/demo_data

$(READY): requirements.txt setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $(READY)
