"""What people exchange with weights and data is data: nothing in it executes, by any command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_commands import TINY, Bundle, last_line, ok, save_drawn

from common.config import read_config
from common.errors import CheckpointError
from common.weights.shipped import shipped_weights
from tools.release.pack.release import pack

ONE = Bundle("mr2ct_pix2pix")
SMALL = {"depth": 4, "width": 4, "crop_size": 48, "pad_size": 96}
TOUCHED = "touched"
ATTACKS = {
    "expression": ("depth", "$__import__('os').system('touch {touched}')"),
    "class": ("network_def", {"_target_": "os.system", "command": "touch {touched}"}),
    "macro": ("width", "%/etc/passwd::x"),
}
"""A setting, and what stands in its place."""


@pytest.fixture(scope="module")
def data(tiny_data_of: Callable[[Bundle], Path]) -> Path:
    return tiny_data_of(ONE)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    ok(ONE.run("training", ["train"], **TINY, **SMALL, dataset_dir=data, output_dir=folder))
    return folder


@pytest.fixture
def attacked(request: pytest.FixtureRequest, run: Path, tmp_path: Path) -> Path:
    """A copy of the run whose ``model.json`` and ``run.json`` have an attack in them."""
    name, value = ATTACKS[getattr(request, "param", "expression")]
    folder = shutil.copytree(run, tmp_path / "run")
    for path, settings in ((folder / "models" / "model.json", "settings"), (folder / "run.json", "config")):
        told = json.loads(path.read_text())
        told[settings][name] = json.loads(json.dumps(value).replace("{touched}", str(tmp_path / TOUCHED)))
        path.write_text(json.dumps(told))
    return folder


def refused(done: Any, folder: Path) -> str:
    """The last line of a command that was refused and executed nothing."""
    assert done.returncode == 2, done.stderr[-2000:]
    assert not (folder.parent / TOUCHED).exists()
    return last_line(done.stderr)


@pytest.mark.slow
def test_inference(attacked: Path, data: Path) -> None:
    done = ONE.run("inference", ["inference"], output_dir=attacked, dataset_dir=data)
    assert "model.json" in (said := refused(done, attacked)) or "model.pt" in said
    assert " of a source that you trust" in said


@pytest.mark.slow
def test_evaluation(attacked: Path, data: Path) -> None:
    done = ONE.run("evaluating", ["train", "evaluate"], output_dir=attacked, dataset_dir=data)
    assert " of a source that you trust" in refused(done, attacked)


@pytest.mark.slow
def test_a_variant_in_an_evaluation(attacked: Path, run: Path, data: Path) -> None:
    folder = shutil.copytree(run, attacked.parent / "sound")
    shutil.copytree(attacked, folder / "variants" / "no_adversarial")
    done = ONE.run("evaluating", ["train", "evaluate"], output_dir=folder, dataset_dir=data)
    assert " of a source that you trust" in refused(done, attacked)


@pytest.mark.slow
def test_resume(attacked: Path, data: Path) -> None:
    """A resumed run compares its settings with those of ``run.json``, as they are written."""
    given = {**TINY, **SMALL, "max_epochs": 2, "dataset_dir": data, "output_dir": attacked}
    assert " in the run to resume" in refused(ONE.run("training", ["train"], resume="true", **given), attacked)


@pytest.mark.slow
def test_fine_tuning(attacked: Path, data: Path) -> None:
    bundle = attacked.parent / ONE.name
    shutil.copytree(ONE.configs, bundle / "configs")
    (bundle / "models").mkdir()
    for suffix in (".pt", ".json"):
        shutil.copy(attacked / "models" / f"model{suffix}", shipped_weights(bundle).with_suffix(suffix))
    places = {"bundle_root": bundle, "output_dir": attacked.parent / "out", "dataset_dir": data}
    done = ONE.run("training", ["train"], pretrained="true", **TINY, **places)
    assert " of a source that you trust" in refused(done, attacked)


@pytest.mark.slow
def test_packing(attacked: Path) -> None:
    with pytest.raises(CheckpointError, match=" of a source that you trust"):
        pack(ONE.root, ONE.name, attacked.parent / "dist", run=attacked)
    assert not (attacked.parent / TOUCHED).exists()


@pytest.mark.slow
@pytest.mark.parametrize("attacked", ATTACKS, indirect=True)
def test_a_training_that_label_starts_from_weights(attacked: Path) -> None:
    loader = {"_target_": "CheckpointLoader", "load_path": str(attacked / "models" / "model.pt"), "load_dict": {}}
    with pytest.raises(CheckpointError, match=" of a source that you trust"):
        read_config(ONE.files("train"), **{"train::handlers": [loader], "device": torch.device("cpu")})
    assert not (attacked.parent / TOUCHED).exists()


@pytest.mark.parametrize("configs", [["inference"], ["train"]])
def test_a_datalist(configs: list[str], tmp_path: Path) -> None:
    name = f"$__import__('os').system('touch {tmp_path / TOUCHED}')"
    item = {"case": "a", "patient": "a", "image": name, "label": name}
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"training": [item], "validation": [item], "test": [item]}))
    weights = {"weights": save_drawn(ONE.parser("train", **SMALL), ONE, tmp_path / "w" / "model.pt")}
    weights = weights if configs == ["inference"] else {}
    done = ONE.run(None, configs, datalist=path, output_dir=tmp_path / "out", **weights)
    assert done.returncode == 2
    assert not (tmp_path / TOUCHED).exists()
    assert "no file at " in done.stderr, done.stderr[-500:]
