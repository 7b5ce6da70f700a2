"""What the tests of all bundles share: the bundles themselves, tiny data, one run of all commands, one demo of each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from bundle_commands import BUNDLES, TINY, Bundle, ok
from PIL import Image


def pytest_collection_modifyitems(config, items):
    """Tests of what only bundles with a source have, or only one of those without, are not collected for the others."""

    def asked(item) -> bool:
        name = item.callspec.params.get("bundle") if hasattr(item, "callspec") else None
        if name not in BUNDLES:  # of a test with another parameter of this name, or none
            return True
        of_samples = item.get_closest_marker("unconditional")
        if of_samples is not None:
            return name in of_samples.args
        if item.get_closest_marker("volumes") and Bundle(name).traits.get("pictures"):
            return False
        return Bundle(name).conditional or item.get_closest_marker("translation") is None

    config.hook.pytest_deselected(items=[item for item in items if not asked(item)])
    items[:] = [item for item in items if asked(item)]


@dataclass(frozen=True)
class CommandRun:
    """A bundle and a variant of it, trained, evaluated and inferred by the commands of a user."""

    bundle: Bundle
    output_dir: Path
    data: Path
    epochs: int
    variants: list[str]
    done: dict[str, subprocess.CompletedProcess[str]]

    @property
    def weights(self) -> Path:
        return self.output_dir / "models" / "model.pt"

    @property
    def methods(self) -> set[str]:
        """What the evaluation has rows of: the model, its variants, the baseline, and references that it names."""
        return {"model", self.bundle.baseline, *self.variants, *self.bundle.own("evaluate").get("references", {})}


@pytest.fixture(scope="session", params=BUNDLES)
def bundle(request) -> Bundle:
    return Bundle(request.param)


@pytest.fixture(scope="session")
def tiny_data_of(once) -> Callable[[Bundle], Path]:
    """Gives four phantoms of a bundle at 5 mm, not to be changed: two to train on, one to validate and one to test.

    Of brains there are fourteen, since sets of them are compared: ten, two and two.
    """

    def tiny(of: Bundle) -> Path:
        small = {"phantoms::cases": 14 if of.name == "brain3d_alphagan" else 4, "phantoms::spacing": 5}
        phantoms = of.parser("train", **small).get_parsed_content("phantoms")
        return once(f"{of.name}_tiny", phantoms)

    return tiny


@pytest.fixture(scope="session")
def tiny_data(bundle, tiny_data_of) -> Path:
    return tiny_data_of(bundle)


@pytest.fixture
def noise(bundle, request, tmp_path) -> dict[str, Any]:
    """The options of cases of noise, where nothing matters but that there are some: phantoms of pairs take seconds."""
    if not bundle.conditional:
        return {"dataset_dir": str(request.getfixturevalue("tiny_data"))}
    own, rng = bundle.raw("train"), np.random.default_rng(0)
    names = {*own["source"].split(","), own["target"], own["mask"]}
    for place in (tmp_path / "noise" / case / f"{name}{bundle.ending}" for case in "abcd" for name in names):
        place.parent.mkdir(parents=True, exist_ok=True)
        if bundle.traits.get("pictures"):
            Image.fromarray(rng.integers(1, 256, (40, 48, 3), np.uint8)).save(place)
            continue
        values = np.ones((40, 48, 40)) if place.stem.startswith("mask") else rng.uniform(0, 2, (40, 48, 40))
        nib.save(nib.Nifti1Image(values.astype(np.float32), np.diag([5, 5, 5, 1])), place)
    return {"dataset_dir": str(tmp_path / "noise"), "data_check": False}


@pytest.fixture(scope="session")
def tiny_run(bundle, tiny_data, once) -> Path:
    """The folder of a training of two steps, not to be changed, for tests that need a whole run but no good one."""
    settings = {"dataset_dir": tiny_data, "samples_per_epoch": 4, **bundle.small_patches}
    settings |= {"max_epochs": 1, "val_interval": 1, "batch_size": 2}

    def train(folder: Path) -> None:
        ok(bundle.run("training", ["train", "demo"], output_dir=folder, **settings))

    return once(f"{bundle.name}_tiny_run", train)


def _run_all(bundle: Bundle, folder: Path, variants: list[str], **settings: Any) -> CommandRun:
    """Every command; settings beside those of the demo are for trainings and for the phantoms."""
    places = {"output_dir": folder / "out", "demo_data": folder / "data"}
    phantoms = {name: value for name, value in settings.items() if name.startswith("phantoms::")}
    epochs = settings.get("max_epochs", bundle.raw("train", "demo")["max_epochs"])
    done = {"training": ok(bundle.run("training", ["train", "demo"], **(settings | places)))}
    for name in variants:
        own = settings | places | {"max_epochs": 1, "val_interval": 1}
        done[name] = ok(bundle.run("training", ["train", "demo", str(bundle.variants[name])], **own))
    done["evaluating"] = ok(bundle.run("evaluating", ["train", "evaluate"], **(places | phantoms)))
    shown = phantoms if "phantoms" in bundle.raw("inference") else {}
    done["inference"] = ok(bundle.run("inference", ["inference"], **(places | shown)))
    return CommandRun(bundle, folder / "out", folder / "data", epochs, variants, done)


@pytest.fixture(scope="session")
def demo_run(bundle, tmp_path_factory) -> CommandRun:
    """The demo, which tests may read but not change: in a folder of its own, or what ``make demo`` left (MADE_DEMO)."""
    if os.environ.get("MADE_DEMO") == bundle.name:
        epochs = bundle.raw("train", "demo")["max_epochs"]
        return CommandRun(bundle, bundle.folder / "demo", bundle.folder / "demo_data", epochs, [], {})
    variants = [] if bundle.conditional else [bundle.compared]  # what its samples are compared with
    return _run_all(bundle, tmp_path_factory.mktemp(f"{bundle.name}_demo"), variants)


@pytest.fixture(scope="session")
def command_run(bundle, tmp_path_factory) -> CommandRun:
    """The same and a variant where it does not matter how well a network is trained: for a few steps."""
    small = {"phantoms::cases": 12, "phantoms::spacing": 5, **TINY, **bundle.small_patches}
    if not bundle.conditional:
        small |= {"samples_per_epoch": 320, "batch_size": 8}  # after fewer steps all samples are alike
    variants = [bundle.compared]
    return _run_all(bundle, tmp_path_factory.mktemp(f"{bundle.name}_commands"), variants, **small)
