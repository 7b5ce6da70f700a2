"""Verdicts of the cases of an inference."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from monai.utils import MetaKeys, convert_to_numpy

from ...errors import CheckpointError, DataError
from ...io.export.verdicts import ACCEPT, in_words
from .record import Record, path_of, read_record
from .signs import TISSUE_OUTSIDE, Signs, Volume, on_grid
from .verdict import Verdict, judged, without_signs

logger = logging.getLogger(__name__)


class Source(NamedTuple):
    """A network's input on the grid of signs (C, X, Y, Z), its shape and affine, and those of the scan."""

    values: Volume
    shape: tuple[int, ...]
    affine: Volume
    scan_affine: Volume

    @classmethod
    def of(cls, image: Any) -> Source:
        """What is kept of a network's input (C, X, Y, Z), with its affine."""
        affine = np.asarray(convert_to_numpy(image.affine), dtype=float).reshape(-1, 4, 4)[0]
        scan = np.asarray(convert_to_numpy(image.meta.get(MetaKeys.ORIGINAL_AFFINE, affine)), dtype=float)
        coarse = np.stack([on_grid(convert_to_numpy(each), affine, each.shape, affine) for each in image])
        return cls(coarse, tuple(image.shape[1:]), affine, scan.reshape(-1, 4, 4)[0])


class CaseVerdicts:
    """Gives each case its verdict by the grading of the weights.

    Args:
        record: of the weights.
    """

    def __init__(self, record: Record) -> None:
        self.record = record
        self.signs = Signs(record.unit, record.tissues)

    @classmethod
    def of(cls, weights: Path) -> CaseVerdicts | None:
        """Those of weights; None, and a line in the log, without a grading of exactly these weights."""
        if not path_of(weights).is_file():
            logger.info(f"no verdicts, and no case is refused: the weights have no grading, {path_of(weights).name}")
            return None
        try:
            return cls(read_record(weights))
        except CheckpointError as error:
            logger.warning(f"no verdicts, and no case is refused: {error}")
            return None

    def __call__(self, case: str, source: Source, output: Volume, outside: float | None = None) -> Verdict:
        """The verdict of a case; one that is not ``accept`` is logged.

        Args:
            case: its name.
            source: what was kept of it before.
            output: (X, Y, Z) on the grid of the scan, in its unit.
            outside: see :func:`signs_of`.
        """
        signs = signs_of(self.signs, source, output, outside)
        verdict = without_signs(signs, self.record.unit) if isinstance(signs, str) else self._judged(signs)
        if verdict.verdict != ACCEPT:
            logger.warning(f"{case}: {in_words(verdict.told())}")
        return verdict

    def _judged(self, signs: Mapping[str, float]) -> Verdict:
        return judged(signs, self.record.predictor, self.record.limits, self.record.unit)


def signs_of(signs: Signs, source: Source, output: Volume, outside: float | None = None) -> dict[str, float] | str:
    """The signs of a case, or why there are none.

    Args:
        signs: that compute them.
        source: of the case.
        output: (X, Y, Z) on the grid of the scan.
        outside: share of voxels outside the body that the network gave tissue, before they were set to air; None where
            the outside is left as it is.
    """
    thickness = float(np.linalg.norm(source.scan_affine[:3, :3], axis=0).max())
    made = on_grid(np.asarray(output), source.scan_affine, source.shape, source.affine)
    try:
        found = signs(source.values, made, thickness)
    except DataError as error:
        return str(error)
    return found if outside is None else {**found, TISSUE_OUTSIDE: outside}
