"""Why MR is scaled by percentiles of the volume, and what the CT window costs: the numbers of docs/results."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from common.simulation.mr_ct_pairs import write_mr2ct
from common.transforms import head_mask

CASES = 3
PUBLISHED_MR, PUBLISHED_CT = (0, 3500), (-600, 1400)
PERCENTILES = (0.5, 99.5)


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, np.ndarray]]:
    root = tmp_path_factory.mktemp("heads") / "data"
    write_mr2ct(root, CASES, spacing=4, seed=0)
    cases = [root / f"phantom_{number:03d}" for number in range(CASES)]
    return [{name: volume(case / f"{name}.nii.gz") for name in ("mr", "ct", "mask")} for case in cases]


def volume(path: Path) -> np.ndarray:
    return np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj).astype(np.float32)


def cut(mr: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The field of view cut to the head."""
    places = np.argwhere(mask > 0)
    return mr[tuple(slice(low, high + 1) for low, high in zip(places.min(0), places.max(0), strict=True))]


def wide(mr: np.ndarray) -> np.ndarray:
    """The field of view 1.4 times as wide along each axis, its air as noisy as that of the phantom."""
    air = np.abs(np.random.default_rng(0).normal(0, 40, [int(1.4 * side) for side in mr.shape]))
    air[tuple(slice(side) for side in mr.shape)] = mr
    return air.astype(np.float32)


def upper_end(mr: np.ndarray, head: bool = False) -> float:
    inside = mr[head_mask(mr, None, axial=2, case="") if head else mr > mr.min()]
    return float(np.percentile(inside, PERCENTILES[1]))


def test_the_upper_end_depends_little_on_air_and_much_on_a_head_that_is_not_found(heads) -> None:
    """Relative changes where the field of view is cut to the head, and where it is 1.4 times as wide."""
    of_volume, of_head = [], []
    for head in heads:
        views = cut(head["mr"], head["mask"]), wide(head["mr"])
        of_volume.append([upper_end(view) / upper_end(head["mr"]) - 1 for view in views])
        of_head.append([upper_end(view, True) / upper_end(head["mr"], True) - 1 for view in views])
    assert np.array(of_volume)[:, 0] == pytest.approx([0.02, 0.03, 0.07], abs=0.01)
    assert np.array(of_volume)[:, 1] == pytest.approx([-0.09, -0.12, -0.13], abs=0.01)
    # without air its mean is no threshold: the scalp, with the brightest voxels, is cut off from the brain
    assert np.array(of_head)[:, 0] == pytest.approx([0, -0.40, -0.34], abs=0.01)
    assert np.array(of_head)[:, 1] == pytest.approx([0, 0, 0], abs=0.005)


def test_the_window_of_the_ct_costs_three_to_five_hu(heads) -> None:
    """The error of the truth itself, clipped: what a perfect network would have."""
    costs = [np.abs(np.clip(head["ct"], *PUBLISHED_CT) - head["ct"])[head["mask"] > 0].mean() for head in heads]
    assert costs == pytest.approx([4.5, 3.0, 5.0], abs=0.1)


def test_hu_inside_a_head_vary_by_about_the_unit_of_the_3d_target(heads) -> None:
    """``mr2ct_3d.yaml`` of pd2t2_dcgan_acm divides the CT by 500 HU."""
    assert [head["ct"][head["mask"] > 0].std() for head in heads] == pytest.approx([385, 340, 397], abs=1)
