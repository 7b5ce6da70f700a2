"""Dice and HD95 of TotalSegmentator's structures, against distances of every pair of surface voxels."""

import importlib.util
import math
import sys
from types import ModuleType

import nibabel as nib
import numpy as np
import pytest

from common.errors import ConfigError
from common.metrics import StructureOverlap
from common.metrics.structures import ALL, PACKAGE, SCORED, overlap
from common.metrics.surfaces import hd95

SPACING = (1.0, 1.5, 3.0)
AFFINE = np.diag([*SPACING, 1.0])
LIVER, KIDNEY, BRAIN = 5, 2, 90


def _box(start, stop, shape=(16, 14, 10)):
    box = np.zeros(shape, bool)
    box[tuple(slice(*ends) for ends in zip(start, stop, strict=True))] = True
    return box


def _surface(mask):
    """Coordinates in mm of the voxels with a neighbour outside the mask, across one of six faces."""
    padded = np.pad(mask, 1)
    inner = np.ones_like(padded)
    for axis in range(3):
        for step in (-1, 1):
            inner &= np.roll(padded, step, axis)
    return np.argwhere((padded & ~inner)[1:-1, 1:-1, 1:-1]) * np.array(SPACING)


def _plain_hd95(one, other):
    ours, theirs = _surface(one), _surface(other)
    distances = np.linalg.norm(ours[:, None] - theirs[None], axis=2)
    return max(np.percentile(distances.min(axis=1), 95), np.percentile(distances.min(axis=0), 95))


def _labels(**boxes):
    labels = np.zeros((16, 14, 10), np.uint8)
    for number, box in boxes.items():
        labels[box] = int(number[1:])
    return labels


def test_distances_equal_those_of_all_pairs_of_surface_voxels():
    rng = np.random.default_rng(0)
    one = _box((2, 3, 1), (10, 11, 7))
    other = _box((4, 2, 2), (13, 10, 9))
    other[rng.random(other.shape) < 0.02] = True
    assert hd95(one, other, SPACING) == pytest.approx(_plain_hd95(one, other), rel=1e-6)


def test_an_empty_mask_is_infinitely_far():
    box, empty = _box((2, 2, 2), (8, 8, 8)), np.zeros((16, 14, 10), bool)
    assert hd95(empty, box, SPACING) == hd95(box, empty, SPACING) == math.inf
    assert math.isnan(hd95(empty, empty, SPACING))


def test_means_are_over_the_structures_that_the_truth_has():
    truth = _labels(n5=_box((1, 1, 1), (6, 6, 5)), n2=_box((8, 8, 1), (14, 12, 6)), n52=_box((0, 0, 7), (4, 4, 9)))
    pred = _labels(n5=_box((2, 1, 1), (7, 6, 5)), n2=_box((8, 9, 1), (14, 13, 6)), n90=_box((8, 0, 7), (15, 6, 10)))
    pairs = [(pred == number, truth == number) for number in (KIDNEY, LIVER)]
    dices = [2 * (one & other).sum() / (one.sum() + other.sum()) for one, other in pairs]
    # the aorta, 52, is not scored, the brain not in the truth
    scores = overlap(pred, truth, SPACING, SCORED["abdomen"])
    assert scores["dice"] == pytest.approx(np.mean(dices), rel=1e-6)
    assert scores["hd95"] == pytest.approx(np.mean([_plain_hd95(*pair) for pair in pairs]), rel=1e-6)
    assert math.isnan(overlap(pred, truth, SPACING, SCORED["head and neck"])["dice"])
    assert overlap(pred, truth, SPACING) == scores


def test_a_lost_structure_counts_0_and_is_infinitely_far():
    truth = _labels(n5=_box((1, 1, 1), (6, 6, 5)), n2=_box((8, 8, 1), (14, 12, 6)))
    pred = _labels(n5=_box((1, 1, 1), (6, 6, 5)))
    assert overlap(pred, truth, SPACING) == {"dice": 0.5, "hd95": math.inf}
    none = overlap(pred, np.zeros_like(truth), SPACING)
    assert math.isnan(none["dice"])
    assert math.isnan(none["hd95"])


def test_the_lists_are_those_of_the_challenge():
    """SynthRAD2025/evaluation, commit 17cac47; before 16 April 2025 noon it had fewer."""
    trunk = {2, 3, 5, 6, *range(10, 15), *range(26, 51), 51, 79, *range(92, 117)}
    head = {15, 16, 17, *range(26, 51), 79, 90, 91}
    assert {part: set(numbers) for part, numbers in SCORED.items()} == {
        "head and neck": head,
        "thorax": trunk,
        "abdomen": trunk,
    }
    assert set(ALL) == trunk | head


@pytest.fixture
def segmenter(monkeypatch):
    """A package that labels what is above 100 HU as liver, and counts its calls."""
    calls = []

    def totalsegmentator(image, output, **settings):
        calls.append(settings)
        values = np.asarray(image.dataobj)
        return nib.Nifti1Image(np.where(values > 100, LIVER, 0).astype(np.uint8), image.affine)

    package, api = ModuleType(PACKAGE), ModuleType(f"{PACKAGE}.python_api")
    package.__spec__ = importlib.util.spec_from_loader(PACKAGE, None)
    api.totalsegmentator = totalsegmentator
    monkeypatch.setitem(sys.modules, PACKAGE, package)
    monkeypatch.setitem(sys.modules, f"{PACKAGE}.python_api", api)
    return calls, api


def test_the_truth_is_segmented_once_for_all_methods(segmenter):
    calls, _ = segmenter
    truth = np.where(_box((2, 2, 2), (8, 8, 8)), 300.0, -1000.0)
    measure = StructureOverlap("HU")
    assert measure(truth, truth, AFFINE, "thorax") == {"dice": 1.0, "hd95": 0.0}
    shifted = np.roll(truth, 2, axis=0)
    assert measure(shifted, truth, AFFINE)["hd95"] == pytest.approx(2.0, abs=1e-6)
    assert len(calls) == 3
    assert all(settings["fast"] and settings["ml"] and settings["skip_saving"] for settings in calls)


def test_other_units_and_a_missing_package_measure_nothing(segmenter, monkeypatch):
    truth = np.zeros((8, 8, 8))
    assert StructureOverlap("a.u.")(truth, truth, AFFINE) == {}
    monkeypatch.delitem(sys.modules, PACKAGE)
    if importlib.util.find_spec(PACKAGE) is None:
        assert StructureOverlap("HU")(truth, truth, AFFINE) == {}


def test_its_failure_is_one_line(segmenter):
    _, api = segmenter

    def fails(*_, **__):
        raise OSError("no network")

    api.totalsegmentator = fails
    truth = np.zeros((8, 8, 8))
    with pytest.raises(ConfigError, match="TotalSegmentator fails .OSError: no network.*download its weights"):
        StructureOverlap("HU")(truth, truth, AFFINE)
