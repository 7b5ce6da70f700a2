"""Name, direction, unit and definition of the metrics."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Direction = Literal["lower", "higher", "ideal", "unknown"]


@dataclass(frozen=True)
class MetricInfo:
    """Interpretation of a metric.

    Args:
        direction: ``lower`` or ``higher`` is better, ``ideal`` (best close to ``ideal``), or ``unknown``.
        unit: unit of the metric; ``{unit}`` stands for the unit of the target. Empty for a ratio.
        ideal: the best value if ``direction`` is ``ideal``.
        explanation: definition, if the name is not enough.
        name: plain name.
    """

    direction: Direction
    unit: str = ""
    ideal: float = 0.0
    explanation: str = ""
    name: str = ""

    @property
    def arrow(self) -> str:
        """Sign next to the metric's name: ↓, ↑, → 1 or nothing."""
        return {"lower": "↓", "higher": "↑", "ideal": f"→ {self.ideal:g}", "unknown": ""}[self.direction]

    @property
    def meaning(self) -> str:
        """Explanation, if any, and the arrow in words."""
        words = {"lower": "lower is better", "higher": "higher is better", "unknown": "no better direction"}
        arrow = words.get(self.direction, f"best at {self.ideal:g}")
        return f"{self.explanation}; {arrow}" if self.explanation else arrow

    def in_unit(self, unit: str) -> str:
        """Unit of the metric where the target has ``unit``."""
        return self.unit.replace("{unit}", unit)

    def badness(self, values: np.ndarray) -> np.ndarray:
        """Cost (lower is better) of values of any shape: the values, their negative, or their distance to the ideal."""
        if self.direction == "ideal":
            return np.abs(values - self.ideal)
        return -values if self.direction == "higher" else values


