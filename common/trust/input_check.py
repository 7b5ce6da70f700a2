"""Out-of-distribution warnings: comparison of a scan with the training distribution of pretrained weights.

A synthetic image looks plausible even for unsuitable input. A scan that clearly has another weighting than the weights
were trained on is refused. Five checks warn and never stop a case: voxels of at most ``MAX_SPACING_MM``; a contrast
that the weights list (:mod:`common.trust.weighting`); a skull where bone is to be predicted
(:mod:`common.trust.stripping`); the extent of the head along every axis within that of the simulated heads; and the
tissue histogram within theirs. The histogram is given by quantiles of the z-scores inside the head and, since scalp and
fat hide the contrast of a scan, by quantiles over the median deep inside the head, in fluid, grey and white matter.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from ignite.engine import Engine
from monai.utils import MetaKeys
from monai.utils.type_conversion import convert_to_numpy
from scipy import ndimage

from ..config.checks import HU
from ..errors import DataError
from ..transforms.head import head_mask
from ..weights.info import exported_unit, known_contrasts, known_profile
from .stripping import looks_stripped
from .weighting import Seen, weighting_seen

logger = logging.getLogger(__name__)
CASE_LOADED = "case loaded"
"""Event of an engine that has read a case and has not inferred it; an error of its handlers fails that case alone."""
MAX_SPACING_MM = 6.0
"""Largest slice thickness of the simulation."""

PERCENTILES = (2, 10, 25, 50, 75, 90, 98)
DEPTH = 0.35
"""Smallest depth of the inner head, relative to its deepest point."""

AIR_PERCENTILE = 1
"""Percentile of the volume taken as air or removed tissue, since a network's input may be shifted and scaled."""

COARSE_MM = 2.5
"""Resolution at which depth is computed."""

MARGIN = 0.25
"""Tolerance outside the range of the simulated cases, relative to its width."""

Limits = dict[str, list[list[float]]]
"""``extent_mm`` along three axes, ``z_scores`` and ``depth_ratios`` at ``PERCENTILES``: [low, high] of each."""


