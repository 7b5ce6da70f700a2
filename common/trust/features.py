"""Features of a case: numbers of its source, of its output and of both together, without a truth.

They are computed on a coarse grid along the axes of the source, so that they cost seconds at most, and are the same
for a scan at any resolution. None needs a further pass of the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from ..data.checks.misregistration import BINS, binned, mutual_information
from ..segmenter import NAMES, segmenter
from ..segmenter.segmentation import Classes, dice, dice_by_class, segmented
from ..transforms.body import CAVITY_HU
from ..transforms.head import head_mask
from ..units import HU, tissues_of

GRID_MM = 2.5
"""Spacing of the grid on which features are computed."""
SLICES = 3
"""Every third slice is segmented."""
ENDS = ("left", "right", "back", "front", "bottom", "top")
AXES = ("left to right", "back to front", "bottom to top")

PERCENTILES = (2, 10, 25, 50, 75, 90, 98)
DEPTH = 0.35
"""Smallest depth of the inner head, relative to its deepest point."""
AIR_PERCENTILE = 1
"""Percentile of the volume taken as air or removed tissue, since a network's input may be shifted and scaled."""

LONGEST_PERIOD = 8
"""In voxels."""
SPECTRUM_VOXELS = 4_000_000
"""Rows of a larger volume are thinned out to about so many voxels."""
OVERLAP = "overlap of tissue: "
TISSUE_OUTSIDE = "tissue outside the body, share"
"""Of an output before :class:`common.transforms.AirOutsideBodyd`."""

Volume = NDArray[np.floating]


def on_grid(volume: Volume, affine: Volume, source_shape: Sequence[int], source_affine: Volume) -> Volume:
    """A volume (X, Y, Z) linearly interpolated at places ``GRID_MM`` apart along the axes of a source, float32.

    Args:
        volume: of any grid.
        affine: (4, 4) of that grid to mm.
        source_shape: (X, Y, Z) of the source.
        source_affine: (4, 4) of the source to mm, its axes in RAS order.
    """
    spacing = np.linalg.norm(source_affine[:3, :3], axis=0)
    shape = np.maximum(1, np.round(np.asarray(source_shape) * spacing / GRID_MM)).astype(int)
    step = np.diag([*(GRID_MM / spacing), 1.0])
    step[:3, 3] = (GRID_MM / spacing - 1) / 2
    to_volume = np.linalg.inv(affine) @ source_affine @ step
    sampled: Volume = ndimage.affine_transform(
        np.asarray(volume, np.float32), to_volume, output_shape=tuple(shape), order=1, mode="nearest"
    )
    return sampled


