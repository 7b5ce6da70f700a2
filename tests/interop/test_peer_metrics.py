"""Our measures on the same arrays as those of ldct-benchmark, fastMRI, SynthRAD2025, torch-fidelity and clean-fid."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from ldct_wgan_vgg.quality import windowed_scores
from mri_dagan.scores import fastmri_scores

from common.metrics import score
from common.metrics.kid import kid
from medical_image_synthesis.benchmark.prepare import random_lines
from medical_image_synthesis.benchmark.recipe import read_recipe

pytestmark = [pytest.mark.slow, pytest.mark.longest]
HERE = Path(__file__).parent
ENVIRONMENT = Path(os.environ.get("INTEROP_VENV", HERE.parents[1] / "build" / "interop-venv")).absolute()
SYNTHRAD = os.environ.get("SYNTHRAD_EVALUATION", "")
"""Folder with the organisers' image_metrics.py; without it their row is skipped."""
CLOSE = 1e-6


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    """A CT of textures from air to beyond 3000 HU, slices of a square MR, and features."""
    rng = np.random.default_rng(0)
    steps = rng.integers(-1024, 3400, (14, 13, 12)).repeat(8, 0).repeat(8, 1).repeat(9, 2).astype(float)
    truth = steps + rng.normal(0, 30, steps.shape)
    mask = np.zeros(truth.shape, np.uint8)
    mask[5:-9, 7:-6, 8:-5] = 1
    mr = rng.uniform(0, 3, (5, 32, 32))
    return {
        "ct_truth": truth,
        "ct_pred": truth + rng.normal(0, 80, truth.shape),
        "ct_mask": mask,
        "mr_truth": mr,
        "mr_pred": mr + rng.normal(0, 0.2, mr.shape),
        "one": rng.normal(size=(40, 16)),
        "other": rng.normal(0.2, 1, (40, 16)),
    }


@pytest.fixture(scope="module")
def peers(arrays: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    if not (ENVIRONMENT / ".ready").is_file():
        pytest.skip(f"no environment with other projects at {ENVIRONMENT}: make interop-test installs it")
    folder = tmp_path_factory.mktemp("peers")
    np.savez(folder / "arrays.npz", **arrays)
    words = [str(ENVIRONMENT / "bin" / "python"), "-W", "ignore", str(HERE / "peer_metrics.py")]
    words += [str(folder / "arrays.npz"), str(folder / "answers.json"), *([SYNTHRAD] if SYNTHRAD else [])]
    own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": "", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(words, env=os.environ | own, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((folder / "answers.json").read_text())
    print(json.dumps(found["versions"]))
    return found


def across(volume: np.ndarray) -> np.ndarray:
    """Slices (Z, Y, X) as a volume (X, Y, Z)."""
    return np.ascontiguousarray(volume.T)


@pytest.mark.parametrize(("exam", "part"), [("C", "thorax"), ("L", "abdomen"), ("N", "head")])
def test_ldct_benchmark(exam: str, part: str, arrays, peers) -> None:
    ours = windowed_scores(across(arrays["ct_pred"]), across(arrays["ct_truth"]), np.eye(4), part)
    theirs = peers["ldct-benchmark"]
    assert ours["psnr_window"] == pytest.approx(theirs[f"PSNR {exam}"], abs=CLOSE)
    assert ours["ssim_window"] == pytest.approx(theirs[f"SSIM {exam}"], abs=CLOSE)


def test_fastmri_metrics(arrays, peers) -> None:
    ours = fastmri_scores(across(arrays["mr_pred"]), across(arrays["mr_truth"]), np.diag([0.5, 0.5, 3, 1]))
    names = {"nmse": "nmse", "psnr": "psnr_volume", "ssim": "ssim_slices"}
    assert {name: ours[own] for name, own in names.items()} == pytest.approx(
        {name: peers["fastmri"][name] for name in names}, abs=CLOSE
    )


@pytest.mark.parametrize(("speed", "middle"), [(4, 0.08), (8, 0.04)])
def test_fastmri_lines(speed: int, middle: float, peers) -> None:
    ours = np.flatnonzero(random_lines(368, speed, middle, "file1000000.h5"))
    assert ours.tolist() == peers["fastmri"][f"lines {speed}"]


@pytest.mark.parametrize("peer", ["torch-fidelity", "clean-fid"])
def test_kid(peer: str, arrays, peers) -> None:
    ours = kid(torch.from_numpy(arrays["one"]), torch.from_numpy(arrays["other"]))
    assert ours == pytest.approx(peers["kid"][peer], abs=CLOSE)


def test_synthrad2025(arrays, peers) -> None:
    if "synthrad" not in peers:
        pytest.skip("no SYNTHRAD_EVALUATION, a clone of github.com/SynthRAD2025/evaluation")
    low, high = read_recipe("synthrad2025_mr").evaluation["value_range"]
    ours = score(*(across(arrays[f"ct_{name}"]) for name in ("pred", "truth", "mask")), (low, high))
    assert {name: ours[name] for name in ("mae", "psnr", "ms_ssim")} == pytest.approx(peers["synthrad"], abs=CLOSE)
