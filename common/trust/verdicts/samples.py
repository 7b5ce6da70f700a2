"""Held-out cases, intact and distorted, with their signs and their true error."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import torch
from monai.transforms import Orientation

from ...data.datalist import Item
from ...errors import DataError, users_mistake
from ...evaluation.cases import Case, load_case, own_window
from ...evaluation.methods import EvaluatedMethod
from ...io import VolumeReader
from ...metrics.masked import mae
from ...seeds import derive
from ...transforms import LoadVolumed
from ...transforms.body import OUTSIDE
from .cases import Source, signs_of
from .distortions import distorted
from .signs import Signs

logger = logging.getLogger(__name__)
INTACT = "intact"
CONSTANT = "best constant"
COPIED = "copied source"
KEYS = ("image", "label", "mask")


class Sample(NamedTuple):
    """A case as it is or distorted: its signs, or why there are none; its mean absolute error in the mask, and those of
    answers without a network, by :data:`CONSTANT` and :data:`COPIED`, all in the unit of the grading."""

    case: str
    kind: str
    signs: dict[str, float] | str
    error: float
    rivals: dict[str, float]


@dataclass
class Sampling:
    """Infers cases, intact and distorted, as the method does from their files.

    Args:
        method: with its weights.
        device: to compute on.
        signs: that are computed of each.
        head_threshold: see :func:`common.evaluation.cases.load_case`.
        reader: of the volumes.
        standardise: compare z-scores, see :func:`common.evaluation.cases.load_case`.
        copied: source and target have one unit, so that copying the source is an answer.
        relative: errors in percent of what is bright in the truth, see :func:`common.evaluation.cases.own_window`.
    """

    method: EvaluatedMethod
    device: torch.device
    signs: Signs
    head_threshold: float | None = None
    reader: VolumeReader | None = None
    standardise: bool = False
    copied: bool = False
    relative: bool = False

    def __call__(self, item: Item, kinds: Sequence[str]) -> Iterator[Sample]:
        """The case as it is, then with each distortion; one that the method refuses to infer is left out.

        The strength of a distortion and what is random in it depend on the name of the case and of the distortion.
        """
        yield self._sample(item, INTACT)
        volumes, affine = self._loaded(item)
        spacing = np.linalg.norm(affine[:3, :3], axis=0).astype(np.float32)
        for kind in kinds:
            seed = derive(*f"{item['case']} {kind}".encode())
            strength = float(np.random.default_rng((seed, 1)).random())
            with tempfile.TemporaryDirectory() as folder:
                try:
                    spoilt = distorted(kind, volumes, spacing, strength, seed)
                    yield self._sample(_written(spoilt, affine, item, Path(folder)), kind)
                except Exception as error:  # a chain of transforms wraps what one of them says of the data
                    if not isinstance(mistake := users_mistake(error), DataError):
                        raise
                    logger.warning(f"{kind}: left out, since it would fail: {mistake}")

    def _loaded(self, item: Item) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Volumes (C, X, Y, Z) oriented RAS, and their affine."""
        chosen = {key: item[key] for key in ("case", *KEYS) if key in item}
        loaded: Any = LoadVolumed(KEYS, self.reader, allow_missing_keys=True)(chosen)  # type: ignore[arg-type]
        turned = {key: Orientation(axcodes="RAS", labels=None)(loaded[key]) for key in KEYS if key in item}
        volumes = {key: np.asarray(volume, np.float32) for key, volume in turned.items()}
        return volumes, np.asarray(turned["image"].affine, dtype=float)  # type: ignore[attr-defined]

    def _sample(self, item: Item, kind: str) -> Sample:
        case = load_case(item, self.head_threshold, self.reader, self.standardise)
        assert case.truth is not None
        inferred = self.method.inferred(case, self.device)
        restored = self.method.finished(case, inferred)
        output = np.asarray(restored["pred"][0], dtype=np.float64)
        unit = own_window(case)[1] / 100 if self.relative else 1.0
        error, rivals = mae(output, case.truth, case.mask) / unit, self._rivals(case)
        signs = signs_of(self.signs, Source.of(inferred["image"]), output, restored.get(OUTSIDE))
        return Sample(case.name, kind, signs, error, {name: value / unit for name, value in rivals.items()})

    def _rivals(self, case: Case) -> dict[str, float]:
        """Errors of answers without a network."""
        assert case.truth is not None
        truth = case.truth[case.mask]
        found = {CONSTANT: float(np.abs(truth - np.median(truth)).mean())}
        return found | ({COPIED: mae(case.source, case.truth, case.mask)} if self.copied else {})


def _written(volumes: dict[str, np.ndarray], affine: np.ndarray, item: Item, folder: Path) -> Item:
    """The item of volumes that are written as NIfTI, one file a channel."""
    paths: dict[str, list[str]] = {}
    for name, volume in volumes.items():
        for number, channel in enumerate(volume):
            path = folder / f"{name}_{number}.nii"
            nib.save(nib.Nifti1Image(np.ascontiguousarray(channel), affine), path)
            paths.setdefault(name, []).append(str(path))
    single = {name: channels[0] if len(channels) == 1 else channels for name, channels in paths.items()}
    return {"case": item["case"], **single}
