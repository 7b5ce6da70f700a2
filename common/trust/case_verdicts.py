"""Verdicts of the cases of an inference."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from monai.utils import MetaKeys, convert_to_numpy

from ..errors import CheckpointError, DataError
from ..io.export.verdicts import REFUSE
from .features import TISSUE_OUTSIDE, CaseFeatures, Volume, on_grid, periodicity
from .record import TrustRecord, path_of, read_record
from .verdict import verdict_of

logger = logging.getLogger(__name__)
MOST_PERIODIC = 3.0
"""[chosen] Largest :func:`periodicity` that needs no look; twelve real MR have up to 1.6."""


class NetworkInput(NamedTuple):
    """A network's input on the grid of features (C, X, Y, Z), its shape and affine, and those of the scan."""

    values: Volume
    shape: tuple[int, ...]
    affine: Volume
    scan_affine: Volume

    @classmethod
    def of(cls, image: Any) -> NetworkInput:
        """A network's input (C, X, Y, Z), coarse, with its affine."""
        affine = np.asarray(convert_to_numpy(image.affine), dtype=float).reshape(-1, 4, 4)[0]
        scan = np.asarray(convert_to_numpy(image.meta.get(MetaKeys.ORIGINAL_AFFINE, affine)), dtype=float)
        coarse = np.stack([on_grid(convert_to_numpy(each), affine, each.shape, affine) for each in image])
        return cls(coarse, tuple(image.shape[1:]), affine, scan.reshape(-1, 4, 4)[0])


class CaseVerdicts:
    """Gives each case its verdict by the calibration of the weights.

    Args:
        record: of the weights.
    """

    def __init__(self, record: TrustRecord) -> None:
        self.record = record
        self.calibrated_on = f"{len(record.cases)} cases ({record.data})"
        self.features = CaseFeatures(record.unit, record.tissues)

    @classmethod
    def of(cls, weights: Path) -> CaseVerdicts | None:
        """Those of weights; None, and a line in the log, without a calibration of exactly these weights."""
        if not path_of(weights).is_file():
            logger.info("no verdicts: no calibration next to the weights")
            return None
        try:
            return cls(read_record(weights))
        except CheckpointError as error:
            logger.warning(f"no verdicts: {error}")
            return None

    def __call__(
        self,
        source: NetworkInput,
        output: Volume,
        outside: float | None = None,
        warnings: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The verdict of a case, as manifest and sidecar have it.

        A refused case has no errors: nothing is known of an unlike source. All others have the same, those of the
        calibration: among intact cases no feature ranks errors (correlation .05) [measured].

        Args:
            source: the network's input of the case.
            output: (X, Y, Z) on the grid of the scan, in its unit.
            outside: see :func:`features_of`.
            warnings: that the source is unlike the training data.
        """
        limits = self.record.limits
        if (ratio := periodicity(np.asarray(output))) > MOST_PERIODIC:
            pattern = "the synthetic image has a periodic pattern, such as a checkerboard: look at it magnified"
            warnings = [*warnings, f"{pattern} (a line of its spectrum is {ratio:.1f} times its surroundings)"]
        features = features_of(self.features, source, output, outside)
        name, reasons = verdict_of(features, limits, warnings, partial(self._where, source, output))
        verdict: dict[str, Any] = {"verdict": name}
        if name != REFUSE:
            verdict |= {"calibration_mae": round(limits.expected_mae, 4), "upper_mae": round(limits.upper_mae, 4)}
            verdict["calibrated_on"] = self.calibrated_on
        verdict |= {"case_level": self.record.case_level, "unit": self.record.unit, "reasons": list(reasons)}
        return verdict

    def _where(self, source: NetworkInput, output: Volume, name: str) -> str:
        """Where an unusual feature is worst."""
        coarse = on_grid(np.asarray(output), source.scan_affine, source.shape, source.affine)
        return self.features.worst_part(name, source.values, coarse)


def features_of(
    features: CaseFeatures, source: NetworkInput, output: Volume, outside: float | None = None
) -> dict[str, float] | str:
    """The features of a case, or why there are none.

    Args:
        features: that compute them.
        source: of the case.
        output: (X, Y, Z) on the grid of the scan.
        outside: share of voxels outside the body that the network gave tissue, before they were set to air; None where
            the outside is left as it is.
    """
    thickness = float(np.linalg.norm(source.scan_affine[:3, :3], axis=0).max())
    coarse = on_grid(np.asarray(output), source.scan_affine, source.shape, source.affine)
    try:
        values = features(source.values, coarse, thickness)
    except DataError as error:
        return str(error)
    return values if outside is None else {**values, TISSUE_OUTSIDE: outside}
