import numpy as np
import pytest

from common.evaluation.report.metric_info import metric_info


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("mae", "lower"), ("mae_bone", "lower"), ("bone_dice", "higher"), ("val_ms_ssim", "higher"),
        ("bias_soft", "ideal"), ("slice_jumps", "ideal"), ("contrast", "unknown"), ("generator_l1", "unknown"),
        ("mse", "lower"), ("kid", "lower"), ("psnr_nie", "higher"), ("lesion_error", "lower"), ("nawm_error", "lower"),
        ("control_wm_error", "lower"), ("demyelination_dice", "higher"), ("lesion_contrast_truth", "unknown"),
        ("psnr_peak", "higher"), ("peak_truth", "unknown"), ("attenuation_error", "lower"),
        ("attenuation_bias", "ideal"), ("acf_error", "lower"), ("attenuation_error_water", "unknown"),
        ("skull_thickness_error", "lower"), ("sdr", "unknown"), ("sdr_error", "lower"),
        ("acf_error_classes", "unknown"),
    ],
)  # fmt: skip
def test_direction_by_name(name, direction):
    assert metric_info(name).direction == direction


def test_badness_falls_as_the_metric_improves():
    values = np.array([0.5, 1.25, 2.0])
    assert metric_info("mae").badness(values).tolist() == [0.5, 1.25, 2.0]
    assert metric_info("psnr").badness(values).tolist() == [-0.5, -1.25, -2.0]
    assert metric_info("sharpness").badness(values).tolist() == [0.5, 0.25, 1.0]
