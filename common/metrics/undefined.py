"""Why a measure has no value, for those who read a result without one."""

from __future__ import annotations

from .similarity import WINDOW

REASONS = {
    "psnr_nie": "truth and prediction have no value above 0 inside the mask",
    "psnr_peak": "the truth has no value above 0 inside the mask",
    "ssim": f"no voxel of the mask is {WINDOW // 2} or more away from all sides of the volume, where its window of "
    f"{WINDOW} fits",
    "ms_ssim": "the mask is empty on a coarser level",
    "vif": "no window lies in a slice with its centre in the mask, or the truth has no texture",
    "hfen": "the truth has no detail inside the mask",
    "sharpness": "the truth is constant inside the mask",
    "mae": "the truth has no such tissue inside the mask, or nothing is outside it",
    "bias": "the truth has no such tissue inside the mask",
    "tissue_outside": "nothing outside the mask is air",
    "bone_dice": "neither volume has bone inside the mask",
    "air_dice": "neither volume has air inside the mask",
    "tissue": "the segmenter finds no brain, or no such tissue, in the truth",
    "dice": "the segmenter finds no structure in the truth",
    "hd95": "the segmenter finds no structure in the truth",
    "attenuation": "no line through the mask is long enough",
    "acf": "no line through the mask is long enough",
}
"""By name, or its beginning up to an underscore; of several, the first."""
OTHERWISE = "the case has nothing of what it measures"
INFINITE = "infinite: the volumes are equal inside the mask"
"""Of a ratio to the error."""


def why_undefined(name: str) -> str:
    """The reason why a measure is NaN, by its name."""
    return next((why for known, why in REASONS.items() if f"{name}_".startswith(f"{known}_")), OTHERWISE)
