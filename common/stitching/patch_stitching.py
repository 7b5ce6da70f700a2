"""Sliding-window inference of 3-D networks on whole volumes."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import cast

import torch
from monai.inferers import Inferer, sliding_window_inference
from monai.utils import convert_to_dst_type, ensure_tuple_rep
from torch import Tensor, nn

from ..errors import ConfigError, DataError, choose
from ..progress import advancing
from .level_stitching import Tiles, bytes_of_tiles, deep_features, tiles_of
from .memory import FLOAT_BYTES, forward_bytes
from .sliding_windows import (
    Cut,
    Place,
    background,
    cheapest_cut,
    core,
    every,
    pad,
    require_multiple,
    rounded,
    taken,
    written,
)

MODES = ("faithful", "fast")
BLENDINGS = ("constant", "gaussian")


class PatchStitchingInferer(Inferer):
    """A 3-D network on whole volumes in overlapping windows, with the memory of one batch of windows.

    ``faithful`` cuts windows of ``roi_size`` every ``stride`` voxels and averages the overlapping predictions: with 32
    and 8 the stitching of Nie et al. 2018. ``fast`` takes the whole volume in one pass where ``max_voxels`` allows, or
    else the largest windows that do, overlapping so far that the result is that of one pass; of a U-Net that can be cut
    (:func:`common.stitching.unet_levels.unet_levels`) these are tiles of its outer levels. The results of the two modes
    differ a little for networks trained on patches: a small window has more zero padding around it.

    Args:
        mode: faithful or fast.
        roi_size: window of mode faithful, a multiple of ``multiple_of``.
        stride: between windows of mode faithful, at most ``roi_size``; null where ``overlap`` is given.
        overlap: of windows of mode faithful as a fraction of ``roi_size``, instead of ``stride``.
        blending: in mode faithful ``constant`` averages, ``gaussian`` weighs centres more.
        receptive_field: of the network in voxels, for mode fast and networks that cannot be cut; 59 is that of the
            generator of Nie et al. 2018. A smaller number than the network's leaves seams where a volume takes several
            windows.
        max_voxels: largest input of the network; a layer of 64 channels holds 256 bytes of each voxel, and
            a few layers are held at a time.
        cval: value of the padding, in the network's intensity range; null for each channel's minimum in that volume,
            its background.
        batch_size: windows of mode faithful at a time, fewer where ``max_voxels`` asks.
        multiple_of: windows are multiples of this, 2 ** depth for a U-Net.
        progress: whether to show a bar on a terminal.

    Raises:
        ConfigError: for settings that leave holes, contradict each other or do not fit ``max_voxels``.
    """

    def __init__(
        self,
        mode: str = "faithful",
        roi_size: int | tuple[int, int, int] = (32, 32, 32),
        stride: int | tuple[int, int, int] | None = 8,
        overlap: float | None = None,
        blending: str = "constant",
        receptive_field: int = 59,
        max_voxels: int = 128**3,
        cval: float | None = None,
        batch_size: int = 4,
        multiple_of: int = 1,
        progress: bool = True,
    ) -> None:
        super().__init__()
        _require_choice("mode", mode, MODES)
        _require_choice("blending", blending, BLENDINGS)
        self.mode = mode
        self.roi_size = ensure_tuple_rep(roi_size, 3)
        require_multiple(multiple_of, self.roi_size)
        _require_positive("batch_size", batch_size, "give the number of windows at a time")
        _require_positive("receptive_field", receptive_field, "add (kernel - 1) * dilation of all convolutions to 1")
        self.stride = _stride(self.roi_size, stride, overlap)
        self.blending = blending
        self.halo = receptive_field // 2
        self.max_voxels = max_voxels
        self.cval = cval
        self.batch_size = batch_size
        self.multiple_of = multiple_of
        self.progress = progress
        if mode == "faithful" and math.prod(self.roi_size) > max_voxels:
            window = f"a window of roi_size {self.roi_size}, {math.prod(self.roi_size)} voxels"
            raise ConfigError(f"max_voxels is {max_voxels}, below {window}", "raise it, or lower roi_size")

    def in_mode(self, mode: str) -> PatchStitchingInferer:
        """The same inferer in a mode.

        Raises:
            ConfigError: for another mode than faithful and fast.
        """
        _require_choice("mode", mode, MODES)
        other = copy.copy(self)
        other.mode = mode
        return other

    def cut(self, shape: tuple[int, ...]) -> Cut:
        """How a volume (X, Y, Z) is padded and cut, for a network that cannot be cut itself.

        Raises:
            ConfigError: where windows of ``max_voxels`` are narrower than the receptive field, in mode fast.
        """
        if self.mode == "fast":
            return cheapest_cut(shape, self.halo, self.max_voxels, self.multiple_of)
        size = tuple(max(n, roi) for n, roi in zip(shape, self.roi_size, strict=True))
        return Cut(size, self.roi_size, self.stride)

    def windows(self, shape: tuple[int, ...]) -> list[Place]:
        """The windows over a volume (X, Y, Z), in voxels of the padded volume, in the order of inference."""
        return self.cut(shape).windows()

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: object, **kwargs: object) -> Tensor:
        """Infer (B, C, X, Y, Z) -> (B, C', X, Y, Z), float32, on the device of ``inputs``.

        Raises:
            DataError: for an input that is not a batch of volumes.
            ConfigError: for a network whose outputs have another size than its inputs.
        """
        return self.stitched([inputs], network, *args, **kwargs)

    def stitched(
        self, parts: Sequence[Tensor], network: Callable[..., Tensor], *args: object, **kwargs: object
    ) -> Tensor:
        """As :meth:`__call__`, of volumes whose channels lie in several tensors; mode fast joins windows of them alone.

        Args:
            parts: (B, C, X, Y, Z) each; the result has the geometry and the type of device of the first.
            network: takes the channels of all parts.
            *args: of the network.
            **kwargs: of the network.

        Raises:
            DataError: for an input that is not a batch of volumes.
            ConfigError: for a network whose outputs have another size than its inputs.
        """
        inputs = parts[0]
        if inputs.ndim != 5:
            fault = f"volume has shape {tuple(inputs.shape)}, not (batch, channel, X, Y, Z)"
            raise DataError(fault, "give a 3-D volume")
        volumes = [part.as_tensor() if hasattr(part, "as_tensor") else part for part in parts]
        tiles = None if args or kwargs else self._tiles(network, inputs.shape[2:])
        cut = tiles.cut if tiles else self.cut(tuple(inputs.shape[2:]))
        total = len(inputs) * len(cut.windows()) * (2 if tiles else 1)
        with torch.no_grad(), advancing("patches", total, self.progress) as advance:

            def predict(patches: Tensor, part: Callable[[Tensor], Tensor] | None = None) -> Tensor:
                seen = patches.to(inputs.dtype)
                outputs = part(seen) if part else network(seen, *args, **kwargs)
                if part is None:
                    _require_same_size(patches, outputs)
                advance(len(patches))
                return outputs

            if self.mode == "faithful":
                outputs = self._average(volumes, cut, predict)
            else:
                outputs = self._assemble(volumes, cut, predict, tiles)
        # the geometry is kept, since Invertd leaves a plain tensor as it is, with only a warning
        return convert_to_dst_type(outputs, inputs, dtype=torch.float32, device=outputs.device)[0]

    def bytes_needed(self, network: nn.Module, channels: int, shape: Sequence[int], has_context: bool = False) -> int:
        """Memory of :meth:`__call__` besides the volume; see :meth:`common.stitching.PlaneInferer.bytes_needed`.

        Args:
            network: without values.
            channels: of the volume, or of all parts.
            shape: of the volume (X, Y, Z).
            has_context: whether the channels lie in several parts.

        Raises:
            ConfigError: where windows of ``max_voxels`` are narrower than the receptive field, in mode fast.
        """
        if tiles := self._tiles(network, shape):
            return bytes_of_tiles(tiles, channels, tuple(shape))
        cut = self.cut(tuple(shape))
        volume, window = FLOAT_BYTES * math.prod(cut.size), FLOAT_BYTES * channels * math.prod(cut.roi)
        if self.mode == "fast":
            return FLOAT_BYTES * math.prod(shape) + window + forward_bytes(network, 1, channels, *cut.roi)
        batch = self._batch(cut)
        joined = channels * volume if has_context or cut.size != tuple(shape) else 0
        # sums and weights, and in the weighted batch one window's output
        return 2 * volume + joined + batch * window + forward_bytes(network, batch, channels, *cut.roi)

    def smaller(self) -> Iterator[tuple[str, PatchStitchingInferer]]:
        """This inferer and others that need less memory, with the same result but for rounding, and their names."""
        name = "batch_size" if self.mode == "faithful" else "max_voxels"
        size = getattr(self, name)
        while size:
            other = copy.copy(self)
            setattr(other, name, size)
            yield f"{name} {size}", other
            size = size // 2 if self.mode == "faithful" else size * 3 // 4

    def _tiles(self, network: object, shape: Sequence[int]) -> Tiles | None:
        """Tiles of a network that can be cut, for a volume that does not fit in one pass."""
        size = tuple(rounded(n, self.multiple_of) for n in shape)
        if self.mode == "faithful" or math.prod(size) <= self.max_voxels:
            return None
        return tiles_of(network, size, self.max_voxels)

    def _batch(self, cut: Cut) -> int:
        return max(1, min(self.batch_size, self.max_voxels // math.prod(cut.roi)))

    def _average(self, parts: Sequence[Tensor], cut: Cut, network: Callable[[Tensor], Tensor]) -> Tensor:
        """Weighted means of all windows' predictions; MONAI sums in the type of its input, float32 here."""

        def predict(patches: Tensor) -> Tensor:
            # a copy, since MONAI weights it in place, which must change neither the input nor the network's own tensors
            return network(patches).to(torch.float32, copy=True, memory_format=torch.contiguous_format)

        volumes, inside = pad(parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1), cut.size, self.cval)
        # half a voxel keeps rounding from turning the stride into the next smaller one
        overlap = [max(0.0, 1 - (step + 0.5) / side) for step, side in zip(cut.stride, cut.roi, strict=True)]
        stitched = sliding_window_inference(volumes, cut.roi, self._batch(cut), predict, overlap, self.blending)
        return cast(Tensor, stitched)[inside]

    def _assemble(
        self, parts: Sequence[Tensor], cut: Cut, network: Callable[..., Tensor], tiles: Tiles | None
    ) -> Tensor:
        """Windows without their halos, which a border does not have; MONAI's weights are the same for all windows."""
        shape = parts[0].shape
        halo = tiles.halo if tiles else self.halo
        total: Tensor | None = None
        for case in range(shape[0]):
            volumes = [part[case] for part in parts]
            see = partial(_joined, volumes, [background(part[None], self.cval)[0] for part in volumes], cut.size)
            deep = deep_features(tiles, see, network) if tiles else None
            for window in cut.windows():
                more = () if tiles is None or deep is None else (tiles.up(deep, window),)
                outputs = network(see(window), *more)[0]
                if total is None:
                    total = outputs.new_empty((shape[0], len(outputs), *shape[2:]), dtype=torch.float32)
                place, part = written(core(window, cut.size, halo), window, tuple(shape[2:]), cut.size)
                total[case][every(place)] = outputs[every(part)]
        assert total is not None
        return total


