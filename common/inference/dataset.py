"""Cases of a batch inference: preprocessed one at a time, without copies; failures become messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import Dataset, MetaTensor, ThreadDataLoader, list_data_collate
from torch import Tensor

from .. import devices
from ..config.mistakes import out_of_memory
from ..errors import ConfigError, DataError, user_error_in
from ..io.modality import COMPLEX, FAULT, LABELS, MODALITY, SOURCE_MODALITY, TIMES, UNKNOWN, require_modality

ERROR_KEY = "failure"
OF_TRANSFORM = re.compile(r"applying transform <(?:\w+\.)*(\w+) object")
"""How MONAI names the transform in which something failed."""
LEAST_CONTRAST = {"source": 0.1, "synthetic volume": 1.0e-4}
"""Between the 0.1th and the 99.9th percentile, in a network's scale: windows are [-1, 1], and z-scores span several."""


class CaseDataset(Dataset):
    """Preprocesses one case at a time; a case that cannot be read becomes an error message instead of an exception.

    Args:
        data: items with ``image`` and ``case``, else named by their numbers from 0, and ``source_modality`` where a
            case of another modality is to fail; under torchrun each process takes its share.
        transform: preprocessing; of the volumes that it gives only ``image`` is kept.
        max_memory_gb: memory of the process in GB (10^9 bytes) that a case may lead to; see
            :class:`common.inference.memory.MemoryPlan`. None for half of what is free.

    Raises:
        ConfigError: for items that are no cases.
    """

    def __init__(
        self,
        data: Sequence[dict[str, Any]],
        transform: Callable[..., Any] | None = None,
        max_memory_gb: float | None = None,
    ) -> None:
        if not all(isinstance(item, dict) for item in data):
            raise ConfigError(f"--dataset::data is {repr(data)[:80]}, not a list of cases", "pass --datalist instead")
        named = [{"case": str(number), **item} for number, item in enumerate(data)]
        super().__init__(devices.deal(named), transform)
        self.max_memory_gb = max_memory_gb
        self.before: list[Callable[[dict[str, Any]], None]] = []
        """Called one by one with an item before it is read; one may wait, or raise to let the case fail."""

    def __getitem__(self, index: int) -> dict[str, Any]:  # type: ignore[override]
        item: dict[str, Any] = dict(self.data[index])
        try:
            if FAULT in item:
                return {"case": item["case"], ERROR_KEY: item[FAULT]}
            if self.transform is None:
                return item
            for step in self.before:
                step(item)
            done = dict(self.transform(item))
            if SOURCE_MODALITY in item:
                require_modality(item["case"], item[SOURCE_MODALITY], done["image"].meta.get(MODALITY, UNKNOWN))
            for channel in _seen(done["image"]):
                require_contrast(channel, item["case"], "source", "check its unit, and the windows of the config")
            return {key: value for key, value in done.items() if key == "image" or not _is_volume(value)}
        except Exception as error:  # any error is a failure of this case only
            return {"case": item["case"], ERROR_KEY: reason_of(error)}


class OneCaseLoader(ThreadDataLoader):
    """MONAI's ``ThreadDataLoader`` for cases one by one: the volume of a batch is that of its case, not a copy.

    Args:
        dataset: see :class:`CaseDataset`.
        **loader: of ``ThreadDataLoader``.
    """

    def __init__(self, dataset: Dataset, **loader: Any) -> None:
        super().__init__(dataset, batch_size=1, collate_fn=_as_batch, **loader)


def _seen(image: MetaTensor) -> Tensor:
    """The channels that must each have contrast: one label or time may have none, and an image may be real."""
    if image.meta.get(LABELS) or image.meta.get(TIMES):
        return image[: image.meta.get(TIMES)].amax(dim=0, keepdim=True)
    return image[:1] if image.meta.get(COMPLEX) else image


def _as_batch(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A batch of one case as MONAI makes it, but for volumes, which would be copied."""
    (item,) = items
    small = {key: emptied(value, (1,) * value.ndim) if _is_volume(value) else value for key, value in item.items()}
    batch: dict[str, Any] = list_data_collate([small])
    for key, value in item.items():
        if _is_volume(value):
            volume: Any = value.as_tensor()[None].as_subclass(MetaTensor)
            volume.__dict__.update(batch[key].__dict__)
            batch[key] = volume
    return batch


def emptied(volume: MetaTensor, shape: Sequence[int] | None = None) -> MetaTensor:
    """Zeros that take no memory, with the geometry and history of a volume, and its shape unless another is given."""
    zeros = torch.zeros(1).expand(*(volume.shape if shape is None else shape))
    return MetaTensor(zeros, meta=volume.meta, applied_operations=volume.applied_operations)


def _is_volume(value: Any) -> bool:
    return isinstance(value, MetaTensor) and value.ndim > 3


def require_contrast(values: Tensor, case: str, what: str, remedy: str) -> None:
    """Refuse an image (..., X, Y, Z) of nearly one value.

    Raises:
        DataError: where it has not the least contrast of ``what``.
    """
    some = values.detach()[..., ::2, ::2, ::2].float().cpu().numpy()
    if not np.isfinite(some).all():  # another check refuses it
        return
    low, middle, high = np.percentile(some, (0.1, 50, 99.9))
    if high - low < LEAST_CONTRAST[what]:
        about = f"the {what} varies by less than {LEAST_CONTRAST[what]:g} as the network sees it"
        raise DataError(f"{case}: {about}, {middle:.4g} nearly everywhere", remedy)


def reason_of(error: BaseException) -> str:
    """The user error in a chain of exceptions, otherwise that memory ended, otherwise what caused the last one."""
    if (mistake := user_error_in(error)) is not None:
        return str(mistake)
    if words := out_of_memory(error):
        return f"out of memory: {words}; lower --inference_batch, or pass a coarser --spacing"
    first = error
    while first.__cause__ is not None:
        first = first.__cause__
    step = OF_TRANSFORM.match(str(error))
    failing = f"{step[1]} of the preprocessing fails" if step else "the inference fails"
    return " ".join(f"{failing} ({type(first).__name__}: {first}): check the case and the settings".split())
