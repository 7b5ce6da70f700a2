"""Z-scores inside the head: how images without a unit are scaled, and the target's scale that the network keeps."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type
from torch import Tensor, nn

from common.data.datasets.patches import VolumePatchDataset
from common.errors import DataError
from common.transforms.head import head_mask


class StandardiseHeadd(MapTransform):
    """Mean 0 and standard deviation 1 over the head; nothing inside it is clipped.

    The head is found in the first channel of the source, in training and inference alike: the largest region above the
    volume's mean, cavities of each axial slice filled. Adds ``<key>_scale``, mean and standard deviation of the first
    channel, and the head as ``mask`` where the case has none.

    Args:
        keys: volumes (C, X, Y, Z), oriented RAS; each channel on its own.
        reference: the key of the source.
        background: the z-score of every voxel outside the head; None keeps what is there. The air around a
            skull-stripped brain has another z-score in every case, which no patch can tell: an L1 over patches is
            mostly about it unless it is the same everywhere.
        allow_missing_keys: skip absent keys.

    Raises:
        DataError: for a volume that is flat inside the head.
    """

    def __init__(
        self,
        keys: KeysCollection,
        reference: str = "image",
        background: float | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.reference = reference
        self.background = background

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Standardise the volumes."""
        scaled = dict(data)
        case = str(data.get("case", ""))
        source = np.asarray(data[self.reference][0])
        head = torch.from_numpy(head_mask(source, None, axial=2, case=case))
        mask = scaled["mask"] if "mask" in scaled else convert_to_dst_type(head[None], data[self.reference])[0]
        scaled["mask"] = (mask > 0).to(torch.float32)
        for key in self.key_iterator(scaled):
            scales = [scale(channel[head], f"{case}: {key}") for channel in torch.as_tensor(scaled[key])]
            mean, deviation = (torch.tensor(part)[:, None, None, None] for part in zip(*scales, strict=True))
            scaled[key] = ((scaled[key] - mean) / deviation).to(torch.float32)
            if self.background is not None:
                scaled[key][:, ~head] = self.background
            scaled[f"{key}_scale"] = torch.tensor(scales[0])
        return scaled


def scale(values: Tensor, name: str) -> tuple[float, float]:
    """Mean and standard deviation of a volume's values inside the head.

    Raises:
        DataError: where they are all equal.
    """
    mean, deviation = float(values.double().mean()), float(values.double().std())
    if not deviation > 0:
        raise DataError(name, "varies inside the head, to be standardised", f"{mean:g} everywhere", "check the file")
    return mean, deviation


class TargetScale:
    """Handler that gives a new run's network the mean scale of its training targets; a resumed run keeps its own.

    Args:
        dataset: of patches whose labels :class:`StandardiseHeadd` has standardised.
        network: has the buffer ``target_scale``.
    """

    def __init__(self, dataset: VolumePatchDataset, network: nn.Module) -> None:
        self.dataset = dataset
        self.network = network

    def attach(self, engine: Engine) -> None:
        """Fit at the first epoch of ``engine``."""
        engine.add_event_handler(Events.EPOCH_STARTED(once=1), self)

    def __call__(self, engine: Engine) -> None:
        """Fit now."""
        scales = torch.stack(list(self.dataset.scales.values()))
        self.network.target_scale.copy_(scales.mean(dim=0))  # type: ignore[operator]
