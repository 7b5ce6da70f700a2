"""The demo of every translation bundle learns: the only tests that need its whole training."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bundle_commands import voxels

pytestmark = pytest.mark.translation


def test_the_demo_learns(demo_run):
    summary = json.loads((demo_run.output_dir / "evaluation" / "summary.json").read_text())
    error, part = demo_run.bundle.traits["demo_beats_copy"].values()
    assert summary["model"][error]["mean"] <= part * summary[demo_run.bundle.baseline][error]["mean"]
    if "bias_outside" in summary["model"]:
        assert abs(summary["model"]["bias_outside"]["mean"]) < 5


def test_predictions_of_the_demo_look_like_the_target(demo_run):
    split = json.loads((demo_run.output_dir / "datalist.json").read_text())
    suffix = demo_run.bundle.parser("inference").get_parsed_content("exporter").suffix
    bounded = demo_run.bundle.traits["bounded"]
    window = demo_run.bundle.parser("inference").get_parsed_content("target_window") if bounded else (None, None)
    assert len(split["test"]) >= 2
    for item in split["test"]:
        path = demo_run.output_dir / "predictions" / f"{item['case']}_{suffix}{demo_run.bundle.ending}"
        values, truth = voxels(path), voxels(item["label"])
        if not bounded:
            inside = voxels(item["mask"]) > 0
            assert values[inside].mean() == pytest.approx(truth[inside].mean(), rel=0.3), "in the target's unit"
        elif not demo_run.bundle.traits["keeps_outside_window"]:
            low, high = window
            least = -1000 if demo_run.bundle.traits["unit"] == "HU" else low  # what the window cut of air is put back
            darkest, brightest = float(truth.min().clip(low, high)), float(truth.max().clip(low, high))
            assert least <= values.min() < darkest + 0.2 * (brightest - darkest)
            assert brightest - 0.5 * (brightest - darkest) < values.max() <= high
        assert np.corrcoef(values.ravel(), truth.ravel())[0, 1] > 0.8
