"""Large dilated 3-D convolutions in the frequency domain.

A convolution of dilation d separates into d^3 interleaved grids on which the kernel is dense. On each grid it becomes a
product of spectra: one complex (in x out) matrix per frequency instead of one real matrix per kernel tap.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import handle_torch_function, has_torch_function_unary

from pd2t2_dcgan_acm.dilated.plan import DilationPlan, best_plan

WORKING_BYTES = 2**26
"""Approximate memory of the spectra processed at once; larger values are slower, since they exceed the caches."""


def _matrix(rows: range, columns: range, size: int, sign: int, like: Tensor) -> Tensor:
    """exp(sign 2 pi i row column / size), complex64."""
    turns = torch.outer(torch.tensor(rows), torch.tensor(columns)) % size  # exact, where large angles would not be
    angles = turns.double() * (sign * 2 * math.pi / size)
    return torch.polar(torch.ones_like(angles), angles).to(like.device, torch.complex64)


def _transform(values: Tensor, matrices: list[Tensor], order: Sequence[int]) -> Tensor:
    """Separable transform: the first three axes of a complex array (X, Y, Z, ...) multiplied by one matrix each.

    For such short transforms matrix products are as fast as fast Fourier transforms, allow any length, and keep the
    frequencies in front for the product over channels.
    """
    shape = list(values.shape)
    for axis in order:
        values = torch.matmul(matrices[axis], values.reshape(math.prod(shape[:axis]), shape[axis], -1))
        shape[axis] = matrices[axis].shape[0]
    return values.reshape(shape)


def weight_spectrum(weight: Tensor, plan: DilationPlan) -> Tensor:
    """Spectrum of a kernel (out, in, kx, ky, kz), (frequencies, in, out)."""
    matrices = []
    for axis, frequencies in zip(plan.axes, plan.frequencies, strict=True):
        # a correlation, so the sign is the opposite of the data's
        matrices.append(_matrix(range(frequencies), range(-axis.reach, axis.reach + 1), axis.size, 1, weight))
    taps = weight.permute(2, 3, 4, 1, 0).to(torch.complex64).contiguous()
    return _transform(taps, matrices, (0, 1, 2)).flatten(0, 2)


def spectral_conv3d(inputs: Tensor, spectrum: Tensor, bias: Tensor | None, plan: DilationPlan) -> Tensor:
    """Convolve (B, C, X, Y, Z) -> (B, C', X, Y, Z), float32, with zeros around the volume.

    Args:
        inputs: float32.
        spectrum: of the weight, by :func:`weight_spectrum` with the same plan.
        bias: (C',) or None.
        plan: for the spatial size of ``inputs``.
    """
    if has_torch_function_unary(inputs):  # a MetaTensor keeps its geometry, as in any function of PyTorch
        return handle_torch_function(spectral_conv3d, (inputs,), inputs, spectrum, bias, plan)
    outputs = torch.empty(
        (inputs.shape[0], plan.out_channels, *inputs.shape[2:]),
        dtype=torch.float32,
        device=inputs.device,
        memory_format=torch.channels_last_3d,
    )
    forward, inverse = _data_matrices(plan, inputs)
    tiles = list(itertools.product(range(inputs.shape[0]), *(axis.windows() for axis in plan.axes)))
    at_once = max(1, WORKING_BYTES // plan.tile_bytes)
    for start in range(0, len(tiles), at_once):
        part = tiles[start : start + at_once]
        shape = (*(axis.taken for axis in plan.axes), len(part), plan.in_channels)
        samples = inputs.new_zeros(shape, dtype=torch.complex64)
        for number, (case, x, y, z) in enumerate(part):
            samples[x.place, y.place, z.place, number] = inputs[case, :, x.read, y.read, z.read].permute(1, 2, 3, 0)
        products = torch.bmm(_transform(samples, forward, (0, 1, 2)).flatten(0, 2), spectrum)
        if bias is not None:
            products[0] += bias * math.prod(axis.size for axis in plan.axes)  # frequency 0 is the sum of the samples
        results = _transform(products.unflatten(0, plan.frequencies), inverse, (2, 1, 0)).real
        for number, (case, x, y, z) in enumerate(part):
            outputs[case, :, x.write, y.write, z.write] = results[x.kept, y.kept, z.kept, number].permute(3, 0, 1, 2)
    return outputs


def learning_conv3d(inputs: Tensor, spectrum: Tensor, bias: Tensor | None, plan: DilationPlan) -> Tensor:
    """What :func:`spectral_conv3d` gives, with all tiles at once: the gradient of one written in place copies all."""
    forward, inverse = _data_matrices(plan, inputs)
    samples = to_tiles(inputs, plan)
    products = torch.bmm(_transform(samples.to(torch.complex64), forward, (0, 1, 2)).flatten(0, 2), spectrum)
    if bias is not None:
        size = math.prod(axis.size for axis in plan.axes)
        products = torch.cat([products[:1] + bias * size, products[1:]])
    results = _transform(products.unflatten(0, plan.frequencies), inverse, (2, 1, 0)).real
    return from_tiles(results, inputs.shape, plan)


def to_tiles(volume: Tensor, plan: DilationPlan) -> Tensor:
    """Tiles of all interleaved grids, (B, C, X, Y, Z) -> (x, y, z, tiles, C), zeros around the volume."""
    ends = [axis.dilation * (axis.tiles * axis.step + axis.lead) - axis.length for axis in plan.axes]
    starts = [axis.dilation * axis.lead for axis in plan.axes]
    padding = [side for pair in zip(reversed(starts), reversed(ends), strict=True) for side in pair]
    grids = F.pad(volume, padding)
    for place, axis in enumerate(plan.axes):
        grids = grids.unflatten(2 + 2 * place, (-1, axis.dilation))
    for place, axis in enumerate(plan.axes):
        grids = grids.unfold(2 + 2 * place, axis.taken, axis.step)
    tiles = grids.permute(8, 9, 10, 0, 2, 3, 4, 5, 6, 7, 1)
    return tiles.reshape(*tiles.shape[:3], -1, tiles.shape[-1])


def from_tiles(tiles: Tensor, shape: Sequence[int], plan: DilationPlan) -> Tensor:
    """Inverse of :func:`to_tiles` for tiles of the plan's steps."""
    x, y, z = plan.axes
    grids = tiles.unflatten(3, (shape[0], x.tiles, x.dilation, y.tiles, y.dilation, z.tiles, z.dilation))
    whole = grids.permute(3, 10, 4, 0, 5, 6, 1, 7, 8, 2, 9)
    volume = whole.flatten(8, 10).flatten(5, 7).flatten(2, 4)
    cropped = volume[:, :, : shape[2], : shape[3], : shape[4]]
    return cropped.contiguous(memory_format=torch.channels_last_3d)


def _data_matrices(plan: DilationPlan, like: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    forward, inverse = [], []
    for axis, frequencies in zip(plan.axes, plan.frequencies, strict=True):
        forward.append(_matrix(range(frequencies), range(axis.taken), axis.size, -1, like))
        inverse.append(_matrix(range(axis.lead, axis.lead + axis.step), range(frequencies), axis.size, 1, like))
        inverse[-1] /= axis.size
    # only half of a real volume's spectrum is kept; it counts twice for the conjugate other half
    inverse[0][:, 1 : (plan.axes[0].size + 1) // 2] *= 2
    return forward, inverse


class SpectralConv3d(nn.Conv3d):
    """``nn.Conv3d`` with the same parameters, many times faster for large or dilated kernels.

    float32 volumes (B, C, X, Y, Z) are convolved in the frequency domain if that is faster, to about 1e-5 of the direct
    result; this requires odd kernels, stride 1, one group and zero padding that keeps the size. On CPUs this also
    applies to training. Otherwise (autocast, TorchScript, other settings) the convolution is direct.

    In eval mode without gradients the spectrum of the weight, at most SPECTRUM_BYTES, is cached for the next call with
    the same spatial size until the weight changes or training starts. In-place changes through ``weight.data`` in eval
    mode are not detected. The cache is not part of ``state_dict``, copies and pickles.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._spectrum: tuple[object, Tensor, Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (B, C, X, Y, Z) -> (B, C', X', Y', Z')."""
        if not torch.jit.is_scripting():
            learning = torch.is_grad_enabled() and any(t.requires_grad for t in (input, *self.parameters()))
            if self._suited(input, learning):
                plan = self._plan(input)
                if plan is not None:
                    lasting = not learning and not self.training
                    spectrum = self._kept_spectrum(plan) if lasting else weight_spectrum(self.weight, plan)
                    convolve = learning_conv3d if learning else spectral_conv3d
                    return convolve(input, spectrum, self.bias, plan)
        return self._conv_forward(input, self.weight, self.bias)

    def train(self, mode: bool = True) -> SpectralConv3d:
        """Set training or eval mode; training drops the spectrum."""
        if mode:
            self._spectrum = None
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_spectrum": None}

    def _suited(self, volume: Tensor, learning: bool) -> bool:
        """Whether a faster method than the direct convolution is applicable."""
        if torch.compiler.is_compiling() or torch.jit.is_tracing() or not self._keeps_size():
            return False
        if volume.ndim != 5 or 0 in volume.shape or (learning and volume.device.type != "cpu"):
            return False
        # a weight computed at each call (a parametrisation, a replica) would need a new spectrum each time
        lasting = isinstance(self.weight, nn.Parameter) and not self.weight.is_inference()
        single = volume.dtype == torch.float32 and self.weight.dtype == torch.float32
        return lasting and single and (volume.is_meta or not torch.is_autocast_enabled(volume.device.type))

    def _plan(self, volume: Tensor) -> DilationPlan | None:
        """DilationPlan of the convolution in the frequency domain; None if the direct one is faster."""
        sizes: Any = (tuple(volume.shape[2:]), tuple(self.kernel_size), tuple(self.dilation))
        return best_plan(*sizes, self.in_channels, self.out_channels)

    def _keeps_size(self) -> bool:
        same = tuple(d * (k // 2) for d, k in zip(self.dilation, self.kernel_size, strict=True))
        plain = self.stride == (1, 1, 1) and self.groups == 1 and self.padding_mode == "zeros"
        return plain and self.padding in ("same", same) and all(k % 2 for k in self.kernel_size)

    def _kept_spectrum(self, plan: DilationPlan) -> Tensor:
        weight = self.weight.detach()
        key = (plan, weight.device, weight.data_ptr(), weight._version)
        if self._spectrum is None or self._spectrum[0] != key:
            self._spectrum = None  # free it before the next is computed
            # keep the weight, since a freed address could be reused by another
            self._spectrum = (key, weight, weight_spectrum(weight, plan))
        return self._spectrum[2]
