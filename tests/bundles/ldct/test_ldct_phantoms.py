"""Phantoms of low-dose CT: what is written, how much noise, and that only noise differs."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from ldct_wgan_vgg.phantoms import write_ldct

from common.simulation.dataset import case_seed
from common.simulation.head import head_anatomy

SPACING = 4.0
NAMES = ("ldct", "ndct", "mask", "lesion")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two heads at a tenth of the dose, and the first of them at half of it."""
    root = tmp_path_factory.mktemp("phantoms")
    write_ldct(root / "tenth", 2, SPACING, 7)
    write_ldct(root / "half", 1, SPACING, 7, dose=0.5)
    return root


def voxels(root: Path, name: str) -> np.ndarray:
    return np.asarray(nib.load(root / "phantom_000" / f"{name}.nii.gz").dataobj).astype(float)


def test_noise_is_added_and_nothing_else(written: Path) -> None:
    fractions = head_anatomy(case_seed(7, 0), SPACING).fractions
    tenth, half = ({name: voxels(written / dose, name) for name in NAMES} for dose in ("tenth", "half"))
    np.testing.assert_array_equal(tenth["mask"], fractions["background"] < 0.5)
    np.testing.assert_array_equal(tenth["lesion"], fractions["lesion"] > 0.5)
    brain = fractions["white"] + fractions["grey"] > 0.95
    np.testing.assert_array_equal(tenth["ndct"], half["ndct"])
    low, less = ((each["ldct"] - each["ndct"])[brain] for each in (tenth, half))
    assert low.std() / less.std() == pytest.approx(3, rel=0.1)  # (1 - d) / d is 9 and 1
    assert abs(low.mean()) < 0.1 * low.std()
    assert 10 < low.std() < 20
    white, lesion = (tenth["ndct"][fractions[name] > 0.9].mean() for name in ("white", "lesion"))
    assert 0 < white - lesion < 20  # 7 HU, and noise


def test_thick_slices_are_the_means_of_three(written: Path) -> None:
    full, thick = (voxels(written / "tenth", name) for name in ("ndct", "thick"))
    means = np.stack([full[..., z : z + 3].mean(2) for z in range(1, full.shape[2] - 2, 3)], axis=2)
    np.testing.assert_allclose(thick[..., 2::3][..., : means.shape[2]], means, atol=1.01)  # both are whole HU
