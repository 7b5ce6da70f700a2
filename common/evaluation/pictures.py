"""Report panels of a case: source, prediction and truth in one orientation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np

from .held_out_case import Case, own_window
from .report import ExtraImage, Panel


@dataclass
class Pictures:
    """Factory of report panels with the units and the window of an evaluation.

    Args:
        unit: of the target.
        source_unit: of the source; if it is the target's, the source is shown in the same window.
        window: shown, (low, high) in the target's unit; None for each case its own.
        show_residual: whether to also show the prediction minus the source.
        maps: further maps of a prediction, see :class:`common.evaluation.evaluation.Evaluation`.
    """

    unit: str
    source_unit: str
    window: Sequence[float] | None
    show_residual: bool
    maps: Sequence[Callable[..., Mapping[str, np.ndarray]]] = ()

    def panel(self, case: Case, method: str, prediction: np.ndarray) -> Panel:
        """Panel of a case with a method's prediction (X, Y, Z), reoriented to RAS."""
        to_ras = nib.orientations.io_orientation(case.affine)

        def turned(volume: np.ndarray) -> np.ndarray:
            oriented: np.ndarray = nib.orientations.apply_orientation(volume, to_ras)
            return oriented

        x, y, z = np.linalg.norm(case.affine[:3, :3], axis=0)[np.argsort(to_ras[:, 0])].tolist()
        window = own_window(case) if self.window is None else (self.window[0], self.window[1])
        extras = [ExtraImage("Synthetic − source", turned(prediction - case.source), self.unit)] * self.show_residual
        extras += [
            ExtraImage(name, turned(found.astype(np.float32)), "1", signed=False)
            for function in self.maps
            for name, found in function(pred=prediction, **case.volumes()).items()
        ]
        return Panel(
            case=case.name,
            method=method,
            source=turned(case.source),
            synthetic=turned(prediction.astype(np.float32)),
            truth=turned(case.truth) if case.truth is not None else None,
            mask=turned(case.mask.astype(np.uint8)),
            extras=extras,
            spacing=(x, y, z),
            source_unit=self.source_unit,
            source_window=window if self.source_unit == self.unit else None,
            unit=self.unit,
            window=window,
            affine=case.affine @ nib.orientations.inv_ornt_aff(to_ras, case.source.shape),
        )
