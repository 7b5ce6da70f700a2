"""Metadata name every package that inference and training need, in versions that Python 3.10 to 3.13 can install."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, requires
from pathlib import Path

import pytest
from bundle_commands import ROOT, TINY, Bundle, ok
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools.checks.environment import PYTHONS, pins

PROGRAM = """
import runpy, sys
hidden = set(sys.argv[1].split(","))

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, *rest):
        return None if name.split(".")[0] in hidden else self.finder.find_spec(name, *rest)

sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
sys.argv = sys.argv[3:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
"""Runs ``-m MODULE ...`` as in an environment without some packages, whose names come first."""
OURS = "medical-image-synthesis-bundles"


def _named(bundle: Bundle) -> list[Requirement]:
    return [Requirement(line) for line in pins(json.loads((bundle.configs / "metadata.json").read_text()))]


def _ranges() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and line[0] != "#"]
    return {canonicalize_name(one.name): one for one in found}


def _with_what_they_need(names: Iterable[str]) -> set[str]:
    """The distributions that pip installs for some, by the metadata of those that are installed here."""
    found: set[str] = set()
    todo = [canonicalize_name(name) for name in names]
    while todo:
        if (name := todo.pop()) in found:
            continue
        found.add(name)
        try:
            needed = [Requirement(line) for line in requires(name) or []]
        except PackageNotFoundError:  # of CUDA, where PyTorch was built without
            continue
        todo += [canonicalize_name(one.name) for one in needed if not one.marker or one.marker.evaluate({"extra": ""})]
    return found


def required() -> set[str]:
    """The distributions that ``requirements.txt`` brings, and this one."""
    return {OURS} | _with_what_they_need(_ranges())


def modules_of_others(named: set[str]) -> set[str]:
    owners = packages_distributions()
    return {module for module, names in owners.items() if not named & {canonicalize_name(name) for name in names}}


def test_pins_are_in_the_ranges_of_the_requirements(bundle: Bundle) -> None:
    for one in _named(bundle):
        (pin,) = one.specifier
        assert pin.operator == "=="
        assert Version(pin.version) in _ranges()[canonicalize_name(one.name)].specifier, one


def test_pinned_packages_take_every_python(bundle: Bundle) -> None:
    """As far as those installed here are the pinned ones; ``make environment-test`` asks pip for all."""
    known = []
    for one in [*_named(bundle), *_ranges().values()]:
        installed = distribution(one.name)
        if {f"=={installed.version.split('+')[0]}"} == {str(part) for part in one.specifier}:
            known.append(one.name)
            taken = Requirement(f"python{installed.metadata['Requires-Python'] or ''}").specifier
            assert [python for python in PYTHONS if f"{python}.99" not in taken] == [], one
    assert {"monai", "pytorch-ignite", "nibabel", "pydicom"} <= set(known)


@pytest.mark.slow
def test_trains_and_infers_with_the_named_packages_alone(bundle: Bundle, tiny_data: Path, tmp_path: Path) -> None:
    """Every other package is hidden, as if it were not installed: what reports and phantoms need is not there."""
    hidden = modules_of_others({OURS} | _with_what_they_need(one.name for one in _named(bundle)))
    assert {"pandas", "matplotlib", "nilearn", "tensorboard", "sklearn", "openjpeg", "pytest"} <= hidden
    assert not hidden & {"torch", "monai", "ignite", "yaml", "common"}
    data = {"dataset_dir": tiny_data} if bundle.conditional else {"samples": 4}
    made = {**data, "overwrite": "true"}
    if not bundle.traits.get("pictures"):
        made["output_dtype"] = "float32"  # after two steps an image may span a few HU
    trained = {"dataset_dir": tiny_data, **TINY, "samples_per_epoch": 4, **bundle.small_patches}
    for run_id, configs, settings in (
        ("training", ["train", "demo"], trained),
        ("inference", ["inference"], made),
    ):
        words = bundle.arguments(run_id, configs, {"output_dir": tmp_path, **settings})
        program = [sys.executable, "-W", "ignore", "-c", PROGRAM, ",".join(sorted(hidden)), *words]
        ok(subprocess.run(program, capture_output=True, text=True, env=bundle.environment(), cwd=ROOT, timeout=600))
    assert (tmp_path / "models" / "model.pt").is_file()
    assert list((tmp_path / "predictions").rglob("*.json"))
