"""Virtual batch normalisation of a discriminator: by the statistics of a reference batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn

EPSILON = 1e-5
"""Under the square root, as in PyTorch's batch normalisation."""


class ReferenceBatch(nn.Module):
    """Puts the reference batch in front of each batch, (B, C, ...) to (N + B, C, ...).

    That is the first batch by which the network is trained, which of a discriminator are real images. It is saved with
    the weights.

    Args:
        network: whose first layer this becomes; with frozen weights it does not keep the batch yet.
    """

    batch: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.register_buffer("batch", torch.empty(0))
        self._network = (network,)  # in a tuple, since this is a part of it

    def forward(self, x: Tensor) -> Tensor:
        """The reference, then the batch."""
        reference = self.batch.to(x.dtype) if len(self.batch) else x.detach()
        if not len(self.batch) and all(weight.requires_grad for weight in self._network[0].parameters()):
            self.batch = reference.clone(memory_format=torch.contiguous_format)
            if distributed.is_available() and distributed.is_initialized():  # one reference for all processes
                distributed.broadcast(self.batch, 0)
        self.count = len(reference)
        return torch.cat([reference, x])

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        self.batch = torch.empty_like(state_dict.get(f"{prefix}batch", self.batch), device=self.batch.device)
        super()._load_from_state_dict(state_dict, prefix, *args)


class WithoutReference(nn.Module):
    """Takes the reference batch off again, (N + B, ...) to (B, ...)."""

    def __init__(self, reference: ReferenceBatch) -> None:
        super().__init__()
        self._reference = (reference,)

    def forward(self, x: Tensor) -> Tensor:
        """The batch alone."""
        return x[self._reference[0].count :]


class VirtualNorm(nn.Module):
    """Normalises each image by its own statistics and those of the reference batch (Salimans et al. 2016, section 3.5).

    The mean and the mean square of a feature are those of N reference images and the image itself, each counting
    alike (reference images: of these N alone), so that an image's output does not depend on others of its batch; scale
    and shift follow. The weight 1 / (N + 1) of the image is of public code; the paper gives none.

    Args:
        features: channels.
        reference: first layer of the network.
    """

    def __init__(self, features: int, reference: ReferenceBatch) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self._reference = (reference,)

    def forward(self, x: Tensor) -> Tensor:
        """(N + B, C, ...), the reference batch first, to the same shape."""
        count = self._reference[0].count
        values = x.float().reshape(*x.shape[:2], -1)
        moments = torch.stack([values.mean(dim=2), values.square().mean(dim=2)])
        reference = moments[:, :count].mean(dim=1, keepdim=True)
        own = torch.lerp(reference, moments[:, count:], 1 / (count + 1))
        mean, square = torch.cat([reference.expand(-1, count, -1), own], dim=1)[..., None]
        deviation = ((square - mean.square()).clamp(min=0) + EPSILON).sqrt()
        normed: Tensor = (values - mean) / deviation * self.weight[:, None] + self.bias[:, None]
        return normed.reshape(x.shape).to(x.dtype)
