import numpy as np
import pytest

from common.evaluation.report import Panel


@pytest.fixture
def panel():
    """3 x 4 x 5 voxels; truth 100, synthetic 130 but 60 in the centre voxel (1, 2, 2)."""
    truth = np.full((3, 4, 5), 100.0)
    synthetic = truth + 30
    synthetic[1, 2, 2] = 60
    return Panel(
        case="case_1", method="model", source=np.arange(60.0).reshape(3, 4, 5), synthetic=synthetic, truth=truth,
        spacing=(1.0, 2.0, 3.0), source_unit="a.u.", unit="HU", window=(0, 200),
    )  # fmt: skip
