from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from common.errors import ConfigError, DataError
from common.evaluation.report.error_histogram import ErrorHistogram
from common.evaluation.report.panels import MAX_BYTES, columns, panel_png


def test_difference_range_is_symmetric_and_in_the_unit(panel):
    *_, difference = columns(panel)
    assert difference.title == "Synthetic − truth"
    assert difference.low == -difference.high
    assert 30 < difference.high <= 40
    assert difference.unit == "HU"
    *_, difference = columns(panel, limit=75.0)
    assert (difference.low, difference.high) == (-75.0, 75.0)


def test_noise_still_fits_into_250_kb(panel):
    noise = np.random.default_rng(0).normal(100, 40, (160, 160, 160))
    arrays = {"source": noise, "synthetic": noise[::-1], "truth": noise[:, ::-1], "mask": noise > -1e9}
    png = panel_png(dataclasses.replace(panel, spacing=(1.0, 1.0, 1.0), **arrays))
    assert png.startswith(b"\x89PNG")
    assert 50_000 < len(png) <= MAX_BYTES


def test_unusable_panels_are_named(panel):
    with pytest.raises(DataError, match=r"panel of case_1: truth has shape .*, not the 3-D shape \(3.* of synthetic"):
        dataclasses.replace(panel, truth=np.zeros((3, 4, 6)))
    with pytest.raises(ConfigError, match=r"window is \(5, 5\), not low < high"):
        dataclasses.replace(panel, window=(5, 5))
    with pytest.raises(ConfigError, match="spacing is .*, not three sizes above 0"):
        dataclasses.replace(panel, spacing=(1.0, 0.0, 1.0))


def test_ct_is_counted_by_tissue_inside_the_mask():
    truth = np.array([-1000.0, -1000.0, 40.0, 40.0, 40.0, 900.0])
    error = np.array([30.0, 9e9, -30.0, -1000.0, 20.0, 499.0])
    mask = np.array([1, 0, 1, 1, 1, 1])
    counted = ErrorHistogram("HU", (-1000, 1000))
    counted.add(truth + error, truth, mask, {})
    counted.add(truth + error, truth, mask, {})  # another case
    assert {name: int(count.sum()) for name, count in counted.counts.items()} == {"air": 2, "soft tissue": 6, "bone": 2}
    assert (counted.edges[0], counted.edges[-1]) == (-500, 500)
    places = {name: np.flatnonzero(count).tolist() for name, count in counted.counts.items()}
    # bins of 12.5 HU: -30 is in the 37th, 20 in the 41st; -1000 counts in the first
    assert places == {"air": [42], "soft tissue": [0, 37, 41], "bone": [79]}


def test_other_targets_are_counted_by_region():
    truth, mask = np.zeros(4), np.array([1, 1, 1, 0])
    lesion = np.array([True, False, False, True])
    counted = ErrorHistogram("DVR", (0, 2))
    counted.add(truth + 0.1, truth, mask, {"lesion": lesion})
    assert {name: int(count.sum()) for name, count in counted.counts.items()} == {"lesion": 1, "other tissue": 2}
    plain = ErrorHistogram("z", (-2, 4))
    plain.add(truth, truth, mask, {})
    assert list(plain.counts) == ["inside the mask"]