def features(image: np.ndarray, spacing: np.ndarray) -> dict[str, np.ndarray]:
    """Extent of the head along each axis in mm, quantiles of its z-scores, and :func:`depth_ratios`.

    Args:
        image: (X, Y, Z), any scale.
        spacing: of its voxels along the axes, in mm.
    """
    head = head_mask(image, None, axial=2, case="input")
    values = image[head]
    mean, deviation = values.mean(dtype=float), values.std(dtype=float)
    quantiles = np.percentile(values, PERCENTILES, overwrite_input=True).astype(float)
    places = [np.flatnonzero(head.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    return {
        "extent_mm": np.array([each[-1] - each[0] + 1 for each in places]) * np.asarray(spacing),
        "z_scores": (quantiles - mean) / max(deviation, 1e-9),
        "depth_ratios": depth_ratios(image, head, np.asarray(spacing)),
    }


def depth_ratios(image: np.ndarray, head: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Quantiles over the median of the values above air deep inside the head: high for T2, low for T1 weighting."""
    steps = np.maximum(1, np.round(COARSE_MM / spacing)).astype(int)
    coarse = tuple(slice(None, None, step) for step in steps)
    inside = np.pad(head[coarse], 1)
    depth = ndimage.distance_transform_edt(inside, sampling=spacing * steps)[1:-1, 1:-1, 1:-1]
    deep = np.percentile(image[coarse][depth >= DEPTH * depth.max()].astype(float), PERCENTILES)
    above = deep - np.percentile(image, AIR_PERCENTILE)
    middle = above[PERCENTILES.index(50)]
    ratios: np.ndarray = above / (middle if middle > 0 else 1.0)
    return ratios


def limits(cases: Iterable[dict[str, np.ndarray]]) -> Limits:
    """Range of each feature over some cases."""
    listed = list(cases)
    return {
        name: [[float(low), float(high)] for low, high in zip(part.min(axis=0), part.max(axis=0), strict=True)]
        for name in listed[0]
        for part in [np.stack([case[name] for case in listed])]
    }


def other_weighting(image: np.ndarray, spacing: np.ndarray, contrasts: Sequence[str]) -> str | None:
    """Why a scan clearly has another weighting than those of ``contrasts``; None if it may not, or they are none."""
    seen = weighting_seen(image, spacing)
    return _unlisted(seen, contrasts) if contrasts and seen.weightings else None


def unlisted_contrast(image: np.ndarray, spacing: np.ndarray, contrasts: Sequence[str]) -> list[str]:
    """The reason why a scan is none of the contrasts that weights list; empty if it is, or where they list none."""
    reason = _unlisted(weighting_seen(image, spacing), contrasts) if contrasts else None
    return [reason] if reason else []


def _unlisted(seen: Seen, contrasts: Sequence[str]) -> str | None:
    if set(seen.weightings) & set(contrasts):
        return None
    looks = f"looks {_weighted(seen.weightings)}" if seen.weightings else "contrast not recognised"
    return f"{looks} ({seen.reason}); these weights were trained on {_weighted(contrasts)}"


def _weighted(contrasts: Sequence[str]) -> str:
    """Names of weightings in a sentence; FLAIR is a sequence and no weighting."""
    return " or ".join(name if name == "FLAIR" else f"{name}-weighted" for name in contrasts)


def out_of_distribution(
    image: np.ndarray,
    spacing: np.ndarray,
    known: Limits,
    contrasts: Sequence[str] = (),
    scanned: np.ndarray | None = None,
    to_ct: bool = False,
) -> list[str]:
    """Reasons why a scan is out of the distribution of ``known``; empty if it is inside.

    Args:
        image: (X, Y, Z) oriented RAS, any scale.
        spacing: of its voxels along the axes, in mm.
        known: see :func:`limits`; empty to check neither extent nor histogram.
        contrasts: keys of :data:`common.trust.weighting.ORDERS`; empty to accept every contrast.
        scanned: spacing of the scan before it was resampled to a working spacing, in mm; None where it was not.
        to_ct: whether the weights predict the bone of an MR of a head, which a skull-stripped scan does not have.
    """
    found = []
    coarsest = max(spacing if scanned is None else scanned)
    if coarsest > MAX_SPACING_MM:
        found.append(f"voxels of {coarsest:.1f} mm, more than {MAX_SPACING_MM:g}")
    if np.ptp(image) == 0:
        return [*found, f"the value {image.flat[0]:g} everywhere"]
    found += unlisted_contrast(image, spacing, contrasts)
    found += ["looks skull-stripped: no bone can be predicted"] if to_ct and looks_stripped(image, spacing) else []
    if not known:
        return found
    seen = features(image, spacing)
    labels = {"extent_mm": [f"head extent along {axis} in mm" for axis in "xyz"]}
    labels["z_scores"] = [f"percentile {p} of z-scores in the head" for p in PERCENTILES]
    labels["depth_ratios"] = [f"percentile {p} over the median in the depth of the head" for p in PERCENTILES]
    for name, ranges in known.items():
        for label, value, (low, high) in zip(labels[name], seen[name], ranges, strict=True):
            room = MARGIN * (high - low)
            if not low - room <= value <= high + room:
                found.append(f"{label} {value:.3g}, in training {low:.3g} to {high:.3g}")
    return found


class InputCheck:
    """Handler of inference that warns of cases out of the training distribution of pretrained weights.

    The warnings are logged, and noted with the case where the engine has ``warnings`` to be written with it. An engine
    that refuses cases (``refuses``) gets none of another weighting.

    With the user's own weights, whose training distribution and contrasts are unknown, only the spacing is checked.

    Args:
        weights: the file in use.
    """

    def __init__(self, weights: str) -> None:
        self.known: Limits = known_profile(weights)
        self.contrasts = known_contrasts(weights)
        self.to_ct = bool(self.contrasts) and exported_unit(weights) == HU

    def attach(self, engine: Engine) -> None:
        """Check each case before its inference."""
        engine.add_event_handler(CASE_LOADED, self)

    def __call__(self, engine: Engine) -> None:
        """Check the cases of the engine's batch.

        Raises:
            DataError: a case has another weighting, and the engine refuses cases.
        """
        batch: Any = engine.state.batch
        for number, image in enumerate(batch["image"]):
            affine = getattr(image, "affine", np.eye(4))
            scanned = _spacing(getattr(image, "meta", {}).get(MetaKeys.ORIGINAL_AFFINE, affine))
            values, spacing = convert_to_numpy(image)[0], _spacing(affine)
            if getattr(engine, "refuses", False) and (why := other_weighting(values, spacing, self.contrasts)):
                remedy = f"pass a {_weighted(self.contrasts)} scan; if it is one, --refuse false, which writes no DICOM"
                raise DataError(f"{batch['case'][number]}: {why}", remedy)
            if reasons := out_of_distribution(values, spacing, self.known, self.contrasts, scanned, self.to_ct):
                case, unlike = str(batch["case"][number]), "UNLIKE THE TRAINING DATA"
                if (noted := getattr(engine, "warnings", None)) is not None:
                    noted.setdefault(case, []).extend(f"{unlike.lower()}: {reason}" for reason in reasons)
                logger.warning(f"{case}: {unlike}, results may look plausible and be wrong: {'; '.join(reasons)}")


def _spacing(affine: Any) -> np.ndarray:
    """Spacing in mm of an affine (4, 4), or of the first of a batch."""
    return np.asarray(np.linalg.norm(convert_to_numpy(affine).reshape(-1, 4, 4)[0][:3, :3], axis=0))
