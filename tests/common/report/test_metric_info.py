import numpy as np
import pytest

from common.report.metric_info import MetricInfo, metric_info


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("mae", "lower"), ("mae_bone", "lower"), ("bone_dice", "higher"), ("val_ms_ssim", "higher"),
        ("bias_soft", "ideal"), ("slice_jumps", "ideal"), ("contrast", "unknown"), ("generator_l1", "unknown"),
    ],
)  # fmt: skip
def test_direction_by_name(name, direction):
    assert metric_info(name).direction == direction


def test_own_direction_comes_first():
    own = {"contrast": MetricInfo("ideal", "", 0.8)}
    assert metric_info("lesion_contrast", own).arrow == "→ 0.8"
    assert metric_info("mae", {"mae": MetricInfo("higher")}).direction == "higher"


def test_badness_falls_as_the_metric_improves():
    values = np.array([0.5, 1.25, 2.0])
    assert metric_info("mae").badness(values).tolist() == [0.5, 1.25, 2.0]
    assert metric_info("psnr").badness(values).tolist() == [-0.5, -1.25, -2.0]
    assert metric_info("sharpness").badness(values).tolist() == [0.5, 0.25, 1.0]
