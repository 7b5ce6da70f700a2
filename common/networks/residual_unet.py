"""A U-Net with a residual encoder, the strongest plain network of image translation, by MONAI's ``SegResNetDS``."""

from __future__ import annotations

from monai.networks.nets import SegResNetDS
from torch import Tensor, nn

from ..errors import ConfigError
from .slabs import odd_neighbours, on_slabs
from .strict_loading import refuse_other_weights
from .unet import require_norm

VOLUMES = 3
"""Spatial dimensions of an input that has slabs."""
LEVELS = 3
"""Resolutions with an output of their own in training, where ``depth`` has as many."""
SLABS = 4
"""Dimensions of a batch of slabs."""


class ResidualUNet(nn.Module):
    """Residual encoder, one block a level in the decoder, and outputs at several resolutions while it is trained.

    The networks that won SynthRAD 2025 are of this family (nnU-Net's residual encoder, Isensee et al. 2024). Input
    (B, C, H, W[, D]) with sides divisible by ``2 ** depth``. The output (B, C', H, W[, D]) is any number, without a
    tanh. In training mode it is a list, finest first, whose k-th has sides smaller by ``2 ** k``. With ``neighbours``
    it is a 2-D network on the axial slabs of volumes (2.5-D): (B, C, X, Y, Z) to (B, C', X, Y, Z), and Z is any number,
    or on slabs (B, C * neighbours, H, W) as :class:`common.stitching.PlaneInferer` cuts them.

    Args:
        in_channels: of the source; slices a slab times channels.
        out_channels: of the target.
        depth: halvings of the resolution.
        width: features of the outermost level, doubled at each halving.
        spatial_dims: 2 or 3, of the input.
        norm: ``instance``, or ``batch``.
        neighbours: slices in a slab, odd, of a 2.5-D network; null for a network of ``spatial_dims``.

    Raises:
        ConfigError: for another ``norm``, an even number of ``neighbours`` or slabs of an input that is not 3-D, or,
            when it is called, for sides that are no multiples of ``2 ** depth`` or all of that length, which would
            leave one voxel.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        depth: int = 4,
        width: int = 32,
        spatial_dims: int = 2,
        norm: str = "instance",
        neighbours: int | None = None,
    ) -> None:
        super().__init__()
        self.depth = depth
        require_norm(norm)
        if neighbours is not None:
            if spatial_dims != VOLUMES:
                fault = f"--network_def::spatial_dims is {spatial_dims}, but neighbours {neighbours} needs {VOLUMES}"
                raise ConfigError(fault, "omit neighbours")
            spatial_dims, in_channels = spatial_dims - 1, in_channels * odd_neighbours(neighbours)
        self.neighbours = neighbours
        self.in_plane = spatial_dims
        blocks = tuple(min(2**level, 4) for level in range(depth + 1))
        self.network = SegResNetDS(
            spatial_dims, width, in_channels, out_channels, norm=norm, blocks_down=blocks, dsdepth=min(LEVELS, depth)
        )
        refuse_other_weights(self)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Synthesise the target."""
        sides = list(x.shape[2:])[: self.in_plane]
        if any(side % 2**self.depth for side in sides) or max(sides) == 2**self.depth:
            remedy = f"give multiples of {2**self.depth}, one of them above it, or lower --depth"
            raise ConfigError(f"--patch_size or --crop_size {sides} does not fit depth {self.depth}", remedy)
        if self.neighbours is not None and x.ndim > SLABS:
            return on_slabs(self.network, x, self.neighbours)
        outputs: Tensor | list[Tensor] = self.network(x)
        return outputs
