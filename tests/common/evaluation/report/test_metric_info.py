import numpy as np
import pytest

from common.evaluation.report.metric_info import metric_info


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("mae", "lower"), ("mae_bone", "lower"), ("bone_dice", "higher"), ("val_ms_ssim", "higher"),
        ("bias_soft", "ideal"), ("contrast", "unknown"), ("generator_l1", "unknown"), ("demyelination_dice", "higher"),
        ("lesion_contrast_truth", "unknown"), ("sdr", "unknown"), ("sdr_error", "lower"), ("psnr_peak", "higher"),
        ("peak_truth", "unknown"), ("attenuation_error", "lower"), ("attenuation_error_water", "unknown"),
    ],
)  # fmt: skip
def test_direction_by_name(name, direction):
    assert metric_info(name).direction == direction


def test_badness_falls_as_the_metric_improves():
    values = np.array([0.5, 1.25, 2.0])
    assert metric_info("mae").badness(values).tolist() == [0.5, 1.25, 2.0]
    assert metric_info("psnr").badness(values).tolist() == [-0.5, -1.25, -2.0]
    assert metric_info("sharpness").badness(values).tolist() == [0.5, 0.25, 1.0]
