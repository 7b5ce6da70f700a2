"""Inference and training need no package that the metadata do not name: the zoo installs these alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest
from bundle_commands import Bundle

PROGRAM = """
import importlib, sys
from pathlib import Path
refused, texts = set(sys.argv[1].split(",")), [Path(path).read_text() for path in sys.argv[2:]]

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in refused:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

import monai.bundle, monai.engines, monai.handlers, monai.networks.nets, torch
for name in [name for name in sys.modules if name.split(".")[0] in refused]:
    del sys.modules[name]  # MONAI imports what it finds
sys.meta_path.insert(0, Refusing())
import re
for target in sorted({target for text in texts for target in re.findall(r"_target_: ([\\w.]+)[.]\\w+", text)}):
    importlib.import_module(target)
print("all")
"""
"""Imports the modules of every component of some configs, with some packages out of reach."""

NEEDS_OF_MONAI = {"monai", "torch", "numpy", "packaging", "typing_extensions"}


@pytest.mark.parametrize("config", ["inference", "train"])
def test_components_need_no_other_package_than_metadata_name(bundle: Bundle, config: str) -> None:
    named = set(json.loads((bundle.configs / "metadata.json").read_text())["required_packages_version"])
    requirements = (bundle.root / "requirements.txt").read_text()
    ours = {re.split(r"[<>=]", line)[0].lower() for line in requirements.splitlines() if line and line[0] != "#"}
    others = {name for name in ours - named - NEEDS_OF_MONAI if name != "pyyaml"}  # MONAI reads configs by it
    modules = {module for module, owners in packages_distributions().items() if owners[0].lower() in others}
    assert {"pandas", "matplotlib", "nilearn"} <= modules
    words = [sys.executable, "-W", "ignore", "-c", PROGRAM, ",".join(sorted(modules)), *bundle.files(config)]
    done = subprocess.run(words, capture_output=True, text=True, env=bundle.environment(), timeout=120)
    assert done.returncode == 0, done.stderr[-1500:]
    assert done.stdout.strip().endswith("all")
