"""Scans and weights with which a call of a model takes half a second."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from common.config import read_config
from common.raw_settings import settings_of
from common.simulation.ct import render_ct
from common.simulation.head import head_anatomy
from common.simulation.mr import render_t1
from common.trust.intervals import Interval
from common.trust.record import TrustRecord
from common.trust.verdict import Usual, VerdictLimits
from common.weights import checkpoints, info
from medical_image_synthesis import SynthesisModel, load
from medical_image_synthesis.catalogue import bundle_named

NETWORKS: dict[str, dict[str, Any]] = {
    "mr2ct": {"depth": 3, "width": 4},
    "pd2t2": {"width": 4},
    "mri2pet": {"width": 4},
}

GAIN = {"mr2ct": 1, "pd2t2": 1, "mri2pet": 3}
"""Of the drawn weights, so that no volume is even."""


@pytest.fixture(scope="session")
def scans(once) -> Path:
    """A folder with a head at 4 mm, not to be changed: ``T1.nii.gz``, ``ct.nii.gz`` and ``mask.nii.gz``."""

    def write(folder: Path) -> None:
        folder.mkdir()
        anatomy = head_anatomy(3, 4.0)
        rng = np.random.default_rng(1)
        volumes = {"T1": render_t1(anatomy, rng), "ct": render_ct(anatomy, rng)}
        volumes["mask"] = (volumes["ct"] > -500).astype(np.float32)
        for name, values in volumes.items():
            nib.save(nib.Nifti1Image(values.astype(np.float32), anatomy.affine), folder / f"{name}.nii.gz")

    return once("scans_at_4_mm", write)


@pytest.fixture(scope="session")
def tiny_weights(once) -> Callable[[str], Path]:
    """Gives the file of random weights of a narrow network of a bundle."""

    def write(short: str, folder: Path) -> None:
        bundle = bundle_named(short)
        bundle.join_path()
        parser = read_config([bundle.config("train"), bundle.config("demo")], **NETWORKS[short])
        torch.manual_seed(0)
        network = parser.get_parsed_content("network_def")
        weights = {name: GAIN[short] * value for name, value in network.state_dict().items()}
        info.save(weights, folder / "model.pt", info.described(settings_of(parser), bundle.name))

    return lambda short: once(f"tiny_{short}", lambda folder: write(short, folder)) / "model.pt"


@pytest.fixture(scope="session")
def tiny_model(tiny_weights) -> Callable[..., SynthesisModel]:
    """Loads a bundle with such weights."""
    return lambda short, **settings: load(short, weights=tiny_weights(short), device="cpu", **settings)


def calibrated(tiny_weights, folder: Path, refuse: float) -> Path:
    """A copy of the weights with a calibration by which a case is refused that lies so many deviations off."""
    weights = folder / "weights" / "model.pt"
    shutil.copytree(tiny_weights("mr2ct").parent, weights.parent)
    usual = {"HU in the output, percentile 50": Usual(-2000.0, 100.0)}
    limits = VerdictLimits(usual, {"review": 1.0, "refuse": refuse}, 100.0, 120.0, {"best constant": 200.0})
    intervals = dict.fromkeys(("air", "soft", "bone"), Interval(50.0, 0.0, 9))
    TrustRecord(
        checkpoints.sha256(weights),
        "HU",
        [],
        [],
        {"mirrored": [], "steps": [], "mode": []},
        0.9,
        0.8,
        intervals,
        [],
        limits,
    ).write(weights)
    return weights
