"""ISMRMRD files: the acquisitions of a 2-D Cartesian scan as k-space with the grid of its images.

Read by h5py alone: the acquisitions are one compound dataset, and the package ``ismrmrd`` reads them one by one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import VolumeError, Where
from common.simulation.corruptions.kspace import Complex
from common.simulation.corruptions.masks import Mask
from mri_dagan.kspace_scan import (
    KspaceScan,
    checked_kspace,
    grid_without_orientation,
    header_of,
    require_room,
    without_oversampling,
)

CORRECTIONS = {"navigators": 1 << 22, "phase correction": 1 << 23, "phase stabilisation": 3 << 29}
"""Flags of acquisitions that correct others."""
NO_IMAGE = sum(CORRECTIONS.values()) + sum(1 << (flag - 1) for flag in (19, 20, 26, 27, 28, 29))
"""Flags of acquisitions that are no part of the image: these, noise, calibration, feedback, dummies, body coil."""
REVERSED = 1 << 21
"""Flag of a line that was read backwards, and is stored so."""
COMPRESSED = 15 << 52
"""Flags of samples that are no plain numbers."""
CHOICES = ("contrast", "repetition")
COUNTERS = (*CHOICES, "phase", "set")
"""Of images at one place."""
TO_RAS = np.array([-1.0, -1.0, 1.0])
SPARSEST = 100
"""Largest ratio of an encoded matrix to its samples; no scan is accelerated as much."""
UNEVEN_MM = 0.1
"""Largest deviation of a slice from even distances."""


def read_ismrmrd(group: Any, where: Where, contrast: int | None, repetition: int | None) -> KspaceScan:
    """Read the group of an ISMRMRD file with ``xml`` and ``data``; see :func:`mri_dagan.kspace_files.read_kspace`."""
    require_room(group["data"], where)
    acquisitions = group["data"][()]
    flags = acquisitions["head"]["flags"]
    unused = [name for name, flag in CORRECTIONS.items() if _has(flags, flag).any()]
    acquisitions = acquisitions[~_has(flags, NO_IMAGE)]
    _require_plain(acquisitions["head"], unused, where)
    (encoding,) = np.unique(acquisitions["head"]["encoding_space_ref"])[:1] if len(acquisitions) else (0,)
    header = header_of(group["xml"][0], where, int(encoding))
    acquisitions = _chosen(acquisitions, {"contrast": contrast, "repetition": repetition}, where)
    heads = acquisitions["head"]
    if header.matrix[2] > 1 or heads["idx"]["kspace_encode_step_2"].any():
        partitions = f"{header.matrix[2]} partitions"
        raise VolumeError(where("k-space is not of 2-D slices", partitions, "transform it along the partitions first"))
    kspace, measured = _placed(acquisitions, header.matrix[:2], header.middle, where)
    whole = without_oversampling(checked_kspace(kspace, where), header)
    if whole.shape != kspace.shape:
        if (measured != measured[:1]).any():
            samples = f"{measured.sum(0).max()} of {len(measured)} samples"
            remedy = "fill its lines, such as by homodyne reconstruction, or remove the oversampling first"
            raise VolumeError(where("the readout is oversampled and partial", samples, remedy))
        measured = np.ascontiguousarray(measured[: whole.shape[2]])
    order, affine, warnings = _grid(heads, whole.shape, header, where)
    if unused:
        remedy = "they are left out, so that what they correct may show"
        warnings = (*warnings, where("acquisitions of corrections", ", ".join(unused), remedy, "warning"))
    return KspaceScan(whole[order], measured, affine, warnings=warnings)


def _has(flags: NDArray[np.uint64], wanted: int) -> NDArray[np.bool_]:
    return np.asarray((flags & np.uint64(wanted)) != 0)


def _require_plain(heads: Any, unused: list[str], where: Where) -> None:
    """Refuse what is no line of samples at even places.

    Raises:
        VolumeError: samples are compressed or have places of their own, lines belong to several encodings, or were read
            to and fro and have lines for their phase correction.
    """
    if _has(heads["flags"], COMPRESSED).any():
        raise VolumeError(where("samples are compressed", "", "write them as plain numbers"))
    if heads["trajectory_dimensions"].any():
        fault = "samples have a trajectory, such as on the ramps of a gradient"
        raise VolumeError(where(fault, "trajectory_dimensions is not 0", "grid them first"))
    if len(numbers := np.unique(heads["encoding_space_ref"])) > 1:
        remedy = "write one of them into a file of its own"
        raise VolumeError(where("k-space has several encodings", f"encoding_space_ref {numbers.tolist()}", remedy))
    if "phase correction" in unused and _has(heads["flags"], REVERSED).any():
        fault = "lines read to and fro need their phase correction"
        raise VolumeError(where(fault, "ACQ_IS_REVERSE and ACQ_IS_PHASECORR_DATA", "apply it, then export the file"))


def _chosen(acquisitions: Any, choice: dict[str, int | None], where: Where) -> Any:
    """The acquisitions of one image at each place."""
    for name in COUNTERS:
        numbers = acquisitions["head"]["idx"][name]
        known = sorted({int(number) for number in numbers})
        wanted = choice.get(name)
        if wanted is not None and wanted not in known:
            raise VolumeError(where(f"no {name} {wanted} in the file", f"it has {known}", f"choose another {name}"))
        if wanted is None and len(known) > 1:
            remedy = f"pass --reader::{name}" if name in CHOICES else "write one of them into a file of its own"
            raise VolumeError(where(f"k-space has more than one {name}", f"{known}", remedy))
        acquisitions = acquisitions[numbers == (known[0] if wanted is None and known else wanted)]
    if not len(acquisitions):
        raise VolumeError(where("no acquisitions of an image in the file", "", "export it again"))
    return acquisitions


def _placed(acquisitions: Any, matrix: tuple[int, ...], middle: int, where: Where) -> tuple[Complex, Mask]:
    """K-space (slices, coils, rows, columns), averages as their mean, and the mask (rows, columns) of all slices.

    Samples to be discarded are, and reversed lines are turned. The middle of an even line, which converters leave at
    half its length, is then taken as there.
    """
    heads = acquisitions["head"]
    numbers, slices = np.unique(heads["idx"]["slice"], return_inverse=True)
    coils = int(heads["active_channels"][0])
    columns = heads["idx"]["kspace_encode_step_1"].astype(int) - middle + matrix[1] // 2
    before, after, samples, centres = (
        heads[name].astype(int) for name in ("discard_pre", "discard_post", "number_of_samples", "center_sample")
    )
    turned = _has(heads["flags"], REVERSED)
    kept = samples - before - after
    centres = np.where(turned & (2 * (centres - before) != kept), samples - 1 - centres - after, centres - before)
    starts = matrix[0] // 2 - centres
    ends = starts + kept
    outside = (columns < 0) | (columns >= matrix[1]) | (starts < 0) | (ends > matrix[0]) | (kept <= 0)
    if outside.any() or (heads["active_channels"] != coils).any():
        fault = f"lines do not fit into {matrix[0]} x {matrix[1]} samples of {coils} coils"
        raise VolumeError(where(fault, "", "check encodedSpace, encodingLimits and active_channels"))
    if len(numbers) * math.prod(matrix) > SPARSEST * kept.sum():
        matrices = f"{kept.sum()} samples in {len(numbers)} matrices of {matrix[0]} x {matrix[1]}"
        raise VolumeError(where("hardly any of the k-space is measured", matrices, "check encodedSpace"))
    kspace = np.zeros((len(numbers), coils, *matrix), dtype=np.complex64)
    counts = np.zeros((len(numbers), *matrix), dtype=int)
    for number, data in enumerate(acquisitions["data"]):
        line = data.view(np.complex64).reshape(coils, samples[number])
        line = line[:, before[number] : samples[number] - after[number]]
        place = slices[number], slice(starts[number], ends[number]), columns[number]
        kspace[place[0], :, place[1], place[2]] += line[:, ::-1] if turned[number] else line
        counts[place] += 1
    if ((counts > 0) != (counts[:1] > 0)).any():
        raise VolumeError(where("slices have different lines", "", "write each sampling into a file of its own"))
    return kspace / np.maximum(counts, 1)[:, None], counts[0] > 0


def _grid(heads: Any, shape: tuple[int, ...], header: Any, where: Where) -> tuple[Any, Any, tuple[Any, ...]]:
    """Order of the slices, affine (4, 4) to RAS mm by position and directions (LPS), and warnings."""
    size_mm = (header.encoded_mm[0] / header.matrix[0], header.encoded_mm[1] / shape[3])
    _, first = np.unique(heads["idx"]["slice"], return_index=True)
    names = ("phase_dir", "read_dir", "slice_dir")
    axes = np.stack([heads[name][first[0]] for name in names], 1).astype(float)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3):
        fields = (size_mm[0] * shape[2], size_mm[1] * shape[3])
        affine, warning = grid_without_orientation((shape[0], *shape[2:]), fields, header.image_mm[2], where)
        return np.arange(shape[0]), affine, (warning,)
    if any((heads[name] != heads[name][first[0]]).any() for name in names):
        raise VolumeError(where("slices are not parallel", "", "write each direction into a file of its own"))
    places = heads["position"][first].astype(float)
    along = places @ axes[:, 2]
    order = np.argsort(along)
    steps = np.diff(along[order])
    if len(steps) and (np.ptp(steps) > UNEVEN_MM or steps.min() < UNEVEN_MM):
        distances = f"distances from {steps.min():g} to {steps.max():g} mm"
        raise VolumeError(where("slices are unevenly spaced", distances, "correct the positions"))
    spacing = np.array([size_mm[1], size_mm[0], steps.mean() if len(steps) else header.image_mm[2]])
    affine = np.eye(4)
    affine[:3, :3] = TO_RAS[:, None] * axes * spacing + 0.0  # no -0
    corner = places[order[0]] - axes[:, :2] @ (np.array([shape[3] // 2, shape[2] // 2]) * spacing[:2])
    affine[:3, 3] = TO_RAS * corner
    return order, affine, ()
