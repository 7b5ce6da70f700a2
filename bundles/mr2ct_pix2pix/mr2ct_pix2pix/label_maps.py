"""Label maps as sources: a channel for each label; what each is on average is the reference of an evaluation."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type

from common.data.datalist import Item
from common.errors import ConfigError, DataError, some
from common.evaluation.cases import load_case
from common.io import VolumeReader
from common.metrics.masked import Volume


def checked_classes(classes: Any) -> list[int]:
    """The labels that have a channel each, as integers above 0.

    Raises:
        ConfigError: they are missing, no whole numbers above 0, or one is there twice.
    """
    if not isinstance(classes, Sequence) or isinstance(classes, str) or not classes:
        raise ConfigError(f"--classes is {classes!r}, not a list of labels", "pass those of the maps, such as [1,2,3]")
    if bad := [label for label in classes if isinstance(label, bool) or not isinstance(label, int) or label < 1]:
        raise ConfigError(f"--classes has {bad[0]!r}, not a whole number above 0", "omit it; 0 is the background")
    if len(set(classes)) < len(classes):
        raise ConfigError(f"--classes is {list(classes)}, with a label twice", "list each label once")
    return list(classes)


def channel_count(classes: Any, neighbours: int) -> int:
    """Channels of a slab: one for each of the classes, see :func:`checked_classes`, in each slice."""
    return len(checked_classes(classes)) * neighbours


class CheckLabelsd(MapTransform):
    """Refuse a volume that is not a map of the given labels and 0, before a training; it stays as it is.

    Args:
        keys: label maps (1, X, Y, Z).
        classes: the labels.

    Raises:
        ConfigError: see :func:`checked_classes`.
        DataError: a map has another label, or values that are no labels.
    """

    def __init__(self, keys: KeysCollection, classes: Sequence[int]) -> None:
        super().__init__(keys)
        self.classes = checked_classes(classes)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Check the maps."""
        for key in self.key_iterator(dict(data)):
            case, found = data.get("case", key), np.unique(np.asarray(data[key]))
            if len(broken := found[found != np.rint(found)]):
                fault = f"{case}: source has values that are no labels, such as {broken[0]:.3g}"
                raise DataError(fault, "give a map of whole numbers, not fractions or an image")
            if unknown := [f"{label:g}" for label in found if label not in (0, *self.classes)]:
                fault = f"{case}: source has labels that --classes lacks ({some(unknown)})"
                raise DataError(fault, "add them to --classes, or set them to 0 in the map")
        return dict(data)


class LabelChannelsd(MapTransform):
    """Turn label maps into channels, one for each label: 1 where a voxel has it, -1 elsewhere.

    The background, label 0, has no channel: its voxels are -1 in all, as what slices are padded with. Channel
    ``c * N + n`` is label c of map n, which is the order of :func:`common.networks.slabs.slabs`.

    Args:
        keys: label maps (N, ...), such as the slices of a slab; become (C * N, ...) float32.
        classes: the labels, in the order of the channels.

    Raises:
        ConfigError: see :func:`checked_classes`.
    """

    def __init__(self, keys: KeysCollection, classes: Sequence[int]) -> None:
        super().__init__(keys)
        self.classes = checked_classes(classes)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the maps by channels."""
        made = dict(data)
        for key in self.key_iterator(made):
            maps = torch.as_tensor(np.asarray(made[key]))
            channels = torch.cat([maps == label for label in self.classes]).float() * 2 - 1
            made[key] = convert_to_dst_type(channels, made[key], dtype=torch.float32)[0]
        return made


class LabelMeans:
    """Each label's mean intensity over the training cases, (X, Y, Z) -> (X, Y, Z), in z-scores inside the head.

    A label that no training case has gets the mean of all, 0. The cases are read when the first volume is asked for.

    Args:
        cases: items by section, as :func:`common.data.cases.training_cases` gives them.
        head_threshold: label above which is the head, see :func:`common.evaluation.cases.load_case`.
        reader: of the volumes, as in training.
    """

    def __init__(
        self, cases: Mapping[str, Sequence[Item]], head_threshold: float, reader: VolumeReader | None = None
    ) -> None:
        self.cases = cases
        self.head_threshold = head_threshold
        self.reader = reader
        self.means: dict[float, float] | None = None

    def __call__(self, volume: np.ndarray) -> Volume:
        """The mean of the label of each voxel."""
        if self.means is None:
            self.means = self._fitted()
        labels, places = np.unique(volume, return_inverse=True)
        return np.array([self.means.get(float(label), 0.0) for label in labels])[places].reshape(volume.shape)

    def _fitted(self) -> dict[float, float]:
        sums: dict[float, np.ndarray] = {}
        for item in self.cases["training"]:
            case = load_case(item, self.head_threshold, self.reader, standardise=True, labelled=True)
            if case.truth is not None:
                for label in np.unique(case.source):
                    values = case.truth[case.source == label]
                    sums[float(label)] = sums.get(float(label), np.zeros(2)) + [values.sum(dtype=float), values.size]
        return {label: float(total / count) for label, (total, count) in sums.items()}
