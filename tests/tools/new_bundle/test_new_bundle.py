"""A new bundle has the files of the one it is made from, under its own name, and nothing of its weights and results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from packed_copies import version_of

from common.errors import ConfigError, OutputError
from tools.new_bundle.__main__ import new_bundle
from tools.release.verify.__main__ import CHECKS
from tools.release.verify.bundle import ValidatedBundle
from tools.release.verify.verdicts import verdict_of
from tools.repository import ROOT

LIKE = "mr2ct_pix2pix"


@pytest.fixture
def root(tmp_path) -> Path:
    """A repository of one bundle, with modules, a configuration and weights that the real one need not have."""
    for part in ("configs", "docs", LIKE):  # and nothing that a run has left in the bundle's folder
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "bundles" / LIKE / part, tmp_path / "bundles" / LIKE / part, ignore=ignore)
    shutil.copy(ROOT / "bundles" / LIKE / "LICENSE", tmp_path / "bundles" / LIKE)
    folder = tmp_path / "bundles" / LIKE
    (folder / LIKE / "used.py").write_text(f'"""Named by a config."""\nfrom {LIKE}.imported import *\n')
    (folder / LIKE / "imported.py").write_text('"""Imported."""\n')
    (folder / LIKE / "of_an_overlay.py").write_text('"""Another task."""\n')
    with (folder / "configs" / "evaluate.yaml").open("a") as config:
        config.write(f"# {LIKE}.used\n")
    (folder / "configs" / "other_task.yaml").write_text(f"method: {LIKE}.of_an_overlay\n")
    (folder / "models").mkdir(exist_ok=True)
    (folder / "models" / "model.pt").write_text("weights")
    (folder / "predictions").mkdir()
    (folder / "predictions" / "case.nii.gz").write_text("image")
    return tmp_path


def text_of(folder: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def test_has_what_its_configs_need_and_no_weights(root):
    folder = new_bundle(root, "toy_gan", LIKE)
    own = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {place for place in own if place.startswith("configs")} == {
        "configs/demo.yaml", "configs/evaluate.yaml", "configs/inference.yaml", "configs/logging.conf",
        "configs/metadata.json", "configs/multi_gpu_train.yaml", "configs/no_adversarial.yaml", "configs/train.yaml",
    }  # fmt: skip
    assert {"LICENSE", "toy_gan/__init__.py", "toy_gan/used.py", "toy_gan/imported.py"} <= own
    assert "toy_gan/of_an_overlay.py" not in own
    assert {place.split("/")[0] for place in own} == {"LICENSE", "configs", "docs", "toy_gan"}
    assert "from toy_gan.imported import" in (folder / "toy_gan" / "used.py").read_text()


def test_metadata_start_again(root):
    path = root / "bundles" / LIKE / "configs" / "metadata.json"
    path.write_text(path.read_text().replace(f'"version": "{version_of(LIKE)}"', '"version": "3.2.1"'))
    for config in path.parent.glob("*.yaml"):
        config.write_text(config.read_text().replace(f"{LIKE} {version_of(LIKE)}", f"{LIKE} 3.2.1"))
    folder = new_bundle(root, "toy_gan", LIKE)
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    assert metadata["version"] == "0.1.0"
    assert metadata["changelog"] == {"0.1.0": f"first version, made from {LIKE}"}
    assert metadata["name"] == "toy_gan"
    assert metadata["data_source"].endswith("no patient data and no weights are distributed")
    assert "bundle: toy_gan 0.1.0" in (folder / "configs" / "inference.yaml").read_text()


def test_is_sound_by_the_validator(root):
    folder = new_bundle(root, "toy_gan", LIKE)
    assert [fault for check in CHECKS for fault in verdict_of(check, ValidatedBundle(folder)).faults] == []


@pytest.mark.parametrize(
    ("name", "like", "error", "message"),
    [
        ("2gan", LIKE, ConfigError, "NAME 2gan cannot be the name of a Python package: use letters"),
        ("toy-gan", LIKE, ConfigError, "NAME toy-gan cannot be the name"),
        ("../toy", LIKE, ConfigError, "NAME .*toy cannot be the name"),
        ("class", LIKE, ConfigError, "NAME class cannot be the name"),
        ("json", LIKE, ConfigError, "NAME json is a module that can be imported"),
        ("torch", LIKE, ConfigError, "NAME torch is a module that can be imported"),
        ("toy_gan", "mr2ct", ConfigError, rf"no bundle mr2ct \(from --like\): choose one of {LIKE}"),
        (LIKE, LIKE, OutputError, f"{LIKE} exists: choose another name"),
    ],
)
def test_refuses_what_cannot_be_a_bundle(root, name, like, error, message):
    before = text_of(root), sorted(path.name for path in (root / "bundles").iterdir())
    with pytest.raises(error, match=message):
        new_bundle(root, name, like)
    assert (text_of(root), sorted(path.name for path in (root / "bundles").iterdir())) == before
