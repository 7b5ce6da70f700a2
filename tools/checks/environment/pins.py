"""The packages that a bundle's metadata name, read as the model zoo's CI reads them."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
"""Interpreters that releases are made for."""
OF_ALL = {"monai_version": "monai", "pytorch_version": "torch", "numpy_version": "numpy"}
OPERATORS = "<>="


def pins(metadata: Mapping[str, Any]) -> list[str]:
    """The lines of a requirements file: ``name==version``, as the zoo's ``get_bundle_requirements.py`` writes them."""
    named = {package: metadata[key] for key, package in OF_ALL.items() if key in metadata}
    named |= metadata.get("optional_packages_version", {}) | metadata.get("required_packages_version", {})
    return [name + (version if version[0] in OPERATORS else f"=={version}") for name, version in named.items()]


def pins_of(release: Path) -> list[str]:
    """The same of a release zip."""
    with zipfile.ZipFile(release) as archive:
        top = archive.namelist()[0].split("/")[0]
        return pins(json.loads(archive.read(f"{top}/configs/metadata.json")))


def without_wheels(wanted: Sequence[str], python: str, scratch: Path) -> str:
    """What pip says of wheels of the packages themselves for a Python; empty where there are all.

    What they need in turn is not looked at: PyTorch's libraries alone are gigabytes, which pip would fetch.

    Args:
        wanted: requirements.
        python: version of the interpreter, such as ``3.10``, which need not be there.
        scratch: a folder, in which nothing is installed.
    """
    options = ["--disable-pip-version-check", "--dry-run", "--quiet", "--no-deps", "--only-binary", ":all:"]
    words = ["install", *options, "--python-version", python, "--target", str(scratch), *wanted]
    done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False)
    told = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return "" if done.returncode == 0 else (told or ["ERROR: pip failed"])[-1].removeprefix("ERROR: ")
