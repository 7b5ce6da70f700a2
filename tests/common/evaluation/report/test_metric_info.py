import numpy as np
import pytest

from common.evaluation.report.metric_info import MetricInfo, metric_info


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


def test_own_direction_comes_first():
    own = {"contrast": MetricInfo("ideal", "", 0.8)}
    assert metric_info("lesion_contrast", own).arrow == "→ 0.8"
    assert metric_info("mae", {"mae": MetricInfo("higher")}).direction == "higher"


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("mse", "{unit}²"), ("psnr_nie", "dB"), ("nawm_error", "{unit}"), ("lesion_contrast", ""), ("bone_dice", ""),
        ("psnr_peak", "dB"), ("peak_truth", "{unit}"), ("attenuation_mae", ""), ("attenuation_p95", "%"),
        ("acf_bias", "%"), ("attenuation_error_classes", "%"),
    ],
)  # fmt: skip
def test_unit_by_name(name, unit):
    assert metric_info(name).unit == unit


def test_meaning_explains_what_the_name_does_not():
    expected = "mean absolute difference in the white matter of cases without lesions; lower is better"
    assert metric_info("control_wm_error").meaning == expected
    assert metric_info("lesion_contrast").meaning.endswith("; best as in the truth; no better direction")
    assert metric_info("mae").meaning == "mean of |synthetic − truth|; lower is better"
    assert MetricInfo("ideal", "", 1.0, "a ratio").meaning == "a ratio; best at 1"


def test_badness_falls_as_the_metric_improves():
    values = np.array([0.5, 1.25, 2.0])
    assert metric_info("mae").badness(values).tolist() == [0.5, 1.25, 2.0]
    assert metric_info("psnr").badness(values).tolist() == [-0.5, -1.25, -2.0]
    assert metric_info("sharpness").badness(values).tolist() == [0.5, 0.25, 1.0]