def _joined(parts: Sequence[Tensor], grounds: Sequence[Tensor], size: tuple[int, ...], window: Place) -> Tensor:
    """A window (1, C, X, Y, Z) of the channels of all parts."""
    seen = [taken(part, ground, window, size) for part, ground in zip(parts, grounds, strict=True)]
    return (seen[0] if len(seen) == 1 else torch.cat(seen))[None]


def _require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{name} is {value!r}", choose(choices))


def _require_positive(name: str, value: int, remedy: str) -> None:
    if value < 1:
        raise ConfigError(f"{name} is {value}, not positive", remedy)


def _stride(roi_size: tuple[int, ...], stride: int | tuple[int, ...] | None, overlap: float | None) -> tuple[int, ...]:
    if (stride is None) == (overlap is None):
        raise ConfigError(f"stride is {stride} and overlap {overlap}", "set one of them, and the other to null")
    if overlap is not None:
        if not 0 <= overlap < 1:
            raise ConfigError(f"overlap is {overlap}, not in [0, 1)", "pass a fraction of roi_size, such as 0.75")
        return tuple(max(1, int(side * (1 - overlap))) for side in roi_size)
    strides = ensure_tuple_rep(stride, 3)
    if any(not 1 <= step <= side for step, side in zip(strides, roi_size, strict=True)):
        raise ConfigError(f"stride is {strides}, not between 1 and roi_size {roi_size}", "change it, or raise roi_size")
    return strides


def _require_same_size(patches: Tensor, outputs: Tensor) -> None:
    if outputs.shape[2:] != patches.shape[2:]:
        sizes = f"{tuple(outputs.shape[2:])} for an input of {tuple(patches.shape[2:])}"
        raise ConfigError(f"--network_def returns {sizes}", "pad its convolutions, or change multiple_of")
