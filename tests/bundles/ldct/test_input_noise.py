"""The noise level of CT on phantoms of a known one; scans with less noise than weights name are refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from dicom_phantom import Grid, write_series
from ldct_wgan_vgg.classical import noise_level
from ldct_wgan_vgg.input_noise import NoiseCheck
from monai.data import list_data_collate
from two_tissues import SIGMA, noisy_tissues, two_tissues

from common.errors import CheckpointError, DataError
from common.evaluation.filters import NonLocalMeans
from common.io import VolumeReader
from common.simulation.corruptions.low_dose import LowDose
from common.transforms import LoadVolumed

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


def test_the_noise_of_a_tilted_ct_is_that_before_it_is_resampled(tmp_path: Path) -> None:
    """A gantry of 20 degrees with white noise of 15 HU: a linear resampling leaves 10 to 12, below the limit of 12."""
    grid = Grid((40, 40, 6), (0.8, 0.8, 2.0), step=(0.0, 2 * np.tan(np.radians(20)), 2.0))
    hu = 40 + 15 * np.random.default_rng(0).standard_normal(grid.shape)
    hu[:, :8] = -1000
    write_series(tmp_path / "ct", grid, slope=1, values=hu)
    reader = VolumeReader(resample_tilt=True)
    image = LoadVolumed("image", reader)({"case": "ct", "image": str(tmp_path / "ct")})["image"]
    assert 10 < noise_level(image[0]) < 12
    check = NoiseCheck(weights(tmp_path, least_noise_hu=12.0), WINDOW, reader)
    batch = list_data_collate([{"case": "ct", "image": (image + 1000) / 2000 - 1}])
    check(SimpleNamespace(state=SimpleNamespace(batch=batch), refuses=True))
    check.limit = (17.0,)
    with pytest.raises(DataError, match=r"^ct: noise of 1[45]\.\d HU, below the 17 HU .*no option writes it as DICOM$"):
        check(SimpleNamespace(state=SimpleNamespace(batch=batch), refuses=True))


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