KNOWN = {
    "mae": MetricInfo("lower", "{unit}", name="Mean absolute error", explanation="mean of |synthetic − truth|"),
    "nmae": MetricInfo("lower", name="Relative error",
        explanation="mean absolute error over the 99.5th percentile of the truth inside the mask"),
    "mae_outside": MetricInfo("lower", "HU", name="Error outside the mask"),
    "tissue_outside": MetricInfo("lower", name="False tissue outside",
        explanation="share of the air outside the mask that was given more than -500 HU"),
    "mse": MetricInfo("lower", "{unit}²", name="Mean squared error", explanation="mean of (synthetic − truth)²"),
    "rmse": MetricInfo("lower", "{unit}", name="Root mean squared error",
        explanation="square root of the mean of (synthetic − truth)²"),
    "bias": MetricInfo("ideal", "{unit}", name="Bias", explanation="mean of synthetic − truth"),
    "vessel_removed": MetricInfo("unknown", "{unit}", name="Enhancement removed",
        explanation="mean of source − synthetic in the vessels"),
    "vessel_excess": MetricInfo("ideal", name="Enhancement left",
        explanation="share of the true enhancement that remains in the vessels; copying gives 1"),
    "psnr": MetricInfo("higher", "dB", name="Peak signal to noise ratio",
        explanation="20 log10(width of the value range / RMSE), after clipping to that range"),
    "psnr_nie": MetricInfo("higher", "dB", name="Peak signal to noise ratio (Nie)",
        explanation="20 log10(peak / RMSE), the peak being the larger maximum of prediction and truth"),
    "psnr_peak": MetricInfo("higher", "dB", name="Peak signal to noise ratio (true peak)",
        explanation="20 log10(peak / RMSE), unclipped, the peak being peak_truth"),
    "peak_truth": MetricInfo("unknown", "{unit}", name="Peak of the truth",
        explanation="maximum of the truth inside the mask"),
    "ssim": MetricInfo("higher", name="Structural similarity",
        explanation="SSIM: agreement of local mean, contrast and structure; 1 for identical images"),
    "ms_ssim": MetricInfo("higher", name="Structural similarity, 5 scales",
        explanation="MS-SSIM: structural similarity over five resolutions; 1 for identical images"),
    "vif": MetricInfo("higher", name="Visual information fidelity",
        explanation="VIF, pixel domain: share of the truth's information in slices that is left; 1 if identical"),
    "dice": MetricInfo("higher", name="Dice overlap",
        explanation="twice the common volume over the sum of both; alone, mean of TotalSegmentator's structures"),
    "hd95": MetricInfo("lower", "mm", name="Hausdorff distance, 95th percentile",
        explanation="between the surfaces of TotalSegmentator's structures; infinite where one is missing"),
    "tissue_dice": MetricInfo("higher", name="Tissue overlap",
        explanation="Dice overlap of what a segmenter of tissues finds in prediction and truth; heads only"),
    "tissue_hd95": MetricInfo("lower", "mm", name="Tissue distance",
        explanation="95th percentile Hausdorff distance of what a segmenter of tissues finds; heads only"),
    "attenuation_mae": MetricInfo("lower", name="Error of line integrals",
        explanation="mean of |d|, the line integral of attenuation at 511 keV through the head minus the true one"),
    "attenuation_error": MetricInfo("lower", "%", name="Relative error of line integrals",
        explanation="mean of |d| over the true line integral of attenuation at 511 keV"),
    "attenuation_p95": MetricInfo("lower", "%", name="Relative error of line integrals, 95th percentile",
        explanation="95th percentile of |d| over the true line integral of attenuation at 511 keV"),
    "attenuation_bias": MetricInfo("ideal", "%", name="Bias of line integrals",
        explanation="mean of d over the true line integral of attenuation at 511 keV"),
    "acf_error": MetricInfo("lower", "%", name="Error of attenuation correction",
        explanation="mean error of the factors exp(line integral) by which PET multiplies the counts of a line"),
    "acf_bias": MetricInfo("ideal", "%", name="Bias of attenuation correction",
        explanation="mean of synthetic − true factor, over the true one"),
    "attenuation_error_water": MetricInfo("unknown", "%", name="Relative error of line integrals, uniform water",
        explanation="attenuation_error of uniform water in place of the synthetic CT"),
    "attenuation_error_classes": MetricInfo("unknown", "%", name="Relative error of line integrals, four classes",
        explanation="attenuation_error of four classes of the true CT in place of the synthetic CT"),
    "acf_error_water": MetricInfo("unknown", "%", name="Error of attenuation correction, uniform water",
        explanation="acf_error of uniform water in place of the synthetic CT"),
    "acf_error_classes": MetricInfo("unknown", "%", name="Error of attenuation correction, four classes",
        explanation="acf_error of four classes of the true CT in place of the synthetic CT"),
    "skull_thickness_error": MetricInfo("lower", "mm", name="Error of skull thickness",
        explanation="mean of |synthetic − true| from outer to inner table, along 500 rays through the vault"),
    "skull_thickness_bias": MetricInfo("ideal", "mm", name="Bias of skull thickness",
        explanation="mean of synthetic − true from outer to inner table"),
    "skull_hu_error": MetricInfo("lower", "HU", name="Error of the skull's HU",
        explanation="mean of |synthetic − true| of the mean HU from outer to inner table"),
    "skull_hu_bias": MetricInfo("ideal", "HU", name="Bias of the skull's HU",
        explanation="mean of synthetic − true of the mean HU from outer to inner table"),
    "skull_porosity_error": MetricInfo("lower", name="Error of porosity",
        explanation="mean of |synthetic − true| of 1 − HU / 1000 from outer to inner table"),
    "skull_porosity_bias": MetricInfo("ideal", name="Bias of porosity",
        explanation="mean of synthetic − true of 1 − HU / 1000 from outer to inner table"),
    "sdr": MetricInfo("unknown", name="Skull density ratio",
        explanation="lowest HU of marrow over the mean of both tables' peaks, mean of rays; best as in the truth"),
    "sdr_truth": MetricInfo("unknown", name="Skull density ratio of the truth", explanation="sdr of the truth"),
    "sdr_error": MetricInfo("lower", name="Error of the skull density ratio", explanation="|sdr − sdr_truth|"),
    "skull_missed": MetricInfo("lower", name="Skull missed",
        explanation="share of the rays with a skull in the truth that meet none"),
    "skull_air_error": MetricInfo("lower", name="Error of air in the skull",
        explanation="share of rays with air between the tables in one CT alone"),
    "hfen": MetricInfo("lower", name="Detail error",
        explanation="HFEN: relative error after a Laplacian of Gaussian of 1.5 voxels"),
    "sharpness": MetricInfo("ideal", ideal=1.0, name="Sharpness",
        explanation="mean gradient magnitude over that of the truth; below 1 is blurred"),
    "slice_jumps": MetricInfo("ideal", ideal=1.0, name="Slice jumps",
        explanation="differences of the means of neighbouring slices over those of the truth; above 1 is flicker"),
    "noise_hu": MetricInfo("lower", "HU", name="Noise",
        explanation="standard deviation of synthetic − truth in soft tissue"),
    "nps_mean_frequency": MetricInfo("unknown", "1/mm", name="Mean frequency of the noise",
        explanation="of the noise power spectrum of synthetic − truth in axial slices; lower is blotchier"),
    "mtf50": MetricInfo("higher", "1/mm", name="Frequency of half transfer",
        explanation="at which half of the truth's detail arrives, by cross spectra; no measure of an edge"),
    "edge_across_mm": MetricInfo("lower", "mm", name="Width of edges across slices",
        explanation="full width at half maximum of the line spread at the truth's edges between axial slices"),
    "contrast_recovery": MetricInfo("ideal", ideal=1.0, name="Contrast recovery",
        explanation="contrast of lesions to their surroundings over that in the truth"),
    "false_structures": MetricInfo("lower", "1/100 mL", name="False structures",
        explanation="blobs and edges of 3 to 6 mm that the truth has not"),
    "missed_structures": MetricInfo("lower", "1/100 mL", name="Missed structures",
        explanation="blobs and edges of 3 to 6 mm of the truth without a counterpart"),
    "false_share": MetricInfo("lower", name="Share of false structures", explanation="of the volume of the mask"),
    "missed_share": MetricInfo("lower", name="Share of missed structures", explanation="of the volume of the mask"),
    "delta_e": MetricInfo("lower", name="Colour difference",
        explanation="mean CIEDE2000 difference in CIE Lab; about 1 is just seen"),
    "kid": MetricInfo("lower", name="Kernel inception distance",
        explanation="KID: distance of the distributions of features of samples and real patches"),
    "diversity": MetricInfo("ideal", ideal=1.0, name="Diversity",
        explanation="mean distance of pairs of samples over that of real pairs"),
    "copied": MetricInfo("lower", name="Copied samples",
        explanation="share of samples that nearly repeat a training patch"),
    "sensitivity": MetricInfo("higher", name="Sensitivity"),
    "specificity": MetricInfo("higher", name="Specificity"),
    "balanced_accuracy": MetricInfo("higher", name="Balanced accuracy"),
    "lesion_error": MetricInfo("lower", "{unit}", name="Error in lesions",
        explanation="mean absolute difference in the lesions"),
    "nawm_error": MetricInfo("lower", "{unit}", name="Error in normal-appearing white matter",
        explanation="mean absolute difference in the normal-appearing white matter of patients"),
    "control_wm_error": MetricInfo("lower", "{unit}", name="Error in white matter of controls",
        explanation="mean absolute difference in the white matter of cases without lesions"),
    "lesion_contrast": MetricInfo("unknown", name="Lesion contrast",
        explanation="mean of the lesions over that of normal-appearing white matter; best as in the truth"),
    "lesion_contrast_truth": MetricInfo("unknown", name="Lesion contrast of the truth",
        explanation="lesion_contrast of the truth"),
    "demyelination_dice": MetricInfo("higher", name="Dice overlap of demyelination",
        explanation="overlap of the demyelinated voxels, below one threshold in prediction and truth"),
    "level_error": MetricInfo("lower", "{unit}", name="Error of mean levels",
        explanation="mean over the tissues of |mean synthetic − mean true level|"),
    "js": MetricInfo("lower", "bit", name="Divergence of levels",
        explanation="Jensen-Shannon divergence of the levels of each tissue, mean over the tissues"),
    "snr": MetricInfo("unknown", name="Speckle SNR",
        explanation="mean over deviation of the envelope in blocks of one tissue; 1.91 for full speckle"),
    "snr_error": MetricInfo("lower", name="Error of speckle SNR"),
    "grain_error": MetricInfo("lower", name="Error of speckle size",
        explanation="of the correlation of neighbours in blocks of one tissue"),
    "head_volume": MetricInfo("unknown", "mL", name="Head volume",
        explanation="volume of the head found in the source"),
    "lowest": MetricInfo("unknown", "{unit}", name="Lowest value", explanation="0.1st percentile inside the head"),
    "highest": MetricInfo("unknown", "{unit}", name="Highest value", explanation="99.9th percentile inside the head"),
    "mean": MetricInfo("unknown", "{unit}", name="Mean",
        explanation="mean inside the head; tissues by the synthetic CT: air below -200 HU, bone above 250 HU"),
    "at_low_end": MetricInfo("unknown", "%", name="At the lower end",
        explanation="share of the head at the lower end of the values that the network can give"),
    "at_high_end": MetricInfo("unknown", "%", name="At the upper end",
        explanation="share of the head at the upper end of the values that the network can give"),
}  # fmt: skip


def metric_info(name: str) -> MetricInfo:
    """Interpretation of the metric ``name`` by ``KNOWN``, with a plain name.

    The longest known prefix decides, else the longest known suffix: ``mae_bone`` reads as ``mae``, ``val_ms_ssim`` as
    ``ms_ssim``; the other words follow its name. An unknown metric has direction ``unknown``: it is shown by its key,
    without a best value.
    """
    words = name.split("_")
    pieces = [(words[:count], words[count:]) for count in range(len(words), 0, -1)]
    pieces += [(words[start:], words[:start]) for start in range(1, len(words))]
    for piece, others in pieces:
        if info := KNOWN.get("_".join(piece)):
            return replace(info, name=", ".join(filter(None, [info.name, " ".join(others)])))
    return MetricInfo("unknown", name=name)
