"""Report panels of a case: source, prediction and truth in one orientation; pictures in colour."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from nibabel.affines import voxel_sizes
from PIL import Image

from ..grids import reoriented
from ..io.picture_files import luminance
from .held_out_case import Case, own_window
from .report import ExtraImage, Panel
from .report.contents import Picture
from .report.standalone_page import png_of

GAP = 4
"""Pixels between the pictures of a figure in colour."""
WIDEST = 1200
"""Pixels of such a figure at most."""


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
        """Panel of a case with a method's prediction (X, Y, Z), reoriented to RAS; of one in colour the luminance."""
        source, truth, prediction = luminance(case.copied), case.truth, luminance(prediction)
        truth = None if truth is None else luminance(truth)

        def turned(volume: np.ndarray) -> np.ndarray:
            return reoriented(volume, case.affine, np.eye(4))[0]

        _, affine = reoriented(source, case.affine, np.eye(4))
        x, y, z = voxel_sizes(affine).tolist()
        window = own_window(case) if self.window is None else (self.window[0], self.window[1])
        extras = [ExtraImage("Synthetic − source", turned(prediction - source), self.unit)] * self.show_residual
        extras += [
            ExtraImage(name, turned(found.astype(np.float32)), "1", signed=False)
            for function in self.maps
            for name, found in function(pred=prediction, **case.volumes()).items()
        ]
        return Panel(
            case=case.name,
            method=method,
            source=turned(source),
            synthetic=turned(prediction.astype(np.float32)),
            truth=None if truth is None else turned(truth),
            mask=turned(case.mask.astype(np.uint8)),
            extras=extras,
            spacing=(x, y, z),
            source_unit=self.source_unit,
            source_window=window if self.source_unit == self.unit else None,
            unit=self.unit,
            window=window,
            affine=affine,
        )


def in_colour(case: Case, method: str, prediction: np.ndarray) -> Picture | None:
    """Source, prediction (X, Y, 1, 3) and truth of a case next to each other, in levels; None for other volumes."""
    if prediction.ndim != 4 or prediction.shape[2:] != (1, 3):
        return None
    shown = [case.copied, prediction, *([] if case.truth is None else [case.truth])]
    pixels = [np.rint(np.clip(each[:, :, 0].swapaxes(0, 1), 0, 255)).astype(np.uint8) for each in shown]
    gap = np.full((pixels[0].shape[0], GAP, 3), 255, np.uint8)
    image = Image.fromarray(np.concatenate([part for each in pixels for part in (each, gap)][:-1], axis=1))
    image.thumbnail((WIDEST, WIDEST))
    names = "source, synthetic and true picture" if case.truth is not None else "source and synthetic picture"
    return Picture(f"{case.name}, {method}", png_of(image), f"From left to right: {names}.")
