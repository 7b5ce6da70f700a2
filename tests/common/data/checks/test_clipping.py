"""Targets that the window of a training cuts: what counts as foreground, and one warning for all cases."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from common.data.checks.before_training import check_cases
from common.data.checks.clipping import Clipping
from common.data.checks.volumes import CheckedVolume
from common.errors import Finding

AFFINE = np.eye(4)


def volume(values: np.ndarray, case: str = "c1", affine: np.ndarray = AFFINE) -> CheckedVolume:
    return CheckedVolume(partial(Finding, case, "t2.nii.gz"), values.astype(np.float32), affine)


def tissue(*values: float) -> np.ndarray:
    """A block of 10 x 10 x 10 voxels in air of 0, filled with the values in equal parts."""
    whole = np.zeros((14, 14, 14))
    whole[2:12, 2:12, 2:12] = np.repeat(values, 1000 // len(values)).reshape(10, 10, 10)
    return whole


HUNDRED = tissue(*range(1001, 1101))


def reported(window: tuple[float, float], *labels: np.ndarray, mask: np.ndarray | None = None) -> list[str]:
    clipping = Clipping(window)
    for number, label in enumerate(labels, start=1):
        clipping.add(volume(label, f"c{number}"), None if mask is None else volume(mask))
    return [str(finding) for finding in clipping.findings()]


@pytest.mark.parametrize(("window", "share"), [((0, 1098), "2%"), ((1011, 1100), "10%"), ((1003, 1098), "4%")])
def test_a_window_that_cuts_more_than_a_hundredth_is_reported(window: tuple[float, float], share: str) -> None:
    """Of values 1001 to 1100, ten voxels each; air, 0 in all windows but the first, is no foreground."""
    low, high = min(window[0], 1000.0), max(window[1], 1100.0)
    (message,) = reported(window, HUNDRED)
    assert message == (
        f"c1 (t2.nii.gz): --target_window [{window[0]:g}, {window[1]:g}] cuts over 1% of the foreground "
        f"({share} here, over 1% in 1 of 1 cases); widen it to [{low:g}, {high:g}]"
    )


def test_cases_are_reported_as_one_by_the_worst_of_them() -> None:
    """210 and 230 are the brightest 10 and 30 %; a whole target may lie beyond the window."""
    few, many = tissue(*[100] * 9, 210), tissue(*[100] * 7, *[230] * 3)
    (message,) = reported((0, 200), few, tissue(100, 150), many)
    assert message.startswith("c3 (t2.nii.gz): ")
    assert "(30% here, over 1% in 2 of 3 cases); widen it to [0, 230]" in message
    assert "(100% here" in reported((0, 50), many)[0]
    assert reported((0, 1099), HUNDRED) == reported((1002, 1100), HUNDRED) == [], "a hundredth may be cut"


def test_the_foreground_is_the_mask_where_there_is_one() -> None:
    bright = tissue(100, 100, 100, 500)
    assert len(reported((0, 200), bright)) == 1
    assert reported((0, 200), bright, mask=bright == 100) == []
    shifted = Clipping((0, 200))
    shifted.add(volume(bright), volume(bright == 100, affine=2 * AFFINE))
    assert len(list(shifted.findings())) == 1, "a mask on another grid marks other voxels"


def test_air_is_no_foreground_of_a_ct() -> None:
    mask = tissue(1)
    assert reported((-600, 1400), tissue(40, 40, 40, -1000), mask=mask) == []
    (message,) = reported((-600, 1400), tissue(40, 40, 40, 1500, -1000), mask=mask)
    assert "(25% here" in message
    assert "widen it to [-600, 1500]" in message
    (message,) = reported((0, 1400), tissue(40, 40, 40, -1000), mask=mask)
    assert "(25% here" in message, "a window that does not span -200 to 200 is not in HU"


def test_a_case_of_one_value_between_air_is_measured_where_its_samples_differ() -> None:
    """Of 200 voxels along an axis every third is a sample, here those of the air alone."""
    thin = np.zeros((200, 8, 8))
    thin[100] = 900
    assert reported((0, 200), thin) == []


def test_the_check_of_cases_measures_what_is_clipped(tmp_path: Path) -> None:
    path = str(tmp_path / "t2.nii.gz")
    nib.save(nib.Nifti1Image(HUNDRED.astype(np.float32), AFFINE), path)
    lists = {"training_B": [{"case": "c1", "patient": "p1", "label": path}]}
    found = [str(one) for one in check_cases(lists, target_range=(0, 1050))]
    assert len(found) == 1
    assert "(50% here" in found[0]
    assert check_cases(lists, target_range=(0, 1050), target_unclipped=True) == []
    (other,) = check_cases(lists, target_range=(0, 100))
    assert "differ in magnitude from the window [0, 100]" in str(other), "another unit is reported as such alone"
