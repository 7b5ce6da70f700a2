"""Slice-wise inference of 2-D networks on whole volumes."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import torch
from monai.inferers import Inferer, sliding_window_inference
from monai.utils import convert_to_dst_type, ensure_tuple_rep
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ConfigError, DataError, choose
from ..networks.slabs import odd_neighbours, slabs
from ..progress import advancing
from .memory import FLOAT_BYTES, forward_bytes
from .sliding_windows import require_multiple

PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}
"""Axis normal to each plane in a volume oriented right-anterior-superior."""


def plane_axis(plane: str) -> int:
    """The spatial axis of an RAS volume that is normal to a plane.

    Raises:
        ConfigError: for another name than sagittal, coronal, axial.
    """
    if plane not in PLANES:
        raise ConfigError(f"--plane is {plane!r}", choose(PLANES))
    return PLANES[plane]


class PlaneInferer(Inferer):
    """A 2-D network on all slices of a volume, batched, with the memory of one batch of slices.

    Each slice is taken whole, padded to a multiple for the network's depth, or in overlapping windows in its plane.
    A network that returns as many channels as the slab has slices predicts the whole slab, and the overlapping
    predictions of each slice are averaged; otherwise its output is the central slice.

    Args:
        plane: sagittal, coronal or axial; the volume must be oriented RAS.
        neighbours: slices in a slab (2.5-D), odd.
        batch_size: slices at a time on the device of the network.
        multiple_of: a whole slice is padded to multiples of this, 2 ** depth for a U-Net.
        roi_size: window inside the plane instead of whole slices, a multiple of ``multiple_of``.
        overlap: of neighbouring windows, a fraction of ``roi_size``.
        blending: of windows: ``constant`` averages, ``gaussian`` weighs centres more.
        cval: value of the padding, in the network's intensity range; null for the volume's minimum, its background.
    """

    def __init__(
        self,
        plane: str = "sagittal",
        neighbours: int = 1,
        batch_size: int = 4,
        multiple_of: int = 256,
        roi_size: int | tuple[int, int] | None = None,
        overlap: float = 0.25,
        blending: str = "constant",
        cval: float | None = -1.0,
    ) -> None:
        super().__init__()
        self.axis = plane_axis(plane)
        self.neighbours = odd_neighbours(neighbours)
        self.batch_size = batch_size
        self.multiple_of = multiple_of
        self.roi_size = ensure_tuple_rep(roi_size, 2) if roi_size is not None else None
        require_multiple(multiple_of, self.roi_size or ())
        self.overlap = overlap
        self.blending = blending
        self.cval = cval

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: object, **kwargs: object) -> Tensor:
        """Infer (B, C, X, Y, Z) -> (B, C', X, Y, Z), float32, on the device of ``inputs``.

        Raises:
            DataError: for an input that is not a batch of volumes.
        """
        if inputs.ndim != 5:
            fault = f"volume has shape {tuple(inputs.shape)}, not (batch, channel, X, Y, Z)"
            raise DataError(fault, "give a 3-D volume")
        volumes = inputs.as_tensor() if hasattr(inputs, "as_tensor") else inputs
        with torch.no_grad():
            made = [self._volume(volume, network)[None] for volume in volumes]
            outputs = made[0] if len(made) == 1 else torch.cat(made)
        # the geometry is kept, since Invertd leaves a plain tensor as it is, with only a warning
        return convert_to_dst_type(outputs, inputs, dtype=torch.float32)[0]

    def _volume(self, volume: Tensor, network: Callable[..., Tensor]) -> Tensor:
        count = volume.shape[self.axis + 1]
        total: Tensor | None = None
        for centres, outputs in self._batches(volume, network, count):
            slab = outputs.shape[1] if outputs.shape[1] == self.neighbours else 1
            channels = outputs.shape[1] // slab
            if total is None:
                total = outputs.new_zeros((count, channels, *outputs.shape[2:]), dtype=torch.float32)
                hits = outputs.new_zeros((count, 1, 1, 1), dtype=torch.float32)
            for k in range(slab):
                places = torch.tensor(list(centres), device=outputs.device) + k - slab // 2
                inside = (places >= 0) & (places < count)
                part = outputs.unflatten(1, (channels, slab))[:, :, k].float()
                total.index_add_(0, places[inside], part[inside])
                hits.index_add_(0, places[inside], torch.ones_like(hits[: int(inside.sum())]))
        assert total is not None
        return total.div_(hits).movedim(0, self.axis + 1)

    def bytes_needed(self, network: nn.Module, channels: int, shape: Sequence[int]) -> int:
        """Memory of :meth:`__call__` with a volume of so many channels and a shape (X, Y, Z), besides the volume.

        Args:
            network: by :func:`common.stitching.memory.without_values`, in eval mode.
            channels: of the volume.
            shape: of the volume.
        """
        count = shape[self.axis]
        height, width = (side for axis, side in enumerate(shape) if axis != self.axis)
        batch, inputs = min(self.batch_size, count), channels * self.neighbours
        if self.roi_size is None:
            seen = (height + -height % self.multiple_of, width + -width % self.multiple_of)
            taken = seen
        else:
            seen = self.roi_size[0], self.roi_size[1]
            taken = max(height, seen[0]), max(width, seen[1])
        slices = FLOAT_BYTES * batch * (2 * inputs + 3) * math.prod(taken)
        return FLOAT_BYTES * math.prod(shape) + slices + forward_bytes(network, batch, inputs, *seen)

    def smaller(self) -> Iterator[tuple[str, PlaneInferer]]:
        """This inferer and others that need less memory, with the same result, and what they are in words."""
        size = self.batch_size
        while size:
            other = copy.copy(self)
            other.batch_size = size
            yield f"inference_batch {size}", other
            size //= 2

    def _batches(self, volume: Tensor, network: Callable[..., Tensor], count: int) -> Iterator[tuple[range, Tensor]]:
        cval = float(volume.min()) if self.cval is None else self.cval
        with advancing("slices", count) as advance:
            for start in range(0, count, self.batch_size):
                centres = range(start, min(start + self.batch_size, count))
                yield centres, self._plane(slabs(volume, self.axis, self.neighbours, centres), network, cval)
                advance(len(centres))

    def _plane(self, slices: Tensor, network: Callable[..., Tensor], cval: float) -> Tensor:
        if self.roi_size is not None:
            stitched = sliding_window_inference(
                slices, self.roi_size, self.batch_size, network, self.overlap, self.blending, cval=cval
            )
            return cast(Tensor, stitched)
        height, width = slices.shape[2:]
        padding = (0, -width % self.multiple_of, 0, -height % self.multiple_of)
        return network(F.pad(slices, padding, value=cval))[..., :height, :width]
