"""The page on own networks, losses and metrics shows the files of ``examples/own``, and they do what it says."""

from __future__ import annotations

import importlib
import re

import numpy as np
import pytest
import torch

from common.config import read_config
from tools.repository import ROOT

OWN = ROOT / "examples" / "own"
CONFIGS = ROOT / "bundles" / "mr2ct_pix2pix" / "configs"


@pytest.fixture(autouse=True)
def on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(OWN)


def configured(*files: str, own: str):
    return read_config([*(CONFIGS / file for file in files), OWN / own], device="$torch.device('cpu')")


def test_the_page_shows_the_files() -> None:
    page = (ROOT / "docs" / "how-to" / "own-parts.md").read_text()
    shown = re.findall(r"^```(?:yaml|python)\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    files = {path.name: path.read_text() for path in OWN.iterdir() if path.is_file()}
    assert sorted(shown) == sorted(files.values())
    assert all(f"`{name}`" in page for name in files)


def test_the_loss_by_hand_and_in_the_method() -> None:
    """Errors of 0, 1, 1 along one axis: a mean of 2/3, and half of a mean step of 1/2; no step along the other."""
    loss = importlib.import_module("my_losses").l1_and_edges
    error = torch.tensor([[[[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]]])
    assert float(loss(error, torch.zeros_like(error))) == pytest.approx(2 / 3 + 1 / 4)
    losses = configured("train.yaml", "demo.yaml", own="edges.yaml").get_parsed_content("method").losses
    assert (losses["edges"].function, losses["edges"].weight) == (loss, 50)
    assert "l1" in losses


def test_the_metric_by_hand_and_besides_the_others() -> None:
    measure = importlib.import_module("my_metrics").bone_volume
    truth = np.array([300.0, 400.0, 0.0, 500.0])[:, None, None]
    pred = np.array([300.0, 0.0, 0.0, 900.0])[:, None, None]
    mask = np.array([1, 1, 1, 0])[:, None, None]
    assert measure(pred, truth, mask) == {"bone_volume_ratio": 0.5}
    assert np.isnan(measure(pred, 0 * truth, mask)["bone_volume_ratio"])
    plain = read_config([CONFIGS / "train.yaml", CONFIGS / "evaluate.yaml"])["metrics"]
    metrics = configured("train.yaml", "evaluate.yaml", own="volume.yaml")["metrics"]
    assert metrics == [*plain, {"_target_": "my_metrics.bone_volume", "_mode_": "callable"}]
