from dataclasses import fields

import numpy as np
import pytest

from common.simulation.mr_contrasts import any_contrast
from common.simulation.physics import SpinEcho, SpoiledEcho, Tissues
from common.simulation.sampling import folded
from common.simulation.scanner import Artefacts, Scanner
from common.simulation.simulate import AverageHeads, MrCtPair, MrPair
from common.simulation.variety import Variety

COARSE = AverageHeads(spacings_mm=[5.0], turn_probability=0)
T2 = SpinEcho(te_ms=[90, 90])


@pytest.fixture(scope="module")
def pair():
    return MrPair(SpinEcho(), T2, heads=COARSE)


def test_a_seed_gives_the_same_bits_and_another_another_image_and_thick_slices_show_in_the_spacing(pair):
    one, again, other = pair(7), pair(7), pair(8)["image"]
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert one["image"].shape != other.shape or not np.allclose(one["image"], other)
    thick = MrPair(SpinEcho(), T2, scanner=Scanner(thick_probability=1, thickness_mm=[10, 10]), heads=COARSE)(1)
    assert sorted(thick["spacing"].tolist()) == [5, 5, 10]


STILL = {
    "blur_mm": [0, 0], "thick_probability": 0, "cut_mm": [0, 0, 0, 0], "noise": [0, 0], "texture": [0, 0],
    "coil_probability": 0, "bias": [0, 0], "gamma": [1, 1], "window_percent": [100, 100], "quantised_probability": 0,
}  # fmt: skip
"""A scanner that degrades nothing."""


def test_fluid_is_brighter_than_white_matter_on_t2_and_darker_on_t1():
    """The ventricles against the white matter around them, in a head that nothing degrades."""
    variety = Variety(atrophy=[0, 0], lesion_probability=0, stripped_probability=0, defaced_probability=0)
    heads = AverageHeads(variety, spacings_mm=[4.0], turn_probability=0, move_mm=0)
    tissues, scanner = Tissues(spread=0, outside_spread=0), Scanner(artefacts=None, **STILL)
    case = MrPair(SpoiledEcho(), T2, tissues=tissues, scanner=scanner, heads=heads)(3)
    x, y, z = (size // 2 for size in case["image"].shape)
    middle = (slice(x - 6, x + 6), slice(y - 6, y + 9), slice(z - 2, z + 4))
    image, label = case["image"][middle], case["label"][middle]
    fluid, rest = label >= np.percentile(label, 97), label <= np.percentile(label, 40)
    assert label[fluid].mean() > 1.8 * label[rest].mean()
    assert image[fluid].mean() < 0.8 * image[rest].mean()


def test_a_scan_of_any_contrast_with_every_artefact_keeps_its_grid_and_its_bits(pair):
    sure = {field.name: 1.0 for field in fields(Artefacts) if field.name.endswith("_probability")}
    scanner = Scanner(artefacts=Artefacts(**sure), coil_probability=1, quantised_probability=1)
    spoilt = MrCtPair(any_contrast(), scanner=scanner, heads=COARSE)
    for seed in range(3):
        one, again = spoilt(seed), spoilt(seed)
        assert all(np.array_equal(one[name], again[name]) for name in one)
        assert len(np.unique(one["image"])) <= 256
        for case in (one, pair(seed)):
            assert case["image"].shape == case["label"].shape == case["mask"].shape
            assert {case[name].dtype for name in ("image", "label", "mask")} == {np.dtype(np.float32)}
            assert 0 <= case["image"].min() < case["image"].max() <= 1
            assert set(np.unique(case["mask"])) == {0, 1}


def test_what_folds_over_in_the_source_is_only_cut_in_the_target():
    """Source and target of one sequence are equal but for the fold and the grey scale."""
    quiet = {field.name: 0.0 for field in fields(Artefacts) if field.name.endswith("_probability")}
    whole, cut = (
        MrPair(T2, T2, scanner=Scanner(artefacts=artefacts, **STILL), heads=COARSE)(4)
        for artefacts in (None, Artefacts(**{**quiet, "wrap_probability": 1.0}, wrap_mm=[30, 30]))
    )
    size = [whole["label"].shape[axis] - cut["label"].shape[axis] for axis in range(3)]
    (phase,) = np.flatnonzero(size)
    views = [slice(start, start + cut["label"].shape[phase]) for start in range(size[phase] + 1)]
    kept = [np.moveaxis(np.moveaxis(whole["label"], phase, 0)[view], 0, phase) for view in views]
    (found,) = (place for place, part in enumerate(kept) if np.array_equal(part, cut["label"]))
    expected = folded(whole["label"], phase, views[found])
    assert np.count_nonzero(expected != kept[found]) > 100
    top = expected[cut["mask"] > 0].max()
    np.testing.assert_allclose(cut["image"], np.minimum(expected / top, 1), atol=1e-6)
