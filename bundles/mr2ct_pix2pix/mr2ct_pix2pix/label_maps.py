"""Label maps as sources: a channel for each label; what each is on average is the reference of an evaluation."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type

from common.data.datalist import Item
from common.errors import ConfigError, DataError, some
from common.evaluation.held_out_case import load_case
from common.io import VolumeReader
from common.io.modality import LABELS
from common.metrics.masked import Volume


def checked_labels(labels: Any) -> list[int]:
    """The labels that have a channel each, as integers above 0.

    Raises:
        ConfigError: they are missing, no whole numbers above 0, or one is there twice.
    """
    if not isinstance(labels, Sequence) or isinstance(labels, str) or not labels:
        raise ConfigError(f"--labels is {labels!r}, not a list of labels", "pass those of the maps, such as [1,2,3]")
    if bad := [label for label in labels if isinstance(label, bool) or not isinstance(label, int) or label < 1]:
        raise ConfigError(f"--labels has {bad[0]!r}, not a whole number above 0", "omit it; 0 is the background")
    if len(set(labels)) < len(labels):
        raise ConfigError(f"--labels is {list(labels)}, with a label twice", "list each label once")
    return list(labels)


def channel_count(labels: Any, neighbours: int) -> int:
    """Channels of a slab: one for each of the labels, see :func:`checked_labels`, in each slice."""
    return LabelChannelsd("image", labels).channels_after(neighbours)


class CheckLabelsd(MapTransform):
    """Refuse a volume that is not a map of the given labels and 0, before a training; it stays as it is.

    Args:
        keys: label maps (1, X, Y, Z).
        labels: of the maps.

    Raises:
        ConfigError: see :func:`checked_labels`.
        DataError: a map has another label, or values that are no labels.
    """

    def __init__(self, keys: KeysCollection, labels: Sequence[int]) -> None:
        super().__init__(keys)
        self.labels = checked_labels(labels)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Check the maps."""
        for key in self.key_iterator(dict(data)):
            case, found = data.get("case", key), np.unique(np.asarray(data[key]))
            if len(broken := found[found != np.rint(found)]):
                fault = f"{case}: source has values that are no labels, such as {broken[0]:.3g}"
                raise DataError(fault, "give a map of whole numbers, not fractions or an image")
            if unknown := [f"{label:g}" for label in found if label not in (0, *self.labels)]:
                fault = f"{case}: source has labels that --labels lacks ({some(unknown)})"
                raise DataError(fault, "add them to --labels, or set them to 0 in the map")
        return dict(data)


class LabelChannelsd(MapTransform):
    """Turn label maps into channels, one for each label: 1 where a voxel has it, -1 elsewhere.

    The background, label 0, has no channel: its voxels are -1 in all, as what slices are padded with. Channel
    ``c * N + n`` is label c of map n, which is the order of :func:`common.networks.slabs.slabs`.

    Args:
        keys: label maps (N, ...), such as the slices of a slab; become (C * N, ...) float32.
        labels: of the maps, in the order of the channels.

    Raises:
        ConfigError: see :func:`checked_labels`.
    """

    def __init__(self, keys: KeysCollection, labels: Sequence[int]) -> None:
        super().__init__(keys)
        self.labels = checked_labels(labels)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the maps by channels."""
        made = dict(data)
        for key in self.key_iterator(made):
            maps = torch.as_tensor(np.asarray(made[key]))
            channels = torch.cat([maps == label for label in self.labels]).float() * 2 - 1
            made[key] = convert_to_dst_type(channels, made[key], dtype=torch.float32)[0]
            if isinstance(made[key], MetaTensor):
                made[key].meta[LABELS] = True
        return made

    def channels_after(self, maps: int) -> int:
        """Channels of so many maps, by which an inference plans its memory."""
        return len(self.labels) * maps


class LabelMeans:
    """Each label's mean intensity over the training cases, (X, Y, Z) -> (X, Y, Z), in z-scores inside the head.

    A label that no training case has gets the mean of all, 0. The cases are read when the first volume is asked for.

    Args:
        cases: items by section, as :func:`common.data.selection.training_cases` gives them.
        head_threshold: label above which is the head, see :func:`common.evaluation.held_out_case.load_case`.
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
