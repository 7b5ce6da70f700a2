"""T1 made of real T2, FLAIR and PD, in slices of 1 and of 6 mm, next to the real T1 of the same head.

Baselines are the source after a line fitted to the real T1 in the brain, and after matching its histogram there. Grey
scales of MR are arbitrary: the synthetic T1 is fitted by a line too. Tissues are those of the project's segmenter and,
where ``antspyx`` is installed, of Atropos (Avants et al. 2011), which knows neither heads nor this project.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import torch
from monai.data import MetaTensor
from numpy.typing import NDArray

from common.metrics import ms_ssim, psnr, ssim
from common.segmenter import NAMES, segmenter
from common.segmenter.segmentation import dice
from common.simulation.corruptions.slices import averaged
from common.simulation.sampling import Sampling
from common.transforms import WorkingSpacingd
from tools.checks.findings import CheckFinding
from tools.checks.real.images import fitted, infer, read, standardised
from tools.checks.real.plausibility import tissue_masks

Volume = NDArray[np.float32]
Mask = NDArray[np.bool_]
PATIENTS = ("patient07", "patient19", "patient26")
"""The first two may choose among weights; the last is what the table reports."""
TISSUES = ("fluid", "grey", "white")
"""Rising in a T1."""
WEIGHTS = "pretrained_t1.pt"
THICK_MM = 6
MARGIN = 8
"""Voxels of air around a brain that a network or a segmenter is given."""
BETTER_SSIM, LEAST_DICE = 0.05, 0.85
"""What weights must reach: above the SSIM of the line, and of the tissues on average."""
DARKEST = 0.02
"""A stripped scan of Lesjak et al. 2017 is brain where its T1 is above this share of its 99th percentile."""
BACKGROUND_Z = -3.0
"""Of the segmenter's darkest z-score."""
Segment = Callable[[Volume, Mask], NDArray[np.uint8]]
"""Tissues of a T1 in a mask: the position in ``TISSUES`` and one, 0 for others."""


class RealHead(NamedTuple):
    """Sources by contrast and T1 of a head, (X, Y, Z) in voxels of 1 mm, and the mask of its brain."""

    name: str
    sources: dict[str, Volume]
    t1: Volume
    brain: Mask


def heads(data: Path) -> Iterator[RealHead]:
    """Three patients, and averages of many people, whose brain is that of the template space."""
    for patient in PATIENTS:
        folder = data / "open_ms" / patient
        mr = {name: np.maximum(read(folder / f"{name}.nii.gz"), 0) for name in ("t1", "t2", "flair")}
        brain = mr["t1"] > DARKEST * np.percentile(mr["t1"][mr["t1"] > 0], 99)
        box = box_of(brain)
        yield RealHead(patient, {"T2": mr["t2"][box], "FLAIR": mr["flair"][box]}, mr["t1"][box], brain[box])
    folder = data / "spm_templates"
    mr = {name: _at_1_mm(folder / f"{name}.nii") for name in ("t1", "t2", "pd")}
    brain = tissue_masks(mr["t1"].shape[1:], np.asarray(mr["t1"].affine))["brain"]
    sources = {"T2": np.asarray(mr["t2"][0]), "PD": np.asarray(mr["pd"][0])}
    yield RealHead("templates", sources, np.asarray(mr["t1"][0]), brain)


def _at_1_mm(path: Path) -> MetaTensor:
    """A volume (1, X, Y, Z) in RAS orientation, in voxels of 1 mm."""
    image: Any = nib.as_closest_canonical(nib.load(path))
    volume = MetaTensor(np.asarray(image.dataobj, np.float32)[None], affine=image.affine)
    resampled: MetaTensor = WorkingSpacingd(keys="image", spacing=[1, 1, 1])({"image": volume})["image"]
    return resampled


def thick(volume: Volume, axis: int) -> Volume:
    """Slices of 6 mm across an axis, interpolated to 1 mm as a working spacing does it."""
    from mr2ct_pix2pix.simulation import on_thin_grid

    whole = tuple(slice(None) for _ in range(3))
    sampling = Sampling(whole, axis, THICK_MM, THICK_MM, (axis + 1) % 3, 1.0)
    return on_thin_grid(averaged(volume, axis, THICK_MM, THICK_MM), sampling, volume.shape)


def matched(image: Volume, truth: Volume, mask: Mask) -> Volume:
    """The image with the histogram that the truth has in the mask."""
    places = np.linspace(0, 100, 1001)
    levels = np.interp(image, np.percentile(image[mask], places), np.percentile(truth[mask], places))
    return np.asarray(levels, np.float32)


def image_scores(image: Volume, truth: Volume, mask: Mask) -> dict[str, float]:
    """PSNR, SSIM and MS-SSIM in the mask, over the range of the truth there but a thousandth at each end."""
    span = (float(np.percentile(truth[mask], 0.1)), float(np.percentile(truth[mask], 99.9)))
    return {scorer.__name__: scorer(image, truth, mask, span) for scorer in (psnr, ssim, ms_ssim)}


