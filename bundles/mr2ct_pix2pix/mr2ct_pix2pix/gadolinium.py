"""A full dose of gadolinium in T1 from a low dose: simulated scans, loss, classical answer and scores.

The source has two channels, the low dose and the scan before the contrast agent, in this order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import ArrayLike
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor
from torch.nn import functional as F

from common.errors import ConfigError, DataError
from common.losses.distances import require_same_shape
from common.metrics import score
from common.metrics.lesions import RING_MM
from common.metrics.masked import Volume, checked_volumes, mean_or_nan
from common.simulation.corruptions.intensity import blurred
from common.simulation.corruptions.noise import rician
from common.simulation.dataset import save_nifti, write_heads
from common.simulation.head import Anatomy, head_anatomy, partial_volume
from common.simulation.label_heads.fields import Body
from common.simulation.label_heads.heads import IndividualHeads
from common.simulation.label_heads.label_map import map_files
from common.simulation.label_heads.pathology import Pathology
from common.simulation.mr import MR_BLUR_MM, T1_WHITE
from common.simulation.physics import SpoiledEcho, Tissues, drawn, enhanced
from common.simulation.scanner import Scanner

NOISE = 0.03
"""[chosen] standard deviation of the noise of each scan relative to white matter before the agent."""
TISSUES = Tissues(agent_probability=0.0, fat_suppression=0.0, flow_void=(0.7, 1.0))
"""[chosen] little loss of signal in flowing blood: a slab of a 3-D scan, whose vessels are bright after the agent."""
RADIUS_MM = (6.0, 18.0)
OEDEMA = (0.2, 0.8)
"""[chosen] radius of a tumour of the average head, and the width of its oedema over the radius."""
UPTAKE = (0.25, 1.75)
"""[chosen] uptake of a tumour over that of ``AGENT_SHARE``: from hardly visible to nearly that of blood."""

PERCENTILE = 99.5
"""Of the truth inside the mask: what is bright, in percent."""
TREND_MM = 5.0
"""Standard deviation of the Gaussian that separates the bias field from noise."""
ENHANCED, NOT_ENHANCED = 0.5, 0.25
"""Parts of the tumour's enhancement from which on a voxel is enhanced, and below which it is not."""


def write_gadolinium(
    root: Path,
    cases: int = 12,
    spacing: float = 1.0,
    seed: int = 0,
    dose: float = 0.1,
    label_maps: str | Path | None = None,
) -> None:
    """Write T1-weighted MR of random heads with a tumour before a contrast agent, after a low and after the full dose.

    ``ROOT/<case>/{pre,low,full,mask,lesion,vessel,nawm}.nii.gz`` and ``dataset.json``, written atomically. The three
    scans share grid, gain and bias field; their noise is independent. Relaxivity alone differs, T2* does not.

    Args:
        root: the folder to create; may exist if empty.
        cases: number of heads, each of another patient, named ``phantom_000`` and so on.
        spacing: isotropic, in mm.
        seed: case ``i`` depends only on ``(seed, i)``.
        dose: contrast agent of the low dose over that of the full one.
        label_maps: folder of maps of individual heads, one for each case; None for deformations of the average head.

    Raises:
        ConfigError: a number is out of range, or there are fewer maps than cases.
        OutputError: ``root`` holds something already or cannot be written.
    """
    require_dose(dose)
    heads = iter(_heads(cases, spacing, label_maps))

    def write_case(folder: Path, own: int, _: float) -> None:
        _write_case(folder, next(heads)(own), np.random.default_rng((own, 2)), dose)

    write_heads(root, cases, spacing, seed, write_case, dose=dose, white=T1_WHITE)


def require_dose(dose: float) -> None:
    """Refuse by a ConfigError a dose that is not above 0 and at most 1."""
    if not 0 < dose <= 1:
        raise ConfigError(f"dose is {dose}, not above 0 and at most 1", "give the fraction of the full dose, as 0.1")


@dataclass(frozen=True)
class _OneHead(IndividualHeads):
    """Heads of one label map, by its position in the folder."""

    number: int = 0

    @property
    def files(self) -> list[Path]:
        return map_files(self.label_maps)[self.number : self.number + 1]