class CaseFeatures:
    """What computes the features.

    Args:
        unit: of the error: ``HU``, or any other; outputs in another unit are compared as z-scores in the head.
        tissues: modalities of source and output, ``MR`` and ``CT`` or ``MR`` and ``MR``, if both are heads whose
            tissues :func:`common.segmenter.segmenter` finds; empty to compare no tissues. A source is no ``CT``: it
            is given as a network takes it, and not in HU.
    """

    def __init__(self, unit: str, tissues: Sequence[str] = ()) -> None:
        self.unit = unit
        self.networks = [segmenter(modality) for modality in tissues]

    def __call__(self, source: Volume, output: Volume, thickness: float) -> dict[str, float]:
        """The features by their names, which begin with a kind of :data:`common.trust.words.KINDS`.

        Args:
            source: (C, X, Y, Z) as the network takes it, on the grid of :func:`on_grid`.
            output: (X, Y, Z) in its unit, on the same grid.
            thickness: coarsest voxel side of the scan, in mm.

        Raises:
            DataError: no head is found in the source or the output.
        """
        head = head_mask(source[0], None, axial=2, case="source")
        shown = output if self.unit == HU else standardised(output, head)
        features = dict(_of_source(source, head))
        features["slice thickness in mm"] = thickness
        features |= dict(_of_shape(head))
        features |= dict(_of_output(shown, head, self.unit))
        features |= dict(_of_both(source[0], shown, head))
        features["overlap of the heads"] = dice(head, self._head_of(shown))
        features |= dict(self._tissues(source[0], output, head))
        return {name: float(value) for name, value in features.items()}

    def worst_part(self, name: str, source: Volume, output: Volume) -> str:
        """The third of the head, from bottom to top, in which an overlap is worst; empty for other features.

        Args:
            name: of the feature.
            source: as there.
            output: as there.
        """
        head = head_mask(source[0], None, axial=2, case="source")
        if name == "overlap of the heads":
            return _third(head ^ self._head_of(output if self.unit == HU else standardised(output, head)))
        if name.startswith(OVERLAP):
            given, made = (each == NAMES.index(name[len(OVERLAP) :]) for each in self._classes(source[0], output, head))
            return _third((given ^ made) & head[:, :, ::SLICES])
        return ""

    def _head_of(self, shown: Volume) -> NDArray[np.bool_]:
        if self.unit != HU:
            return head_mask(shown, None, axial=2, case="output")
        everywhere: NDArray[np.bool_] = shown > CAVITY_HU
        return everywhere if everywhere.all() else head_mask(shown, CAVITY_HU, axial=2, case="output")

    def _tissues(self, source: Volume, output: Volume, head: NDArray[np.bool_]) -> Iterator[tuple[str, float]]:
        """Does the output segment like the source? A tissue that is not found in the source has an overlap of 0."""
        if not self.networks:
            return
        given, made = self._classes(source, output, head)
        inside = head[:, :, ::SLICES]
        for name, overlap in dice_by_class(made, given, inside).items():
            yield f"{OVERLAP}{name}", np.nan_to_num(overlap)
        brain = [NAMES.index("white"), NAMES.index("grey")]
        yield "brain found in the source, share", np.isin(given[inside], brain).mean() if inside.any() else 0.0

    def _classes(self, source: Volume, output: Volume, head: NDArray[np.bool_]) -> list[Classes]:
        """Tissues of every third slice of source and output."""
        volumes = (standardised(source, head), output if self.unit == HU else standardised(output, head))
        return [segmented(volume[:, :, ::SLICES], each) for volume, each in zip(volumes, self.networks, strict=True)]


def _third(differs: NDArray[np.bool_]) -> str:
    """The third of the slices (X, Y, Z) that holds most of a difference."""
    counts = [part.sum() for part in np.array_split(differs, 3, axis=2)]
    return f"the {('lower', 'middle', 'upper')[int(np.argmax(counts))]} third"


def standardised(volume: Volume, head: NDArray[np.bool_]) -> Volume:
    """Z-scores inside the head, of a volume (X, Y, Z)."""
    values = volume[head]
    scores: Volume = ((volume - values.mean(dtype=float)) / max(values.std(dtype=float), 1.0e-9)).astype(np.float32)
    return scores


def _of_source(source: Volume, head: NDArray[np.bool_]) -> Iterator[tuple[str, float]]:
    scores = standardised(source[0], head)
    z_scores, ratios = np.percentile(scores[head], PERCENTILES), depth_ratios(source[0], head)
    for percentile, score, ratio in zip(PERCENTILES, z_scores, ratios, strict=True):
        yield f"z-score in the head, percentile {percentile}", score
        yield f"value over the median deep in the head, percentile {percentile}", ratio
    for number, channel in enumerate(source):
        for percentile, value in zip((10, 50, 90), np.percentile(channel[head], (10, 50, 90)), strict=True):
            yield f"network input in the head, channel {number + 1}, percentile {percentile}", value
    yield "grain of the source", _grain(scores, head)
    around = scores[~ndimage.binary_dilation(head, iterations=2)]
    yield "signal around the head", around.std() if around.size else 0.0
    box = scores[ndimage.find_objects(head.astype(int))[0]]
    middle = box.shape[0] // 2
    yield "symmetry of the source", _correlation(box[:middle], box[::-1][:middle])


