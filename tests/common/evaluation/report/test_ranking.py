import dataclasses

import numpy as np
import pytest

from common.evaluation.report.ranking import largest_error, ranked


def rows_of(values, metric="mae"):
    return [
        {"case": f"case_{index}", "method": method, metric: value * factor}
        for index, value in enumerate(values)
        for method, factor in (("copy_input", 1), ("model", -1 if metric == "psnr" else 2))
    ]


def test_worst_first_by_the_mae_of_the_reference():
    rows = [{**row, "ssim": 0.5} for row in rows_of([3.0, 9.0, 1.0, 5.0])]
    ranking = ranked(rows)
    assert ranking.metric == "mae"
    assert ranking.cases == ["case_1", "case_3", "case_0", "case_2"]
    assert ranking.roles == {"case_1": "worst", "case_0": "median", "case_2": "best"}


def test_cases_without_a_value_come_last():
    rows = [*rows_of([1.0, 2.0]), {"case": "z", "method": "copy_input", "mae": 99.0}]
    rows[1]["mae"] = float("nan")
    assert ranked(rows).cases == ["case_1", "case_0", "z"]
    assert ranked(rows).roles == {}


def test_a_case_with_a_lost_structure_is_the_worst():
    rows = rows_of([3.0, float("inf"), 9.0], "hd95")
    assert ranked(rows).cases == ["case_1", "case_2", "case_0"]
    assert ranked(rows).roles == {"case_1": "worst", "case_2": "median", "case_0": "best"}


def test_worst_best_and_median_are_shown_before_others():
    names = [f"case_{index}" for index in range(7)]
    ranking = ranked(rows_of([7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]))
    assert ranking.shown(names, 4) == ["case_0", "case_6", "case_3", "case_1"]
    assert ranking.shown([*names, "unscored"], 99)[-1] == "unscored"
    assert ranking.shown(["case_4", "case_2"], 2) == ["case_2", "case_4"]


def blob(panel, at, outside=None):
    """A panel of 40^3 voxels of 2 mm, with an error of 100 in a cube around ``at``, one of 900 in ``outside``."""
    truth = np.zeros((40, 40, 40))
    synthetic = truth + 1
    synthetic[tuple(slice(i - 3, i + 4) for i in at)] += 100
    mask = np.ones(truth.shape)
    if outside is not None:
        synthetic[outside] = 900
        mask[outside] = 0
    arrays = {"source": truth, "truth": truth, "synthetic": synthetic, "mask": mask}
    return dataclasses.replace(panel, spacing=(2.0, 2.0, 2.0), **arrays)


def test_place_of_a_planted_error_in_voxels_and_in_the_patients_space(panel):
    affine = np.array([[2.0, 0, 0, -39], [0, 2, 0, -50], [0, 0, 2, 10], [0, 0, 0, 1]])
    planted = blob(panel, (30, 12, 20), outside=(5, 5, 5))
    assert largest_error(planted).voxel == (30, 12, 20)
    assert largest_error(planted).text == "voxel (30, 12, 20)"
    found = largest_error(dataclasses.replace(planted, affine=affine))
    assert found.mm == (21, -26, 50)
    assert found.text == "21 mm right, 26 mm posterior, 50 mm superior"
    assert found.size == pytest.approx(101, abs=1)  # the cube is wider than the Gaussian


def test_one_noisy_voxel_is_not_the_largest_error(panel):
    planted = blob(panel, (30, 12, 20))
    planted.synthetic[3, 30, 30] = 400
    assert largest_error(planted).voxel == (30, 12, 20)