def _heads(cases: int, spacing: float, label_maps: str | Path | None) -> list[Callable[[int], Anatomy]]:
    """What makes the head of each case of a seed."""
    if label_maps is None:
        return [lambda own: _with_tumour(head_anatomy(own, spacing), np.random.default_rng((own, 1)))] * cases
    if cases > (count := len(map_files(label_maps))):
        fault = f"--phantoms::cases is {cases}, but {label_maps} has {count} label maps, one for each case"
        raise ConfigError(fault, f"give 1 to {count}, or add maps")
    pathology = Pathology(tumour_probability=1.0, defaced_probability=0.0, metal_probability=0.0)
    heads = [_OneHead(label_maps, spacings_mm=[spacing], pathology=pathology, number=number) for number in range(cases)]
    return [lambda own, head=head: head(np.random.default_rng((own, 1))) for head in heads]  # type: ignore[misc]


def _with_tumour(anatomy: Anatomy, rng: np.random.Generator) -> Anatomy:
    """The average head with a tumour and oedema of the white matter around it."""
    parts = {name: part.copy() for name, part in anatomy.fractions.items()}
    places = np.argwhere(parts["white"] > 0.9)
    radius = drawn(RADIUS_MM, rng.random(), "radius_mm") / anatomy.spacing
    body = Body(rng, parts["white"].shape, places[rng.integers(len(places))], radius)
    for tissue, margin, over in (
        ("tumour", 0.0, ("white", "grey", "lesion", "csf")),
        ("oedema", radius * drawn(OEDEMA, rng.random(), "oedema"), ("white", "lesion")),
    ):
        share = np.clip(body.depth + np.float32(margin + 0.5), 0, 1)
        parts[tissue] = np.zeros_like(parts["white"])
        for name in over:
            taken = share * parts[name][body.box]
            parts[name][body.box] -= taken
            parts[tissue][body.box] += taken
    return replace(anatomy, fractions=parts)


def _write_case(folder: Path, anatomy: Anatomy, rng: np.random.Generator, dose: float) -> None:
    person, places = TISSUES.draw(rng), (rng.random(), rng.random())
    rate, uptake = drawn(TISSUES.agent_rate, rng.random(), "agent_rate"), drawn(UPTAKE, rng.random(), "uptake")
    bias, _ = Scanner().bias_fields(rng, anatomy.head.shape, anatomy.spacing)
    gain = T1_WHITE / SpoiledEcho().signals(person, places)["white"]
    for name, given in (("pre", 0.0), ("low", dose), ("full", 1.0)):
        tissues = enhanced(person, given * rate) | {"tumour": enhanced(person, given * rate * uptake)["tumour"]}
        signal = partial_volume(anatomy, SpoiledEcho().signals(tissues, places))
        image = rician(gain * blurred(signal, MR_BLUR_MM, anatomy.spacing) * bias, NOISE * T1_WHITE, rng)
        save_nifti(folder / f"{name}.nii.gz", np.rint(image).astype(np.int16), anatomy.affine)
    parts = anatomy.fractions
    masks = {"lesion": parts["tumour"] > 0.5, "vessel": parts["vessel"] > 0.5, "nawm": parts["white"] > 0.95}
    for name, mask in {"mask": anatomy.head, **masks}.items():
        save_nifti(folder / f"{name}.nii.gz", mask, anatomy.affine)


class ScaledDifference:
    """The classical full dose: the scan before the agent plus the low dose's difference from it over the dose.

    Signal is not linear in the agent, so strong enhancement is overestimated, and noise grows by about sqrt(2) / dose.

    Args:
        dose: contrast agent of the low dose over that of the full one.
        smoothing: standard deviation in voxels of a Gaussian on the difference, against that noise.

    Raises:
        ConfigError: the dose is not above 0 and at most 1.
    """

    def __init__(self, dose: float, smoothing: float = 0.0) -> None:
        require_dose(dose)
        self.dose = dose
        self.smoothing = smoothing

    def __call__(self, channels: ArrayLike) -> Volume:
        """The scaled volume (X, Y, Z) of low dose and scan before the agent, (X, Y, Z, 2).

        Raises:
            DataError: for another number of channels.
        """
        values = np.asarray(channels, dtype=np.float64)
        if values.ndim != 4 or values.shape[-1] != 2:
            raise DataError(f"the source has shape {values.shape}, not two channels", "give low dose and pre-contrast")
        low, pre = np.moveaxis(values, -1, 0)
        scaled: Volume = pre + gaussian_filter(low - pre, self.smoothing) / self.dose
        return scaled


