"""Image pool: earlier synthetic images for a discriminator (Shrivastava et al. 2017; Zhu et al. 2017, section 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...errors import ConfigError


class ImagePool(nn.Module):
    """Gives a discriminator, half of the time, an earlier synthetic image instead of the new one.

    While the pool fills, every image is stored and returned. From then on each image is, with probability 1/2, returned
    as it is, and otherwise swapped with a random stored one, which is returned.

    The pool is on the batch's device and its images are buffers, so that they are in the checkpoint. Its random
    numbers come from PyTorch's generator, which the trainer seeds at every step.

    Args:
        size: images stored; 0 returns every image as it is.
    """

    images: Tensor
    filled: Tensor

    def __init__(self, size: int = 50) -> None:
        super().__init__()
        if size < 0:
            raise ConfigError(f"pool_size is {size}, below 0", "pass 0 to switch the pool off")
        self.size = size
        self.register_buffer("images", torch.empty(0))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))

    def forward(self, batch: Tensor) -> Tensor:
        """Exchange some of a batch (B, C, ...) with the pool; carries no gradient.

        Raises:
            ConfigError: where the images change their shape.
        """
        if self.size == 0:
            return batch.detach()
        if self.images.numel() == 0:
            self.images = batch.new_zeros((self.size, *batch.shape[1:]))
        if batch.shape[1:] != self.images.shape[1:]:
            fault = f"images have the shape {tuple(batch.shape[1:])}, those of the pool {tuple(self.images.shape[1:])}"
            raise ConfigError(fault, "keep --crop_size through a run")
        return torch.stack([self._exchange(image) for image in batch.detach()])

    def _exchange(self, image: Tensor) -> Tensor:
        """Swap one image, without a branch on values on the device, so that a step can be captured as a graph."""
        filling = self.filled < self.size
        swap = filling | (torch.rand((), device=image.device) < 0.5)
        chosen = torch.randint(self.size, (), device=image.device)
        place = torch.where(filling, self.filled, chosen).reshape(1)  # an index of no dimension would be read back
        stored = self.images.index_select(0, place)[0]
        self.images.index_copy_(0, place, torch.where(swap, image, stored)[None])
        self.filled += filling
        return torch.where(swap & ~filling, stored, image)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: object) -> None:
        saved = state_dict.get(f"{prefix}images")
        if saved is not None:  # the shape is known only after the first batch
            self.images = saved.new_zeros(saved.shape).to(self.filled.device)
        super()._load_from_state_dict(state_dict, prefix, *args)