def _of_shape(head: NDArray[np.bool_]) -> Iterator[tuple[str, float]]:
    """Extent of the mask, its centre, its tilt, and which share of its section lies at an end of the volume."""
    places = np.argwhere(head)
    low, size = places.min(axis=0), np.ptp(places, axis=0) + 1
    for name, extent in zip(AXES, size * GRID_MM, strict=True):
        yield f"head extent in mm, {name}", extent
    places = (places - low + 0.5) / size - 0.5
    for name, centre in zip(AXES, places.mean(axis=0), strict=True):
        yield f"centre of the head in its box, {name}", centre
    covariances = np.cov(places.T)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        yield f"tilt of the head, {AXES[one]} against {AXES[other]}", 12 * covariances[one, other]
    for axis, ends in enumerate((ENDS[:2], ENDS[2:4], ENDS[4:])):
        areas = head.sum(axis=tuple({0, 1, 2} - {axis}))
        for end, share in zip(ends, areas[[0, -1]] / areas.max(), strict=True):
            yield f"head at the edge of the volume, {end}", share


def _of_output(shown: Volume, head: NDArray[np.bool_], unit: str) -> Iterator[tuple[str, float]]:
    values, kind = shown[head], "HU" if unit == HU else "z-score"
    for percentile, value in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True):
        yield f"{kind} in the output, percentile {percentile}", value
    if unit == HU:
        for name, where in tissues_of(values).items():
            yield f"share in the output: {name}", where.mean()
    yield "grain of the output", _grain(standardised(shown, head), head)


def _of_both(source: Volume, shown: Volume, head: NDArray[np.bool_]) -> Iterator[tuple[str, float]]:
    one, other = source[head], shown[head]
    bins = binned(one), binned(other)
    yield "output explained by the source", correlation_ratio(bins[0], other)
    yield "source explained by the output", correlation_ratio(bins[1], one)
    yield "information shared by source and output", mutual_information(*bins)


def depth_ratios(image: Volume, head: NDArray[np.bool_]) -> Volume:
    """Quantiles over the median of the values above air deep inside the head: high for T2, low for T1 weighting."""
    depth = ndimage.distance_transform_edt(np.pad(head, 1))[1:-1, 1:-1, 1:-1]
    deep = np.percentile(image[depth >= DEPTH * depth.max()].astype(float), PERCENTILES)
    above = deep - np.percentile(image, AIR_PERCENTILE)
    middle = above[PERCENTILES.index(50)]
    ratios: Volume = above / (middle if middle > 0 else 1.0)
    return ratios


def correlation_ratio(bins: NDArray[np.int64], values: Volume) -> float:
    """Share of the variance of values (N,) that their bin (N,) explains, in [0, 1] (Roche et al. 1998, equation 4).

    It is 1 where the values are a function of what was binned, whichever function, and 0 where they do not depend on
    it: how well an inverse mapping, voxel by voxel, could give the one back from the other.
    """
    counts = np.bincount(bins, minlength=BINS)
    means = np.bincount(bins, values, BINS) / np.maximum(counts, 1)
    total = np.var(values, dtype=float)
    return float(counts @ (means - values.mean(dtype=float)) ** 2 / (values.size * total)) if total > 0 else 0.0


def _grain(scores: Volume, head: NDArray[np.bool_]) -> float:
    """Standard deviation of what a Gaussian of one voxel removes, of z-scores: high for noise, low for blur."""
    return float((scores - ndimage.gaussian_filter(scores, 1.0))[head].std())


def periodicity(volume: Volume) -> float:
    """How far the sharpest line of a spectrum along an axis stands above its surroundings, a ratio.

    Periods of 2 to ``LONGEST_PERIOD`` voxels, as transposed convolutions and strides leave; anatomy has no such lines.

    Args:
        volume: (X, Y, Z) at its own resolution, any unit.
    """
    sharpest = 0.0
    for axis, count in enumerate(volume.shape):
        if count < 2 * LONGEST_PERIOD:
            continue
        rows = np.moveaxis(volume, axis, -1)
        changes = np.diff(rows.reshape(-1, count)[:: max(1, rows.size // SPECTRUM_VOXELS)].astype(np.float32))
        tapered = changes * np.hanning(count - 1).astype(np.float32)
        lines = torch.fft.rfft(torch.from_numpy(tapered)).abs().square()  # a fifth of the time of NumPy's in float64
        power = lines.mean(dim=0)[count // LONGEST_PERIOD :].numpy()
        around = ndimage.median_filter(power, 9, mode="mirror")
        if (around > 0).all():
            sharpest = max(sharpest, float((power / around).max()))
    return sharpest


def _correlation(one: Volume, other: Volume) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / size if size > 0 else 0.0
