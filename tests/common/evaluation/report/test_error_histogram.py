import io

import numpy as np
from PIL import Image

from common.evaluation.report.error_histogram import ErrorHistogram


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


def test_picture_has_the_groups_in_its_caption():
    counted = ErrorHistogram("HU", (-1000, 1000))
    counted.add(np.ones(9), np.zeros(9), np.ones(9), {})
    picture = counted.picture("model, all 2 cases")
    assert Image.open(io.BytesIO(picture.png)).width > 600
    assert picture.caption.startswith("Synthetic − truth in HU, model, all 2 cases, inside the mask: air below -200 HU")
