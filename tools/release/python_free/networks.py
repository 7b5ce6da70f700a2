"""Networks of whole volumes as TorchScript: intensities, slabs and the outline of the body included.

What a config of MONAI's classes cannot say is in the network: it takes a volume (B, 1, X, Y, Z) oriented RAS at its
working spacing in the unit of the file. :class:`ToUnit` takes its output on the scan's own grid.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tools.release.python_free.regions import body_of, distance, filled, largest_region, percentile

LEAST_SPAN = 1e-4
"""See :mod:`common.transforms.intensity`."""


class Slabs(nn.Module):
    """A 2-D network on every slab of a volume (1, X, Y, Z), with the outermost slice repeated beyond the ends.

    Args:
        network: (N, neighbours, H, W) -> (N, 1, H, W).
        axis: across the slices.
        neighbours: slices in a slab.
        at_once: slabs.
        multiple_of: sides of slices, which are padded by ``cval`` at their ends.
        cval: value of the padding; None for the volume's minimum.
    """

    def __init__(
        self, network: nn.Module, axis: int, neighbours: int, at_once: int, multiple_of: int, cval: float | None
    ) -> None:
        super().__init__()
        self.network, self.axis, self.neighbours, self.at_once = network, axis, neighbours, at_once
        self.multiple_of, self.cval = multiple_of, cval

    def forward(self, volume: Tensor) -> Tensor:
        """The output of every slab in the place of its central slice, (1, X, Y, Z)."""
        slices = volume[0].movedim(self.axis, 0)
        count, height, width = slices.shape
        padding = [0, -width % self.multiple_of, 0, -height % self.multiple_of]
        if self.cval is None:
            slices = F.pad(slices, padding, value=float(volume.min()))
        else:
            slices = F.pad(slices, padding, value=self.cval)
        offsets = torch.arange(self.neighbours, device=volume.device) - self.neighbours // 2
        made: list[Tensor] = []
        for start in range(0, count, self.at_once):
            centres = torch.arange(start, min(start + self.at_once, count), device=volume.device)
            wanted = (centres[:, None] + offsets).clamp(0, count - 1)
            made.append(self.network(slices[wanted])[:, 0, :height, :width])
        return torch.cat(made).movedim(0, self.axis)[None]


class MrToCt(nn.Module):
    """Scale a scan by two percentiles, translate it, and add the distance from the outline of its body.

    Args:
        network: (1, X, Y, Z) -> (1, X, Y, Z), both in [-1, 1].
        percentiles: of the voxels above the minimum, which become -1 and 1.
        spacing: working spacing in mm.
    """

    def __init__(self, network: nn.Module, percentiles: list[float], spacing: list[float]) -> None:
        super().__init__()
        self.network, self.percentiles, self.spacing = network, percentiles, spacing

    def forward(self, image: Tensor) -> Tensor:
        """(B, 1, X, Y, Z) -> (B, 2, X, Y, Z): the CT in [-1, 1], and the distance in mm."""
        made: list[Tensor] = []
        for volume in image:
            scaled = self._scaled(volume.float())
            away = distance(body_of(scaled[0], self.spacing), self.spacing)
            made.append(torch.cat([self.network(scaled), away[None]]))
        return torch.stack(made)

    def _scaled(self, volume: Tensor, least_span: float = LEAST_SPAN) -> Tensor:
        lowest, highest = volume.min(), volume.max()
        if bool(highest - lowest <= least_span * torch.maximum(-lowest, highest)):
            return torch.full_like(volume, -1.0)
        foreground = volume[volume > lowest].double()
        low = percentile(foreground, self.percentiles[0])
        high = torch.maximum(percentile(foreground, self.percentiles[1]), low + 1e-6)
        return ((volume - float(low)) / float(high - low) * 2 - 1).clamp(-1, 1)


class CtToCt(nn.Module):
    """Scale a CT by its window, restore it, and give HU in whole numbers, clipped to the window.

    Args:
        network: (1, X, Y, Z) -> (1, X, Y, Z), both in [-1, 1].
        window: HU that are -1 and 1.
    """

    def __init__(self, network: nn.Module, window: list[float]) -> None:
        super().__init__()
        self.network, self.low, self.high = network, window[0], window[1]

    def forward(self, image: Tensor) -> Tensor:
        """(B, 1, X, Y, Z) -> (B, 1, X, Y, Z), in HU."""
        span = self.high - self.low
        scaled = ((image.float() - self.low) / span * 2 - 1).clamp(-1, 1)
        made = torch.stack([self.network(volume) for volume in scaled]).clamp(-1, 1)
        return ((made + 1) / 2 * span + self.low).round()


class Standardised(nn.Module):
    """Translate z-scores inside the head into those of the target, and these into its unit.

    Args:
        network: (1, X, Y, Z) -> (1, X, Y, Z), z-scores.
        scale: mean and standard deviation of the targets.
    """

    def __init__(self, network: nn.Module, scale: list[float]) -> None:
        super().__init__()
        self.network, self.scale = network, scale

    def forward(self, image: Tensor) -> Tensor:
        """(B, 1, X, Y, Z) -> (B, 1, X, Y, Z), in the units of files."""
        made: list[Tensor] = []
        for volume in image:
            volume = volume.float()
            head = filled(largest_region(volume[0] > float(volume.double().mean())), 2)
            inside = volume[0][head].double()
            scores = (volume - float(inside.mean())) / float(inside.std())
            made.append(self.network(scores) * self.scale[1] + self.scale[0])
        return torch.stack(made)


class ToUnit(nn.Module):
    """The CT of :class:`MrToCt` in HU, with air outside the body, in whole numbers.

    Args:
        places: rising points of the scale in [-1, 1].
        heights: these points in HU.
        air: HU outside the body.
        margin_mm: distance from the outline up to which the network's output is kept.
    """

    def __init__(self, places: list[float], heights: list[float], air: float, margin_mm: float) -> None:
        super().__init__()
        self.places, self.heights, self.air, self.margin_mm = places, heights, air, margin_mm

    def forward(self, made: Tensor) -> Tensor:
        """(2, X, Y, Z) -> (1, X, Y, Z)."""
        scaled = made[:1].clamp(-1, 1)
        values = torch.full_like(scaled, self.heights[0])
        for number in range(len(self.places) - 1):
            start, end = self.places[number], self.places[number + 1]
            slope = (self.heights[number + 1] - self.heights[number]) / (end - start)
            values = values + (scaled - start).clamp(0, end - start) * slope
        return torch.where(made[1:] > self.margin_mm, self.air, values).round()
