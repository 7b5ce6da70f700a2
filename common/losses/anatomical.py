"""A distance between images by what a frozen segmenter of tissues sees in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..networks.tissue_segmenter import LEAST_SIDE
from ..segmenter import segmenter
from ..transforms.piecewise_linear import Point
from .features import FeatureDistance


class AnatomicalL1(FeatureDistance):
    """Mean over the activations of a frozen segmenter of tissues of the L1 between those of both images.

    Johnson et al. 2016 (eq. 2) compare images by the features of a classifier of photographs; Longuefosse et al. 2024
    (anatomical feature-prioritised loss) by those of a segmenter of the anatomy. Here it is a small U-Net trained on
    simulated heads, :func:`common.segmenter.segmenter`, which takes slices: of volumes all those across the last axis.

    Args:
        modality: of the target, ``CT`` or ``MR``.
        window: of the scale of the images, see :class:`common.transforms.piecewise_linear.PiecewiseLinearScale`; None
            for images in the unit of the segmenter, HU or z-scores inside the head.
        points: of that scale.
        weights: another file of ``python -m tools.tissue_segmenter``; None for that of the package.

    Raises:
        ConfigError: another modality, a window that is none, and when called with slices below 16 pixels a side.
        CheckpointError: see :func:`common.segmenter.segmenter`.
    """

    def __init__(
        self,
        modality: str,
        window: Sequence[float] | None = None,
        points: Sequence[Point] | None = (),
        weights: str | Path | None = None,
    ) -> None:
        super().__init__(segmenter(modality, weights), window=window, points=points, least_side=LEAST_SIDE)
