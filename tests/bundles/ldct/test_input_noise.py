"""Scans with less noise than weights name are refused, with a remedy."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ldct_wgan_vgg.input_noise import NoiseCheck

from common.errors import CheckpointError, DataError

WINDOW = (-1000.0, 3000.0)


def weights(folder: Path, **more: float | str) -> str:
    about = {"schema_version": 1, "bundle": "ldct_wgan_vgg", "settings": {}, "trained_on": {}, "sha256": "0", **more}
    (folder / "model.json").write_text(json.dumps(about))
    return str(folder / "model.pt")


def engine(noise: float, refuses: bool = True) -> SimpleNamespace:
    hu = 40 + noise * np.random.default_rng(0).standard_normal((40, 40, 4))
    hu[:, :8] = -1000
    image = torch.from_numpy((hu + 1000) / 2000 - 1)[None, None]
    return SimpleNamespace(state=SimpleNamespace(batch={"case": ["head"], "image": image}), refuses=refuses)


def test_a_scan_with_little_noise_is_refused(tmp_path: Path) -> None:
    check = NoiseCheck(weights(tmp_path, least_noise_hu=8.0), WINDOW)
    check(engine(20))
    check(engine(4, refuses=False))
    with pytest.raises(DataError, match=r"^head: noise of [34]\.\d HU, below the 8 HU from which these "):
        check(engine(4))


def test_a_limit_that_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^least_noise_hu of the weights .* is 'low', not 1 number: restore"):
        NoiseCheck(weights(tmp_path, least_noise_hu="low"), WINDOW)


def test_weights_that_name_no_noise_take_all(tmp_path: Path) -> None:
    NoiseCheck(weights(tmp_path), WINDOW)(engine(0.5))
