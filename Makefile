# Each target works on a fresh machine: it makes .venv and installs what it needs.
PYTHON ?= python3
BUNDLE ?= mr2ct_pix2pix
VENV := .venv
PY := $(VENV)/bin/python
RUNTIME := $(VENV)/.runtime
READY := $(VENV)/.ready
DEPLOY_VENV ?= build/deploy-venv
FEDERATED_VENV ?= build/federated-venv
DOSE_VENV ?= build/dose-venv
INTEROP_VENV ?= build/interop-venv
SLICER_CORE ?= build/slicer-core
BIDS_VENV ?= build/bids-venv
PYDICOM_2 ?= build/pydicom-2
RESOLUTION ?= highest
ENDS_VENV ?= build/ends-$(notdir $(PYTHON))-$(RESOLUTION)
# two processes of one thread each; a file stays in one, which makes its demos once; with compiled modules, which the few
# processes that tests start would compile again each
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(PY) -m pytest --numprocesses 2 --dist loadfile --durations 15
BUNDLES := $(notdir $(patsubst %/,%,$(wildcard bundles/*/)))

BUNDLE_IS_THERE = test -d bundles/$(BUNDLE) || { echo "error: no bundle $(BUNDLE) (from BUNDLE): choose one of $(BUNDLES)" >&2; exit 2; }

.PHONY: demo docs dist verify environment-test ends-test label-test deploy-test federated-test dose-test slicer-test bids-test interop-test pacs-test bench gpu-check real-check test test-slow lint types clean

demo: $(RUNTIME)  # of mr2ct_pix2pix two and a half to six and a half minutes of one core
	@$(BUNDLE_IS_THERE)
	@$(PY) -m tools.demo $(BUNDLE)

dist: $(READY)  # a zip of every bundle, unless BUNDLE is given
	@$(BUNDLE_IS_THERE)
	@$(PY) -W ignore -m tools.release.pack $(if $(filter file,$(origin BUNDLE)),,$(BUNDLE)) $(if $(OVERLAY),--overlay $(OVERLAY)) $(if $(RUN),--run $(RUN))

verify: $(READY)  # every bundle, and the zips in dist/
	@$(PY) -W ignore -m tools.release.verify $(BUNDLES:%=bundles/%) $(wildcard dist/*.zip)

environment-test: $(READY) dist  # the zips in a new environment of each bundle's metadata alone, of the Python PYTHON
	@$(PY) -W ignore -m tools.checks.environment --python $(PYTHON) dist/*.zip $(OPTIONS)

ends-test: $(ENDS_VENV)/.ends  # make test of the Python PYTHON at an end of every range, PyTorch to 2.15: RESOLUTION=highest or lowest-direct
	$(MAKE) test VENV=$(ENDS_VENV)

label-test: $(READY)  # MONAI Label in an environment of its own, .label-venv
	@$(PY) -W ignore -m tools.label $(OPTIONS)

deploy-test: $(READY) $(DEPLOY_VENV)/.ready  # MONAI Deploy in an environment of its own
	DEPLOY_PYTHON=$(abspath $(DEPLOY_VENV))/bin/python $(PY) -m pytest tests/test_deploy_example.py

federated-test: $(READY) $(FEDERATED_VENV)/.ready  # NVIDIA FLARE in an environment of its own
	FEDERATED_PYTHON=$(abspath $(FEDERATED_VENV))/bin/python $(PY) -m pytest tests/test_federated_example.py

dose-test: $(READY) $(DOSE_VENV)/.ready  # pyRadPlan in an environment of its own
	DOSE_PYTHON=$(abspath $(DOSE_VENV))/bin/python $(PY) -m pytest tests/test_dose_example.py

interop-test: $(READY) $(INTEROP_VENV)/.ready  # other readers of volumes, others' metrics, and Dask, in an environment of their own, and Debian's programs; SYNTHRAD_EVALUATION=DIR: a clone of SynthRAD2025/evaluation
	INTEROP_VENV=$(abspath $(INTEROP_VENV)) $(PY) -m pytest tests/interop tests/test_archive_example.py

slicer-test: $(READY) $(SLICER_CORE)/.ready  # the nodes of 3D Slicer in a folder of their own
	SLICER_CORE=$(abspath $(SLICER_CORE)) $(PY) -m pytest tests/test_slicer_example.py
bids-test: $(READY) $(BIDS_VENV)/.ready  # BIDS's own validator in an environment of its own
	BIDS_VALIDATOR=$(abspath $(BIDS_VENV))/bin/bids-validator-deno $(PY) -m pytest tests/synthesize/test_bids_command.py

pacs-test: $(READY)  # Orthanc, dcmtk and dicom3tools of Debian, and the node: some ten minutes of two cores
	@OMP_NUM_THREADS=1 $(PY) -m pytest --verbose --capture no --no-header -rs tests/pacs $(OPTIONS)

docs: $(READY)  # build/site, under a minute of one core
	@$(PY) -W ignore -m sphinx --quiet --fail-on-warning --keep-going -c tools/docs -d build/doctrees . build/site

bench: $(READY)
	@$(PY) -W ignore -m tools.bench $(OPTIONS)

# With PY=python a machine with its own PyTorch needs no .venv; the packages are then found by their folders.
gpu-check: export PYTHONPATH := $(CURDIR):$(subst $(eval) ,:,$(BUNDLES:%=$(CURDIR)/bundles/%)):$(PYTHONPATH)
gpu-check: $(if $(filter command,$(origin PY)),,$(READY))  # at most four minutes on a machine with a GPU; writes OUT=DIR
	@$(PY) -W ignore -m tools.checks.gpu --out $(or $(OUT),build/gpu-check) $(OPTIONS)

real-check: $(READY)  # on the scans of ../shared/data, where they are
	@$(PY) -W ignore -m tools.checks.real $(OPTIONS)

test: $(READY)  # every module, every message, each kind of command: seven to fourteen minutes of two cores
	$(PYTEST) -m "not slow" $(OPTIONS)

test-slow: $(READY) $(BIDS_VENV)/.ready $(PYDICOM_2)/.ready  # the rest, demos and resumed trainings of every bundle above all
	PYDICOM_2=$(abspath $(PYDICOM_2)) BIDS_VALIDATOR=$(abspath $(BIDS_VENV))/bin/bids-validator-deno $(PYTEST) -m slow --no-loadscope-reorder $(OPTIONS)  # in this order files of long trainings come first

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(READY)
	$(VENV)/bin/mypy --strict common
	$(VENV)/bin/mypy $(shell find bundles -name "*.py") tools medical_image_synthesis

clean:
	rm -rf $(VENV) .label-venv $(DEPLOY_VENV) $(FEDERATED_VENV) $(DOSE_VENV) $(BIDS_VENV) $(PYDICOM_2) $(INTEROP_VENV) $(SLICER_CORE) build/ends-* bundles/*/demo_data* bundles/*/demo

$(RUNTIME): requirements.txt setup.cfg setup.py pyproject.toml $(wildcard bundles/*/*/__init__.py)
	@echo "installing PyTorch, MONAI and what they need into $(VENV), a minute or more:"
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --disable-pip-version-check -e .
	@touch $@

$(READY): $(RUNTIME)
	@echo "installing what tests and checks need into $(VENV), some minutes:"
	$(VENV)/bin/pip install --disable-pip-version-check -e ".[dev]"
	@touch $@

$(ENDS_VENV)/.ends: requirements.txt setup.cfg
	$(PYTHON) -m venv $(ENDS_VENV)
	$(ENDS_VENV)/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
	echo "torch>=2.8,<2.16" | $(ENDS_VENV)/bin/uv pip install --quiet --python $(ENDS_VENV)/bin/python --resolution $(RESOLUTION) --override - -e ".[dev]"
	@touch $(ENDS_VENV)/.runtime $(ENDS_VENV)/.ready $@

$(DEPLOY_VENV)/.ready: examples/deploy/requirements.txt requirements.txt
	$(PYTHON) -m venv $(DEPLOY_VENV)
	$(DEPLOY_VENV)/bin/pip install --quiet --disable-pip-version-check -r examples/deploy/requirements.txt -e .
	@touch $@

$(FEDERATED_VENV)/.ready: examples/federated/requirements.txt requirements.txt setup.cfg
	$(PYTHON) -m venv $(FEDERATED_VENV)
	$(FEDERATED_VENV)/bin/pip install --quiet --disable-pip-version-check -r examples/federated/requirements.txt -r requirements.txt
	$(FEDERATED_VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(DOSE_VENV)/.ready: examples/dose/requirements.txt requirements.txt
	$(PYTHON) -m venv $(DOSE_VENV)
	$(DOSE_VENV)/bin/pip install --quiet --disable-pip-version-check -r examples/dose/requirements.txt -r requirements.txt
	$(DOSE_VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps "pyRadPlan>=0.5,<0.6"
	@touch $@

$(INTEROP_VENV)/.ready: tests/interop/requirements.txt tests/interop/package.json examples/dose/requirements.txt requirements.txt
	$(PYTHON) -m venv $(INTEROP_VENV)
	$(INTEROP_VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/interop/requirements.txt -r examples/dose/requirements.txt -r requirements.txt
	$(INTEROP_VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps pyRadPlan==0.5.0 nnunetv2==2.8.1 ldct-benchmark==0.0.15 fastmri==0.3.0 torch-fidelity==0.4.0 clean-fid==0.1.35
	cp tests/interop/package.json $(INTEROP_VENV) && npm install --prefix $(INTEROP_VENV) --no-audit --no-fund --ignore-scripts
	@touch $@

$(SLICER_CORE)/.ready: | $(READY)
	$(PY) -m pip install --quiet --disable-pip-version-check --target $(SLICER_CORE) slicer-core==5.13.31053.0
$(BIDS_VENV)/.ready:
	$(PYTHON) -m venv $(BIDS_VENV)
	$(BIDS_VENV)/bin/pip install --quiet --disable-pip-version-check bids-validator-deno==3.0.2
	@touch $@

$(PYDICOM_2)/.ready: | $(READY)
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --target $(PYDICOM_2) pydicom==2.4.5
	@touch $@
