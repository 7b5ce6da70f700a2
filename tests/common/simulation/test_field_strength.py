"""MR of one person at two field strengths."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from common.simulation.dataset import case_seed
from common.simulation.field_strength import write_field_strengths
from common.simulation.head import head_anatomy
from common.simulation.physics import at_three_tesla
from common.simulation.tissues import Relaxation


def test_times_at_3_tesla_are_those_measured_over_those_at_1_5() -> None:
    given = {
        "grey": Relaxation(1000.0, 100.0, 50.0, 0.8, 0.05),
        "white": Relaxation(600.0, 80.0, 79.0, 0.7, 0.05),
        "csf": Relaxation(2500.0, 300.0, 100.0, 1.0, 0.05),
        "marrow": Relaxation(300.0, 100.0, 99.0, 0.9, 0.1),
    }
    capped = given["marrow"]._replace(t2_star=110.0)
    assert at_three_tesla({"marrow": capped})["marrow"].t2_star == 86.0, "never above T2"
    made = at_three_tesla(given)
    assert made["grey"] == pytest.approx((1620.0, 104.0, 40.0, 0.8, 0.05))
    assert made["white"] == pytest.approx((738.0, 76.8, 63.2, 0.7, 0.05))
    assert made["csf"] == pytest.approx((2500.0, 300.0, 80.0, 1.0, 0.05))  # no number: equal times
    assert made["marrow"] == pytest.approx((300.0, 86.0, 79.2, 0.9, 0.1))


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj, np.float64)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fields") / "set"
    write_field_strengths(root, cases=2, spacing=4.0, seed=3)
    return root


def test_grey_and_white_matter_differ_more_at_3_tesla(written: Path) -> None:
    """The T1 of grey matter grows by 62 %, that of white matter by 23 %."""
    for index in range(2):
        fractions = head_anatomy(case_seed(3, index), 4.0).fractions
        low, high = (voxels(written / f"phantom_00{index}" / f"mr_{name}.nii.gz") for name in ("15t", "3t"))
        ratio = [np.median(i[fractions["grey"] > 0.9]) / np.median(i[fractions["white"] > 0.9]) for i in (low, high)]
        assert ratio[1] < 0.95 * ratio[0]


def test_noise_is_halved(written: Path) -> None:
    """Of Rician noise in air the median is sqrt(2 ln 2) standard deviations, here of 20 and 10 units."""
    folder = written / "phantom_000"
    air = voxels(folder / "mask.nii.gz") == 0
    medians = [np.median(voxels(folder / f"mr_{name}.nii.gz")[air]) for name in ("15t", "3t")]
    levels = np.divide(medians, np.sqrt(2 * np.log(2)))
    assert levels == pytest.approx([20.0, 10.0], rel=0.05)
