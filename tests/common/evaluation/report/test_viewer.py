import dataclasses
import json

import numpy as np
from report_pages import make_panel, viewer_of, written
from test_volumes import unpacked

from common.evaluation.report import ExtraImage


def case_of(tmp_path, *panels, **changes):
    (found,) = viewer_of(written(tmp_path, panels=panels, **changes))["cases"]
    return found


def test_a_small_case_is_stored_at_full_resolution_and_decodes_within_the_tolerance(tmp_path):
    panel = make_panel()
    case = case_of(tmp_path, panel)
    assert case["shape"] == [24, 28, 20]
    assert case["spacing"] == [1, 1, 2]
    images = {image["name"]: image for image in case["images"]}
    assert list(images) == ["Source", "Synthetic", "Truth", "Residual"]
    mask = unpacked(case["mask"], case["shape"]) > 0
    assert np.array_equal(mask, panel.mask)
    for name, values in (("Synthetic", panel.synthetic), ("Truth", panel.truth)):
        scale = np.concatenate([start + step * np.arange(count) for start, step, count in images[name]["scale"]])
        decoded = scale[unpacked(images[name]["data"], case["shape"])]
        assert np.abs(decoded - values)[mask].max() <= 1.5


def test_extras_and_nan_are_stored(tmp_path):
    panel = make_panel()
    holes = panel.synthetic.copy()
    holes[0, 0, 0] = np.nan
    maps = ExtraImage("Map", panel.mask.astype(float), "1", signed=False)
    case = case_of(tmp_path, dataclasses.replace(panel, synthetic=holes, extras=[maps], truth=None))
    assert [image["name"] for image in case["images"]] == ["Source", "Synthetic", "Map"]
    assert json.dumps(case, allow_nan=False)
    assert (case["at"], case["error"]) == (None, "")
