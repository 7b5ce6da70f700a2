"""The noise level of CT on phantoms of a known one; scans with less noise than weights name are refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ldct_wgan_vgg.classical import noise_level
from ldct_wgan_vgg.input_noise import NoiseCheck
from two_tissues import SIGMA, noisy_tissues, two_tissues

from common.errors import CheckpointError, DataError
from common.evaluation.filters import NonLocalMeans
from common.simulation.corruptions.low_dose import LowDose

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


def test_the_noise_level_is_that_of_soft_tissue():
    assert noise_level(noisy_tissues()) == pytest.approx(SIGMA, rel=0.1)
    assert noise_level(two_tissues()) == 0
    assert noise_level(np.full((9, 9, 1), -1000.0)) == 0


def test_the_correlated_noise_of_a_soft_kernel_is_seen():
    """Differences of neighbours hold two fifths of its variance, the squares of 5 pixels two thirds."""
    away = np.hypot(*np.ogrid[-32:32, -32:32])
    water = np.repeat(np.where(away < 28, 0.0, -1000.0)[..., None], 6, 2)
    low = LowDose(0.25, views=90, bow_tie=168)(water, (3, 3, 3), np.random.default_rng(0))
    true = low[away < 20].std()
    assert np.diff(low, axis=0)[away[1:] < 20].std() / np.sqrt(2) < 0.7 * true
    assert noise_level(low) == pytest.approx(true, rel=0.25)


def test_volumes_that_are_no_ct_are_refused():
    with pytest.raises(DataError, match="convert it to HU"):
        NonLocalMeans(noise_level)(two_tissues() + 1024)
