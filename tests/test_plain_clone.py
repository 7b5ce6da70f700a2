"""The mission's own command, ``python -m monai.bundle run``, in a clone that nothing was installed from."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from built_wheel import Environment, copied
from bundle_commands import BUNDLES, Bundle
from test_requirements import PROGRAM, modules_of_others, required

from tools.release.pack.release import pack
from tools.repository import ROOT

ONE = "mr2ct_pix2pix"
RUNS = {"training": ("train", "demo"), "evaluating": ("train", "evaluate"), "inference": ("inference",)}
"""Configs of each run id."""
SHOWN = """
import os, runpy, sys
import ignite.handlers, matplotlib, monai.bundle, monai.data, monai.engines, nibabel, pandas, pydicom, scipy.stats, tqdm
for words in sys.argv[1:]:
    if (child := os.fork()) == 0:
        sys.argv = ["-m", "run", *words.split(maxsplit=2), "--show_config", "true"]
        try:
            runpy.run_module("monai.bundle", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            os._exit(end.code or 0)
    if code := os.waitpid(child, 0)[1]:
        sys.exit(f"{words}: {code}")
"""
"""MONAI's command several times, each with a path of modules of its own; libraries are loaded once."""


def files(root: Path, name: str, configs: Sequence[str]) -> str:
    """The value of ``--config_file``."""
    return str([str(Path(root, "bundles", name, "configs", f"{config}.yaml")) for config in configs])


@pytest.mark.parametrize("from_the_clone", [True, False])
def test_every_bundle_finds_its_code(from_the_clone: bool, tmp_path: Path) -> None:
    """Where only MONAI puts the bundle on the path, as it runs it."""
    asked = [(ONE, run_id) for run_id in RUNS] if from_the_clone else [(name, "training") for name in BUNDLES]
    shown = [f"{run_id} --config_file {files(ROOT, name, RUNS[run_id])}" for name, run_id in asked]
    environment = Environment(tmp_path / "environment")
    done = environment.run(ROOT if from_the_clone else tmp_path, ["python", "-W", "ignore", "-c", SHOWN, *shown])
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("network_def:") == len(shown), done.stdout[-2000:]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """One without this project."""
    return Environment(tmp_path_factory.mktemp("requirements"))


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the repository, and its links."""
    root = copied(tmp_path_factory.mktemp("clone"))
    for name in BUNDLES:
        shutil.copy(ROOT / "bundles" / name / "common", root / "bundles" / name, follow_symlinks=False)
    return root


def run(environment: Environment, folder: Path, *words: str) -> None:
    """MONAI's command in a folder, with the packages alone that ``requirements.txt`` brings."""
    hidden = ",".join(sorted(modules_of_others(required())))
    command = ["python", "-W", "ignore", "-c", PROGRAM, hidden, "-m", "monai.bundle", "run", *words]
    done = environment.run(folder, command)
    assert done.returncode == 0, f"{words}\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}"


@pytest.mark.slow
@pytest.mark.parametrize("bundle", BUNDLES)
def test_trains_evaluates_and_infers_with_the_requirements_alone(
    environment: Environment, clone: Path, bundle: str, tmp_path: Path
) -> None:
    """From the clone's folder, then from another one; outputs land in the bundle's folder."""
    own = Bundle(bundle)
    small = {"phantoms::cases": 14 if bundle == "brain3d_alphagan" else 4, "phantoms::spacing": 5}
    steps, size = (8, 2) if own.conditional else (320, 8)  # after fewer steps all samples are alike
    short = {"max_epochs": 1, "val_interval": 1, "samples_per_epoch": steps, "batch_size": size}
    options = {"training": small | own.small_patches | short, "evaluating": small | own.few_samples}
    for run_id, configs in RUNS.items():
        given = [f"--{key}={value}" for key, value in options.get(run_id, {}).items()]
        place = clone if run_id == "training" else tmp_path
        run(environment, place, run_id, "--config_file", files(clone, bundle, configs), *given)
    folder = clone / "bundles" / bundle
    assert (folder / "models" / "model.pt").is_file()
    assert (folder / "evaluation" / "summary.json").is_file()
    assert any(path.name == "manifest.json" for path in folder.rglob("*"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_downloaded_release_does_the_same(environment: Environment, tmp_path: Path) -> None:
    shutil.unpack_archive(pack(ROOT, ONE, tmp_path / "dist"), tmp_path / "bundles")
    small = ["--phantoms::cases=4", "--phantoms::spacing=5", "--max_epochs=1", "--samples_per_epoch=4"]
    for run_id, configs in RUNS.items():
        words = small if run_id == "training" else []
        run(environment, tmp_path, run_id, "--config_file", files(tmp_path, ONE, configs), *words)
    assert (tmp_path / "bundles" / ONE / "models" / "model.pt").is_file()
