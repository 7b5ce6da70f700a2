"""Weights, and a calibration of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.trust.intervals import Interval
from common.trust.record import TrustRecord
from common.trust.verdict import Usual, VerdictLimits
from common.weights import checkpoints

TILT = "tilt of the head, a"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def record(weights: Path) -> TrustRecord:
    """Air and bone have constant half-widths of 50 and 80 HU, soft tissue has 5 HU + 2 x spread.

    Calibration cases have an MAE of 100 HU, up to 120 in 90 % of them; tilts of 0 +- 0.1 are usual, look from three
    deviations, refuse from six.
    """
    intervals = {"air": Interval(50.0, 0.0, 9), "soft": Interval(5.0, 2.0, 9), "bone": Interval(80.0, 0.0, 9)}
    deviations, baselines = {"review": 3.0, "refuse": 6.0}, {"best constant": 200.0}
    limits = VerdictLimits({TILT: Usual(0.0, 0.1)}, deviations, 100.0, 120.0, baselines)
    inference = {"mirrored": [], "steps": [], "mode": []}
    sha256 = checkpoints.sha256(weights)
    return TrustRecord(sha256, "HU", ["a"], ["f" * 64], inference, 0.9, 0.9, intervals, [], limits)
