"""Strips of patches between two samples."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lesion_dcgan_aug.latent import Latent, LatentDataset
from lesion_dcgan_aug.samples import SampleExporter
from PIL import Image

from common.data.sample_requests import requests
from common.errors import ConfigError

CLASSES = ["cyst", "metastasis"]


def test_vectors_go_from_one_sample_to_the_other_in_equal_steps():
    latent = Latent(100, 2)
    ends = LatentDataset(requests(CLASSES, 8, seed=4), latent)
    steps = LatentDataset(requests(CLASSES, 8, seed=4, interpolate=[3, 7, 5]), latent)
    assert len(steps) == 10
    first, last = ends[8 + 3]["image"], ends[8 + 7]["image"]  # of the second class
    for number in range(5):
        expected = first * (1 - number / 4) + last * number / 4
        assert steps[5 + number]["image"].tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    assert steps[5]["image"][100:].tolist() == [0, 1]


@pytest.mark.parametrize("wrong", [[0, 1], [0, 1, 1], [-1, 1, 3], [0, 1.5, 3], [0, "b", 3], 4])
def test_other_numbers_are_refused(wrong):
    with pytest.raises(ConfigError, match="--interpolate is .*: give two numbers of samples, from 0, and 2 or more st"):
        requests(CLASSES, 8, 0, wrong)


def test_a_class_is_one_row_with_the_seeds_of_both_ends(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"weights")
    data = requests(CLASSES, 2, 0, [0, 1, 5])
    exporter = SampleExporter(
        str(tmp_path / "out"), data, CLASSES, [-60, 200], "HU", "lesion 1", str(tmp_path / "model.pt")
    )
    engine: Any = SimpleNamespace(state=SimpleNamespace())
    exporter.require_free(engine)
    engine.state.output = [{"pred": torch.full((1, 3, 3), float(n))} for n in range(10)]
    exporter(engine)
    exporter.write(engine)
    assert Image.open(tmp_path / "out" / "cyst_synthetic.png").size == (5 * 4 - 1, 3)
    ends = [item["seed"] for item in requests(CLASSES, 2, 0)[:2]]
    assert json.loads((tmp_path / "out" / "cyst_synthetic.json").read_text())["Seeds"] == [ends] * 5
