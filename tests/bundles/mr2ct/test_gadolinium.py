"""The overlay that synthesises a full dose of gadolinium: its phantoms, loss, classical answer, scores and a run."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from bundle_commands import TINY, Bundle, ok
from mr2ct_pix2pix.gadolinium import (
    NOISE,
    ScaledDifference,
    contrast_weighted_l1,
    enhancement_scores,
    image_scores,
    snr_ratio,
    write_gadolinium,
)
from mr2ct_pix2pix.networks import EnhancementUNet

from common.errors import DataError
from common.simulation.mr import T1_WHITE

BUNDLE = Bundle("mr2ct_pix2pix")
SMALL = {**TINY, "width": 2, "crop_size": 32, "pad_size": 48}


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("gadolinium") / "data"
    write_gadolinium(root, cases=4, spacing=5.0, seed=7, dose=0.1)
    return root


@pytest.fixture(scope="module")
def run(scans, tmp_path_factory) -> Path:
    """A training of a few steps."""
    folder = tmp_path_factory.mktemp("gadolinium_run")
    ok(BUNDLE.run("training", ["train", "gadolinium"], dataset_dir=scans, output_dir=folder, **SMALL))
    return folder


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.Nifti1Image.from_filename(path).dataobj, dtype=np.float64)


def test_scans_share_a_scale_and_differ_by_the_agent_and_their_own_noise(scans):
    assert json.loads((scans / "dataset.json").read_text())["dose"] == 0.1
    for case in sorted(scans.glob("phantom_*")):
        pre, low, full, white, tumour, vessel = (
            voxels(case / f"{name}.nii.gz") for name in ("pre", "low", "full", "nawm", "lesion", "vessel")
        )
        white, enhancing = white > 0, (tumour > 0) | (vessel > 0)
        for after in (low, full):  # white matter has a blood-brain barrier
            assert abs(np.median((after - pre)[white])) < 0.01 * T1_WHITE
            assert (after - pre)[white].std() == pytest.approx(2**0.5 * NOISE * T1_WHITE, rel=0.15)
        assert 0 < np.mean((low - pre)[enhancing]) < 0.5 * np.mean((full - pre)[enhancing])
        assert (tumour > 0).any()


def test_a_command_refuses_a_dose_above_1_before_it_reads_data(tmp_path):
    done = BUNDLE.run("training", ["train", "gadolinium"], dataset_dir=tmp_path / "missing", dose=1.5)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "error: --dose is 1.5, not above 0 to 1: give the fraction of the full dose, such as 0.1"
    )


def test_a_case_without_the_scan_before_the_agent_is_named(scans, tmp_path):
    for case in scans.glob("phantom_*"):
        (tmp_path / case.name).symlink_to(case)
    (tmp_path / "phantom_001").unlink()
    (tmp_path / "phantom_001").mkdir()
    for name in ("low", "full", "mask"):
        (tmp_path / "phantom_001" / f"{name}.nii.gz").symlink_to(scans / "phantom_001" / f"{name}.nii.gz")
    done = BUNDLE.run("training", ["train", "gadolinium"], dataset_dir=tmp_path, output_dir=tmp_path / "run", **SMALL)
    assert done.returncode == 2
    assert "phantom_001" in done.stderr.splitlines()[-1]
    assert "pre" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_the_classical_answer_divides_the_difference_by_the_dose():
    low, pre = np.full((2, 2, 2), 12.0), np.full((2, 2, 2), 10.0)
    np.testing.assert_allclose(ScaledDifference(0.1)(np.stack([low, pre], -1)), 30)
    np.testing.assert_allclose(ScaledDifference(0.1, smoothing=1.0)(np.stack([low, pre], -1)), 30)
    with pytest.raises(DataError, match=r"the source has shape \(2, 2, 2\), not two channels"):
        ScaledDifference(0.1)(low)


def test_the_loss_weighs_pixels_by_their_enhancement():
    """Before 0, target 0.5 in the first image alone: weights 1 + 2 * 0.5 and 1 of the errors 0.2 and 0.1."""
    image = torch.full((2, 6, 4, 4), 9.0)
    image[:, 4] = 0  # the middle slice of the second channel
    target = torch.tensor([0.5, -1.0]).reshape(2, 1, 1, 1).expand(2, 1, 4, 4)
    prediction = target + torch.tensor([0.2, -0.1]).reshape(2, 1, 1, 1)
    assert contrast_weighted_l1(prediction, target, image, 2.0).item() == pytest.approx((2 * 0.2 + 0.1) / 3)
    assert contrast_weighted_l1(prediction, target, image, 0.0).item() == pytest.approx(0.15)


def test_the_noise_in_white_matter_is_relative_to_the_real_one():
    pattern = np.where(np.indices((8, 8, 8)).sum(0) % 2, 1.0, -1.0)
    white = np.zeros((8, 8, 8))
    white[1:7, 1:7, 1:7] = 1
    assert snr_ratio(100 + 4 * pattern, 100 + pattern, white, np.eye(4))["snr_ratio"] == pytest.approx(0.25)


def test_contrast_and_false_enhancement_are_relative_to_the_tumour():
    """A tumour of 27 voxels that gains 100; the prediction gives it 80, 4 voxels 50 and 1 voxel that is enhanced 60."""
    before, tumour, vessel = np.full((20, 20, 20), 200.0), np.zeros((20, 20, 20)), np.zeros((20, 20, 20))
    tumour[9:12, 9:12, 9:12] = 1
    vessel[0, 0, :3] = 1
    truth = before + 100 * tumour
    truth[0, 5, 0] += 25
    pred = before + 80 * tumour
    pred[0, 0, :7] += 50  # three of them in vessels
    pred[0, 5, 0] += 60
    channels = np.stack([before, before], -1)
    scores = enhancement_scores(pred, truth, np.ones_like(before), channels, tumour, vessel, np.eye(4))
    assert scores["contrast_error"] == pytest.approx(0.2)
    assert scores["false_enhancement"] == pytest.approx(1000 * 4 / (20**3 - 27 - 3))
    none = enhancement_scores(pred, truth, np.ones_like(before), channels, np.zeros_like(before), vessel, np.eye(4))
    assert np.isnan(list(none.values())).all()


def test_the_network_adds_an_enhancement_to_the_middle_slice_before_the_agent():
    network = EnhancementUNet(neighbours=3, width=2, dose=0.1)
    torch.nn.init.zeros_(network.unet.final_conv.weight)
    torch.nn.init.constant_(network.unet.final_conv.bias, 0.25)
    slabs = torch.arange(6.0).reshape(1, 6, 1, 1).expand(1, 6, 16, 16)  # low dose 0, 1, 2, before it 3, 4, 5
    torch.testing.assert_close(network(slabs), torch.full((1, 1, 16, 16), 4.25))


def test_an_inference_from_the_low_dose_alone_is_refused(scans, run):
    alone = scans / "phantom_000" / "low.nii.gz"
    done = BUNDLE.run("inference", ["inference"], output_dir=run, dataset_dir=alone)
    assert done.returncode in (1, 2)
    assert "the source has 1 channel(s), not the low dose and the scan before the agent" in done.stderr


def test_the_network_sees_the_difference_over_the_dose():
    """A low dose 0.1 above the scan before is 1 at a dose of 0.1, as a difference of 0.5 at half of the dose."""
    torch.manual_seed(0)
    tenth, half = (EnhancementUNet(neighbours=1, width=8, dose=dose) for dose in (0.1, 0.5))
    half.load_state_dict(tenth.state_dict())
    before = torch.rand(1, 1, 16, 16)
    made = [network(torch.cat([before + dose, before], 1)) for network, dose in ((tenth, 0.1), (half, 0.5))]
    torch.testing.assert_close(*made, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(tenth(torch.cat([before + 0.5, before], 1)), made[0], atol=1e-5)


def test_an_evaluation_compares_with_the_low_dose_and_both_classical_answers(scans, run):
    ok(BUNDLE.run("evaluating", ["train", "evaluate", "gadolinium"], output_dir=run, dataset_dir=scans, width=2))
    rows = pd.read_csv(run / "evaluation" / "metrics.csv").set_index("method")
    assert list(rows.index) == ["model", "copy_input", "scaled", "scaled_smoothed"]
    case = scans / rows.loc["model", "case"]
    pre, low, full, mask = (voxels(case / f"{name}.nii.gz") for name in ("pre", "low", "full", "mask"))
    for method, volume in (("copy_input", low), ("scaled", pre + 10 * (low - pre))):
        assert rows.loc[method, "mae"] == pytest.approx(image_scores(volume, full, mask)["mae"], rel=1e-5)
    assert rows.loc["scaled", "snr_ratio"] < 0.2 < rows.loc["scaled_smoothed", "snr_ratio"]


def test_inference_writes_on_the_scale_of_the_scans(scans, run):
    """The prediction of the evaluation, in whole grey values: the training's folder brings the way back to it."""
    ok(BUNDLE.run("inference", ["inference"], output_dir=run, dataset_dir=scans))
    rows = pd.read_csv(run / "evaluation" / "metrics.csv").set_index("method")
    case = scans / rows.loc["model", "case"]
    made = voxels(run / "predictions" / f"{case.name}_synthetic_full_dose.nii.gz")
    mask, full = voxels(case / "mask.nii.gz") > 0, voxels(case / "full.nii.gz")
    assert rows.loc["model", "mae"] == pytest.approx(np.abs(made - full)[mask].mean(), abs=0.5)
