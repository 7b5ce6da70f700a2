"""Perfusion of DSC MR: deconvolution by hand, oSVD, the phantom's areas, the network's input, and a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from bundle_commands import TINY, Bundle, ok
from monai.data import MetaTensor
from mri_dagan.dsc import (
    BASELINE,
    OSCILLATION,
    PLASMA,
    THRESHOLDS,
    Deconvolution,
    PerfusionInputd,
    arterial_input,
    deconvolved,
    least_oscillating,
    oscillation,
    perfusion,
    perfusion_scores,
    relaxation,
)
from mri_dagan.dsc_phantoms import BLOOD, FINE, bolus, tissue_curves, write_dsc
from mri_dagan.networks import PerfusionNetwork

from common.errors import ConfigError, DataError

BUNDLE = Bundle("mri_dagan")
TIMES = np.arange(60.0)
ARTERY = BLOOD * bolus(TIMES, 8.0, 1.5)


def box(flow: float, transit: int, delay: int, artery: np.ndarray = ARTERY) -> np.ndarray:
    """Tissue (1, T) whose residue is 1 at ``transit`` points of 1 s, by a sum of shifted arteries."""
    shifted = [np.roll(artery, delay + step) for step in range(transit)]
    return flow / 6000 / PLASMA * np.sum(shifted, axis=0)[None]


@pytest.mark.parametrize("delay", [-3, 0, 4])
def test_a_box_without_noise_has_its_flow_volume_and_delay(delay: int) -> None:
    """Exactly, where no singular value is left out, whether the agent comes before or after that of the artery."""
    tissue = box(60, 4, delay)
    found = perfusion(tissue, ARTERY, deconvolved(tissue, ARTERY, 1.0, 0.0), 1.0)
    assert {name: float(value[0]) for name, value in found.items() if name != "tmax"} == pytest.approx(
        {"cbf": 60, "cbv": 4, "mtt": 4}, rel=1e-6
    )
    assert delay <= found["tmax"][0] < delay + 4


@pytest.mark.parametrize(("method", "bound"), [(partial(deconvolved, threshold=0.1), 0.45), (least_oscillating, 0.2)])
def test_thresholds_lower_a_flow_within_bounds_and_alike_at_every_delay(method: Callable, bound: float) -> None:
    tissues = [box(60, 6, delay) for delay in (-2, 0, 3)]
    found = [perfusion(tissue, ARTERY, method(tissue, ARTERY, 1.0), 1.0)["cbf"][0] for tissue in tissues]
    assert found == pytest.approx([found[0]] * 3, rel=1e-6)
    assert found[0] == pytest.approx(60, rel=bound)


def test_the_oscillation_of_one_point_by_hand() -> None:
    # Second differences of 0, 2, 0, 0: -4 and 2; over the maximum, 2, and the 4 points.
    assert oscillation(np.array([[0.0, 2, 0, 0]]))[0] == pytest.approx(6 / 2 / 4)


def test_the_lowest_threshold_within_the_limit_is_taken() -> None:
    rng = np.random.default_rng(3)
    tissue = np.concatenate([box(30, transit, 1) for transit in (3, 6, 12)]) + rng.normal(0, 0.5, (3, 60))
    chosen = least_oscillating(tissue, ARTERY, 1.0)
    each = np.stack([deconvolved(tissue, ARTERY, 1.0, threshold) for threshold in THRESHOLDS])
    for number in range(3):
        first = int(np.flatnonzero([oscillation(rows)[number] <= OSCILLATION for rows in each])[0])
        assert first > 0
        np.testing.assert_allclose(chosen[number], each[first, number])


def test_signal_to_relaxation_by_hand() -> None:
    series = np.array([100.0] * BASELINE + [100 * np.exp(-0.6), 0.0])
    np.testing.assert_allclose(relaxation(series, 0.03)[:6], [0] * BASELINE + [20], atol=1e-12)
    assert np.isfinite(relaxation(series, 0.03)).all()
    with pytest.raises(DataError, match="the series has 5 time points, no more than the 5 before the bolus"):
        relaxation(series[:5], 0.03)


@pytest.mark.parametrize("is_box", [True, False])
def test_areas_of_phantom_curves_are_its_volumes(is_box: bool) -> None:
    fine = np.arange(round(300 / FINE)) * FINE
    artery = BLOOD * bolus(fine, 8.0, 1.5)
    assert artery.max() == pytest.approx(BLOOD, rel=1e-3)
    tissue = tissue_curves(artery, FINE, *map(np.array, (45.0, 8.0, 2.0, is_box)))
    assert 100 * PLASMA * tissue.sum() / artery.sum() == pytest.approx(45 * 8 / 60, rel=0.01)
    # The agent arrives 2 s after that of the artery.
    begun = [fine[curve > 1e-7 * curve.max()][0] for curve in (artery, tissue)]
    assert begun[1] - begun[0] == pytest.approx(2.0, abs=0.3)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dsc") / "data"
    write_dsc(root, cases=4, seed=2)
    return root


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj, dtype=np.float64)


def test_the_artery_is_not_found_in_the_air_and_needs_a_bolus(scans: Path) -> None:
    series = voxels(scans / "phantom_000" / "dsc.nii.gz")
    artery = arterial_input(series, 0.03, 0.1)
    stripped = np.pad(series, ((24, 24), (24, 24), (0, 0), (0, 0)))
    assert np.abs(arterial_input(stripped, 0.03, 0.1) - artery).mean() < 0.03 * BLOOD
    assert not relaxation(stripped, 0.03)[0].any()
    before = np.concatenate([series[..., :BASELINE]] * 2, axis=-1)
    with pytest.raises(DataError, match=r"^the series shows no bolus, .* falls by less than 20%: give a whole DSC"):
        arterial_input(before, 0.03, 0.1)


def test_the_classical_maps_are_nearer_to_the_truth_than_their_mean(scans: Path) -> None:
    ratios = json.loads((scans / "dataset.json").read_text())["snr"]
    case = scans / max(ratios, key=ratios.__getitem__)
    series, mask = (voxels(case / f"{name}.nii.gz")[:, :, :1] for name in ("dsc", "mask"))
    for name in ("cbf", "cbv", "mtt"):  # Tmax of a box is anywhere in it
        truth = voxels(case / f"{name}.nii.gz")[:, :, :1]
        found = Deconvolution(name, None, 0.03, 1.0, 0.1)(series)
        spread = np.abs(truth - truth[mask > 0].mean())[mask > 0].mean()
        assert perfusion_scores(found, truth, mask)["mae"] < 0.8 * spread, name
    with pytest.raises(ConfigError, match="--target is 'ct': choose"):
        Deconvolution("ct", None, 0.03, 1.0, 0.1)


def test_scores_by_hand() -> None:
    truth, mask = np.array([[[10.0, 20, 90]]]), np.array([[[1, 1, 0]]])
    assert perfusion_scores(np.array([[[12.0, 16, 0]]]), truth, mask) == {"mae": 3.0, "bias": -1.0}


def test_the_network_sees_each_pixel_and_the_artery(scans: Path) -> None:
    series = voxels(scans / "phantom_000" / "dsc.nii.gz")
    path = str(scans / "phantom_000" / "dsc.nii.gz")
    image = MetaTensor(torch.from_numpy(np.moveaxis(series, -1, 0).astype(np.float32)), meta={"filename_or_obj": path})
    step = PerfusionInputd(0.03, 0.1, "cbf", "ml/100g/min")
    given = step({"image": image})["image"]
    assert given.shape == (120, 48, 48, 4)
    assert step.channels_after(60) == 120
    np.testing.assert_allclose(given[:60, 20, 30, 1] * 20, relaxation(series[20, 30, 1], 0.03), atol=1e-3)
    np.testing.assert_allclose(given[60:, 5, 40, 2] * 20, arterial_input(series, 0.03, 0.1) * 0.1, atol=1e-3)
    torch.manual_seed(0)
    network, one = PerfusionNetwork(120, 8), given[None, ..., 0].as_tensor()
    torch.testing.assert_close(network(one)[..., 3:4, 7:8], network(one[..., 3:4, 7:8]))


def test_a_map_is_not_trained_in_the_unit_of_another() -> None:
    with pytest.raises(ConfigError, match=r"^--target mtt is in s, but --output::unit is ml/100g/min: pass"):
        PerfusionInputd(0.03, 0.1, "mtt", "ml/100g/min")


@pytest.mark.parametrize(
    ("step", "unit", "told"), [(2000, "msec", "2"), (1.5, "sec", "1.5"), (1.004, "sec", ""), (2, "unknown", "")]
)
def test_a_series_with_another_time_step_than_the_network_was_trained_with_is_refused(
    scans: Path, tmp_path: Path, step: float, unit: str, told: str
) -> None:
    """As its header has it, in its unit of time; one without a unit, as nibabel makes it, says nothing."""
    scan = nib.load(scans / "phantom_000" / "dsc.nii.gz")
    scan.header.set_xyzt_units("mm", unit)
    scan.header["pixdim"][4] = step
    nib.save(scan, path := tmp_path / "dsc.nii.gz")
    image = MetaTensor(torch.from_numpy(np.moveaxis(scan.get_fdata(), -1, 0)), meta={"filename_or_obj": str(path)})
    change = PerfusionInputd(0.03, 0.1, interval=1.0)
    if not told:
        assert change({"image": image})["image"].shape[0] == 120
        return
    fault = (
        rf"^dsc.nii.gz has a time point every {told} s, not 1 s: resample it in time, or train with --interval {told}"
    )
    with pytest.raises(DataError, match=fault):
        change({"image": image})


def test_a_run_scores_both_classical_answers_and_writes_the_unit(scans: Path, tmp_path: Path) -> None:
    ok(BUNDLE.run("training", ["train", "dsc"], dataset_dir=scans, output_dir=tmp_path, width=4, **TINY))
    ok(BUNDLE.run("evaluating", ["train", "evaluate", "dsc"], dataset_dir=scans, output_dir=tmp_path, width=4))
    rows = pd.read_csv(tmp_path / "evaluation" / "metrics.csv")
    assert set(rows["method"]) == {"model", "linear_fit", "osvd", "csvd"}
    assert rows[rows["method"] == "osvd"]["mae"].mean() < rows[rows["method"] == "linear_fit"]["mae"].mean()
    series = np.pad(voxels(scans / "phantom_001" / "dsc.nii.gz"), ((40, 40), (0, 0), (0, 0), (0, 0)))
    nib.save(nib.nifti1.Nifti1Image(series.astype(np.float32), np.eye(4)), case := tmp_path / "dsc.nii.gz")
    places = {"dataset_dir": case, "output_dir": tmp_path, "predictions_dir": tmp_path / "made"}
    ok(BUNDLE.run("inference", ["inference"], **places, **{"reader::channels": 60}))
    (about,) = (json.loads(path.read_text()) for path in (tmp_path / "made").glob("*_synthetic_perfusion.json"))
    assert (about["Unit"], about["SyntheticData"]) == ("ml/100g/min", True)
    (made,) = (tmp_path / "made").glob("*.nii.gz")
    assert voxels(made).shape == (128, 48, 4)
