"""Check of a scan before its inference: whether it is what the weights were trained on.

A synthetic image looks plausible even for unsuitable input. Weights that know the contrasts of their training are of MR
of the head. A scan that is clearly of another contrast, and one without a skull where bone is to be predicted, are
unsuitable: an inference refuses them. Other findings are warnings, by which a case gets the verdict ``review``: voxels
of more than ``MAX_SPACING_MM``, a contrast that is not certain, axes that look turned (:mod:`common.trust.axes`) and a
strong receive field.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ignite.engine import Engine
from monai.utils import MetaKeys
from monai.utils.type_conversion import convert_to_numpy

from ..errors import UnsuitedError
from ..units import HU
from ..weights.info import known_info
from .axes import turned_axes
from .contrast import ORDERS, contrast_seen, head_places
from .stripping import looks_stripped

logger = logging.getLogger(__name__)
CASE_LOADED = "case loaded"
"""Event of an engine that has read a case and has not inferred it; an error of its handlers fails that case alone."""
MAX_SPACING_MM = 6.0
"""Largest slice thickness of the simulation."""
UNLIKELY, LIKELY = 0.02, 0.5
"""Probability of the contrasts of weights below which a scan is of another one, and from which it is of these."""
MOST_FIELD = 4.0
"""[chosen] Largest over smallest sensitivity of the receive field deep in the head; simulated heads have up to 3.4."""
CORNER, BRIGHT_NOISE = 8, 0.25
"""Part of a side that is a corner, and mean there, in parts of the grey scale, above which noise is no air; uniform
noise has a mean of .5 and a standard deviation of .29, a receiver's at most .05."""
UNSUITED, UNLIKE = "unsuited to the weights", "unlike the training data"
"""How a finding begins that an inference refuses, and another one."""


class Findings(NamedTuple):
    """What is found in a scan: reasons to refuse it, and warnings."""

    refusals: list[str]
    warnings: list[str]


def findings_of(
    image: np.ndarray,
    spacing: np.ndarray,
    contrasts: Sequence[str] = (),
    scanned: np.ndarray | None = None,
    to_ct: bool = False,
) -> Findings:
    """What is wrong with a scan for some weights.

    Args:
        image: (X, Y, Z) oriented RAS, any scale.
        spacing: of its voxels along the axes, in mm.
        contrasts: that the weights were trained on, keys of :data:`common.trust.contrast.ORDERS`; empty where that is
            not known: then only the spacing is checked.
        scanned: spacing of the scan before it was resampled to a working spacing, in mm; None where it was not.
        to_ct: whether the weights predict the bone of a head, which a skull-stripped scan does not have.
    """
    findings = Findings([], [])
    if (coarsest := max(spacing if scanned is None else scanned)) > MAX_SPACING_MM:
        findings.warnings.append(f"voxels of {coarsest:.1f} mm, more than {MAX_SPACING_MM:g}")
    if np.ptp(image) == 0:
        findings.warnings.append(f"the value {image.flat[0]:g} everywhere")
    elif contrasts:
        _check_head(findings, image, np.asarray(spacing, float), contrasts, to_ct)
    return findings


def _check_head(found: Findings, image: np.ndarray, spacing: np.ndarray, contrasts: Sequence[str], to_ct: bool) -> None:
    if _has_bright_noise(image):
        found.refusals.append("the air around the head is noise as bright as tissue, as MP2RAGE has: remove it first")
        return
    head = head_places(image, spacing)
    seen = contrast_seen(head)
    trained = f"these weights were trained on {names(contrasts)}"
    if not seen.shares:
        found.warnings.append(f"contrast not recognised ({seen.reason}); {trained}")
    elif (share := sum(seen.shares[name] for name in contrasts)) < LIKELY:
        looks = f"looks {names([seen.likeliest])} ({ORDERS[seen.likeliest]}); {trained}"
        if share < UNLIKELY:
            found.refusals.append(looks)
        else:
            found.warnings.append(f"{looks}, of which it may be (probability {share:.2f})")
    if seen.field > MOST_FIELD:
        found.warnings.append(
            f"brightness falls by a factor of {seen.field:.0f} across the brain: correct the receive field"
        )
    if to_ct and looks_stripped(head):
        found.refusals.append("looks skull-stripped: no bone can be predicted")
    if turned := turned_axes(image, spacing):
        found.warnings.append(f"{turned}: check the orientation in its header")


def _has_bright_noise(image: np.ndarray) -> bool:
    """Whether the corners of a volume (X, Y, Z) hold noise of the brightness of tissue."""
    ends = [(slice(0, side // CORNER + 1), slice(-(side // CORNER) - 1, None)) for side in image.shape]
    corners = np.concatenate([image[places].ravel() for places in product(*ends)]).astype(float)
    dark, bright = np.percentile(image, (0.1, 99))
    mean, deviation = (corners.mean() - dark) / (bright - dark), corners.std() / (bright - dark)
    return bool(mean > BRIGHT_NOISE and deviation > BRIGHT_NOISE / 2)


def names(contrasts: Sequence[str]) -> str:
    """Contrasts in a sentence; FLAIR is a sequence and no weighting."""
    return " or ".join(name if name == "FLAIR" else f"{name}-weighted" for name in contrasts)


class InputCheck:
    """Handler of inference that refuses, or warns of, cases that do not suit the weights.

    The warnings are noted with the case where the engine has ``warnings``, else logged. An engine that does not refuse
    cases (``refuses``) has the reasons of a refusal among them.

    Args:
        weights: the file in use.
    """

    def __init__(self, weights: str) -> None:
        about = known_info(Path(weights))
        known = {} if about is None else about.metadata
        self.contrasts = list(known.get("contrasts", []))
        self.to_ct = bool(self.contrasts) and known.get("unit") == HU

    def attach(self, engine: Engine) -> None:
        """Check each case before its inference."""
        engine.add_event_handler(CASE_LOADED, self)

    def __call__(self, engine: Engine) -> None:
        """Check the cases of the engine's batch.

        Raises:
            UnsuitedError: a case does not suit the weights, and the engine refuses cases.
        """
        batch: Any = engine.state.batch
        for number, image in enumerate(batch["image"]):
            case = str(batch["case"][number])
            affine = getattr(image, "affine", np.eye(4))
            scanned = _spacing(getattr(image, "meta", {}).get(MetaKeys.ORIGINAL_AFFINE, affine))
            values, spacing = convert_to_numpy(image)[0], _spacing(affine)
            findings = findings_of(values, spacing, self.contrasts, scanned, self.to_ct)
            if findings.refusals and getattr(engine, "refuses", False):
                remedy = f"pass a {names(self.contrasts)} scan of a whole head; --refuse false infers it, not as DICOM"
                raise UnsuitedError(case, findings.refusals, remedy)
            reasons = [f"{UNSUITED}: {each}" for each in findings.refusals]
            reasons += [f"{UNLIKE}: {each}" for each in findings.warnings]
            if reasons:
                if (noted := getattr(engine, "warnings", None)) is not None:
                    noted.setdefault(case, []).extend(reasons)
                else:
                    logger.warning(f"{case}: results may look plausible and be wrong: {'; '.join(reasons)}")


def _spacing(affine: Any) -> np.ndarray:
    """Spacing in mm of an affine (4, 4), or of the first of a batch."""
    return np.asarray(np.linalg.norm(convert_to_numpy(affine).reshape(-1, 4, 4)[0][:3, :3], axis=0))
