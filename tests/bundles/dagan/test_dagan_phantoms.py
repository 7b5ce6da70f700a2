"""Phantoms and simulated pairs of fast MR: what is written, what each degradation leaves, whose grey scale stays."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_commands import Bundle
from mri_dagan.phantoms import write_dagan
from mri_dagan.simulation import AnyUndersampling, DegradedMr

from common.data.layouts.data_sets import find_cases
from common.errors import ConfigError
from common.simulation.corruptions.undersampling import Undersampled
from common.simulation.mr_contrasts import T1
from common.simulation.simulate import AverageHeads, MrPair

SPACING = 5.0
BUNDLE = Bundle("mri_dagan")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantoms") / "heads"
    write_dagan(root, 2, SPACING, 7)
    return root


def voxels(root: Path, name: str, case: int = 0) -> np.ndarray:
    return np.asarray(nib.load(root / f"phantom_00{case}" / f"{name}.nii.gz").dataobj).astype(float)


def test_cases_have_four_sources_a_target_and_regions(written: Path) -> None:
    cases = find_cases(written, "folders", "zero_filled", "mr")
    assert [case["case"] for case in cases] == ["phantom_000", "phantom_001"]
    assert cases[0].keys() == {"case", "patient", "image", "label", "mask", "lesion"}
    assert json.loads((written / "dataset.json").read_text())["acceleration"] == 4
    inside = voxels(written, "mask") > 0
    truth = voxels(written, "mr")
    for name in ("zero_filled", "thick", "noisy"):
        volume = voxels(written, name)
        assert 0.02 < np.abs(volume - truth)[inside].mean() / truth[inside].mean() < 0.5, name
        assert volume[inside].mean() == pytest.approx(truth[inside].mean(), rel=0.05), name
    lesion = voxels(written, "lesion") > 0
    assert truth[lesion].mean() > np.median(truth[inside])


def test_all_cases_share_the_lines_of_k_space(written: Path) -> None:
    scan = Undersampled("cartesian", 4)
    for case in (0, 1):
        expected = scan(voxels(written, "mr", case), [SPACING] * 3, np.random.default_rng(0))
        np.testing.assert_allclose(voxels(written, "zero_filled", case), expected, atol=2)  # of integers, near 1000


def test_seven_times_the_input_gives_seven_times_the_output(written: Path, tmp_path: Path) -> None:
    small = {"depth": 2, "width": 4, "device": torch.device("cpu")}
    parser = BUNDLE.parser("inference", "demo", **small)
    network = parser.get_parsed_content("network").eval()
    torch.manual_seed(0)
    torch.nn.init.normal_(network.unet.decoder[-1][1].weight, std=0.1)
    prepare, restore = (parser.get_parsed_content(name) for name in ("preprocessing", "postprocessing"))
    source = nib.load(written / "phantom_000" / "zero_filled.nii.gz")
    made = []
    for factor in (1, 7):
        path = tmp_path / f"{factor}.nii.gz"
        nib.save(nib.Nifti1Image(source.get_fdata(dtype=np.float32) * factor, source.affine), path)
        item = prepare({"case": "a", "image": str(path)})
        item["pred"] = parser.get_parsed_content("inferer")(item["image"][None], network)[0]
        made.append(np.asarray(restore(item)["pred"])[0])
    assert np.abs(made[0] - source.get_fdata()).max() > 1, "the network changes the source"
    np.testing.assert_allclose(made[1], 7 * made[0], rtol=1e-4, atol=1e-2)


HEADS = AverageHeads(spacings_mm=(6.0,), turn_probability=0)


def test_the_target_is_the_scan_and_the_source_the_same_degraded() -> None:
    seen = []

    def halved(volume, spacing, rng):
        seen.append((volume, spacing))
        return volume / 2

    case = DegradedMr(T1, halved, heads=HEADS)(3)
    scan = MrPair(T1, T1, heads=HEADS)(3)
    np.testing.assert_array_equal(case["label"], scan["image"])
    np.testing.assert_array_equal(case["image"], scan["image"] / 2)
    np.testing.assert_array_equal(case["mask"], scan["mask"])
    np.testing.assert_array_equal(seen[0][1], scan["spacing"])


def test_a_case_is_a_function_of_its_seed() -> None:
    simulate = DegradedMr(T1, AnyUndersampling(), heads=HEADS)
    first, again, other = simulate(1), simulate(1), simulate(2)
    np.testing.assert_array_equal(first["image"], again["image"])
    assert first["image"].shape != other["image"].shape or not np.array_equal(first["image"], other["image"])


def test_an_acceleration_and_noise_of_one_value_are_those_of_plain_undersampling() -> None:
    """After the three numbers that are drawn: kind of mask, acceleration, noise."""
    volume = np.random.default_rng(0).random((40, 24, 3)).astype(np.float32)
    made = AnyUndersampling(("equispaced",), (4, 4), (0.01, 0.01))(volume, [1, 1, 1], np.random.default_rng(5))
    rng = np.random.default_rng(5)
    rng.choice(["equispaced"])
    rng.random(2)
    np.testing.assert_array_equal(made, Undersampled("equispaced", 4, noise=0.01)(volume, [1, 1, 1], rng))


def test_ends_of_a_range_that_are_swapped_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"acceleration is \[9, 3\], not a range \[low, high\]"):
        AnyUndersampling(acceleration=(9, 3))(np.ones((8, 8, 2), np.float32), [1, 1, 1], np.random.default_rng(0))