def ours(image: Volume, mask: Mask) -> NDArray[np.uint8]:
    """Tissues by the project's segmenter, the likeliest of the three in each voxel; z-scores are those of the brain."""
    stripped = np.where(mask, standardised(_clipped(image, mask), mask), np.float32(BACKGROUND_Z))
    slices = torch.from_numpy(stripped.astype(np.float32)).movedim(2, 0)[:, None]
    network, wanted = segmenter("MR"), [NAMES.index(name) for name in TISSUES]
    with torch.inference_mode():
        found = torch.cat([network(part)[:, wanted].argmax(1) for part in slices.split(8)])
    return np.where(mask, found.movedim(0, 2).numpy() + 1, 0).astype(np.uint8)


def atropos(image: Volume, mask: Mask) -> NDArray[np.uint8]:
    """Tissues by the k-means and the random field of Atropos; the scans are free of receive fields."""
    import ants

    shown = _clipped(image, mask)
    shown = np.where(mask, shown - shown[mask].min() + 1, 0).astype(np.float32)
    inside = ants.from_numpy(mask.astype(np.float32))
    found = ants.atropos(ants.from_numpy(shown), inside, i="kmeans[3]", m="[0.1,1x1x1]", c="[4,0]")
    return np.asarray(found["segmentation"].numpy(), np.uint8)


def _clipped(image: Volume, mask: Mask) -> Volume:
    """The image without the brightest thousandth of the mask, vessels, of which k-means would make a tissue."""
    return np.minimum(image, np.float32(np.percentile(image[mask], 99.9)))


def overlaps(found: NDArray[np.uint8], real: NDArray[np.uint8]) -> dict[str, float]:
    """Dice of each tissue, their mean, and the volume of each relative to that in the real T1."""
    scores: dict[str, float] = {}
    for number, name in enumerate(TISSUES, 1):
        scores[name] = dice(found == number, real == number)
    scores["dice"] = float(np.mean(list(scores.values())))
    for number, name in enumerate(TISSUES, 1):
        scores[f"{name}_volume"] = float((found == number).sum() / max((real == number).sum(), 1))
    return scores


def segmenters() -> Mapping[str, Segment]:
    """The project's, and Atropos where it is installed."""
    return {"ours": ours} | ({"atropos": atropos} if find_spec("ants") else {})


def tissues_in(brain: Mask, image: Volume, segment: Segment) -> NDArray[np.uint8]:
    """Tissues of the box of a brain, which is all that a segmenter is given."""
    box = box_of(brain)
    return segment(image[box], brain[box])


def box_of(mask: Mask) -> tuple[slice, ...]:
    """The box of a mask (X, Y, Z), with a margin."""
    places = np.argwhere(mask)
    ends = zip(places.min(0).tolist(), places.max(0).tolist(), strict=True)
    return tuple(slice(max(low - MARGIN, 0), high + MARGIN + 1) for low, high in ends)


def findings(data: Path, out: Path, weights: Path) -> Iterator[CheckFinding]:
    """A row for each head, source and thickness; the thick slices of a source lie across one axis after another."""
    for head in heads(data):
        truths = {name: tissues_in(head.brain, head.t1, segment) for name, segment in segmenters().items()}
        cases = {f"{name}_1mm": source for name, source in head.sources.items()}
        for axis, (name, source) in enumerate(head.sources.items()):
            cases[f"{name}_{THICK_MM}mm"] = thick(source, (axis + 2) % 3)
        folder = out / head.name / "data"
        folder.mkdir(parents=True)
        for name, source in cases.items():
            nib.save(nib.nifti1.Nifti1Image(source.astype(np.float32), np.eye(4)), folder / f"{name}.nii.gz")
        made, _ = infer("mr2ct_pix2pix", folder, out / head.name, weights)
        for name, source in cases.items():
            yield finding(f"{head.name} {name}", source, made[name], head, truths)


def finding(
    case: str, source: Volume, made: Volume, head: RealHead, truths: Mapping[str, NDArray[np.uint8]]
) -> CheckFinding:
    """SSIM of the synthetic T1 and of both baselines, and what the segmenters find."""
    shown = fitted(made, head.t1, head.brain)
    line = image_scores(fitted(source, head.t1, head.brain), head.t1, head.brain)
    histogram = image_scores(matched(source, head.t1, head.brain), head.t1, head.brain)
    own = image_scores(shown, head.t1, head.brain)
    words = [f"{name} {own[name]:.3f} (line {line[name]:.3f}, histogram {histogram[name]:.3f})" for name in own]
    least = 1.0
    for name, truth in truths.items():
        found = overlaps(tissues_in(head.brain, shown, segmenters()[name]), truth)
        least = min(least, found["dice"])
        words.append(f"{name}: " + ", ".join(f"{each} {value:.2f}" for each, value in found.items()))
    passed = own["ssim"] >= line["ssim"] + BETTER_SSIM and least >= LEAST_DICE
    required = f"ssim >= line + {BETTER_SSIM}, dice >= {LEAST_DICE}"
    return CheckFinding("t1", case, "; ".join(words), required, bool(passed))