def contrast_weighted_l1(prediction: Tensor, target: Tensor, image: Tensor, weight: float) -> Tensor:
    """Absolute difference weighted by ``1 + weight * enhancement``, divided by the sum of the weights.

    The enhancement of a pixel is the target minus the scan before the agent, averaged over 3 x 3 pixels, so that the
    target's noise is not given weight where it is bright; 0 where negative.

    Args:
        prediction: synthetic images (B, 1, H, W).
        target: real images of the same shape.
        image: source (B, 2 N, H, W): slabs of N slices of the low dose and of the scan before the agent.
        weight: of the enhancement in the unit of the images.
    """
    require_same_shape(prediction, target)
    slices = image.shape[1] // 2
    before = image[:, slices + slices // 2, None]
    weights = 1 + weight * F.avg_pool2d(target - before, 3, 1, 1, count_include_pad=False).clamp(min=0)
    return (weights * (prediction - target).abs()).sum() / weights.sum()


def image_scores(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> dict[str, float]:
    """The scores of :func:`common.metrics.score` with a range from 0 to the ``PERCENTILE`` of the truth in the mask.

    Args and Raises: see :func:`~common.metrics.masked.checked_volumes`.
    """
    _, real, inside = checked_volumes(pred, truth, mask)
    return score(pred, truth, mask, (0.0, float(np.percentile(real[inside], PERCENTILE))))


def snr_ratio(pred: ArrayLike, truth: ArrayLike, nawm: ArrayLike, affine: ArrayLike) -> dict[str, float]:
    """``snr_ratio``: signal over noise in white matter of the prediction over that of the real full dose.

    Noise is the standard deviation from a trend, the Gaussian mean of ``TREND_MM`` within the white matter.

    Volumes are (X, Y, Z), ``nawm`` is above 0 in normal white matter; ``affine`` (4, 4) leads from voxels to mm.
    """
    pred, truth, inside = checked_volumes(pred, truth, nawm)
    width = TREND_MM / voxel_sizes(np.asarray(affine))
    count = np.maximum(gaussian_filter(inside.astype(np.float64), width), 1e-6)
    found = []
    for volume in (pred, truth):
        rest = volume - gaussian_filter(np.where(inside, volume, 0.0), width) / count
        found.append(volume[inside].mean() / max(rest[inside].std(), 1e-6))
    return {"snr_ratio": float(found[0] / found[1])}


def enhancement_scores(
    pred: ArrayLike,
    truth: ArrayLike,
    mask: ArrayLike,
    channels: ArrayLike,
    lesion: ArrayLike,
    vessel: ArrayLike,
    affine: ArrayLike,
) -> dict[str, float]:
    """Tumour and false enhancement, relative to the tumour's: the mean in it of the truth minus the scan before.

    ``contrast_error``: absolute error of the tumour's contrast, its mean minus that of the mask ``RING_MM`` around it.
    Over the truth's contrast, as in :func:`common.metrics.lesion_scores`, it would have no bound: a tumour may be as
    bright as its surroundings. ``false_enhancement``: of 1,000 voxels of the mask outside tumours and vessels, those
    that the prediction enhances from ``ENHANCED`` on and the truth below ``NOT_ENHANCED``.

    Args:
        pred: synthetic volume (X, Y, Z).
        truth: real volume (X, Y, Z) in the same unit.
        mask: the head (X, Y, Z), above 0 inside.
        channels: low dose and scan before the agent, (X, Y, Z, 2).
        lesion: tumours (X, Y, Z), above 0 inside.
        vessel: vessels (X, Y, Z), above 0 inside.
        affine: (4, 4) from voxels to mm.

    Returns:
        nan where there is no tumour, or none that the agent enhances.
    """
    pred, truth, inside = checked_volumes(pred, truth, mask)
    before, tumour = np.asarray(channels, dtype=np.float64)[..., 1], np.asarray(lesion) > 0
    strength = mean_or_nan((truth - before)[tumour])
    if not strength > 0:
        return {"contrast_error": float("nan"), "false_enhancement": float("nan")}
    others = inside & ~tumour & ~(np.asarray(vessel) > 0)
    away = distance_transform_edt(~tumour, sampling=voxel_sizes(np.asarray(affine)))
    error, around = pred - truth, others & (away >= RING_MM[0]) & (away <= RING_MM[1])
    contrast = abs(mean_or_nan(error[tumour]) - mean_or_nan(error[around])) / strength
    false = (pred - before >= ENHANCED * strength) & (truth - before < NOT_ENHANCED * strength)
    return {"contrast_error": contrast, "false_enhancement": 1000 * mean_or_nan(false[others].astype(np.float64))}
