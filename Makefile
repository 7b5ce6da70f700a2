# Each target works on a fresh machine: it makes .venv and installs what it needs.
PYTHON ?= python3
BUNDLE ?= mr2ct_pix2pix
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
BUNDLES := $(notdir $(patsubst %/,%,$(wildcard bundles/*/)))

BUNDLE_IS_THERE = test -d bundles/$(BUNDLE) || { echo "error: BUNDLE: is one of $(BUNDLES), but got $(BUNDLE); choose one of them" >&2; exit 2; }

.PHONY: demo ablation bench test lint types clean

demo: $(READY)
	@$(BUNDLE_IS_THERE)
	@$(PY) tools/demo.py $(BUNDLE)

ablation: $(READY)
	@$(BUNDLE_IS_THERE)
	@$(PY) tools/ablation.py $(BUNDLE) $(OPTIONS)

bench: $(READY)
	@$(PY) tools/bench/stitching.py

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
