"""Networks that reconstruct a slice as a healthy one; what is deployed is the map of what they change in it."""

# TorchScript reads the annotations of forward, which therefore are not deferred
import torch
from monai.networks.nets import Generator, Regressor, VarAutoEncoder
from torch import Tensor, nn

from common.errors import ConfigError

START = 4
"""Side of the smallest images, in pixels."""


def halvings(size: int) -> int:
    """How often images of a size are halved until their side is ``START``.

    Raises:
        ConfigError: the size is not 4 times a power of two.
    """
    count = (size // START).bit_length() - 1
    if count < 1 or START * 2**count != size:
        raise ConfigError(f"--size is {size}, not 8, 16, 32, 64, 128, ...", "pass one of them")
    return count


class AnomalyMap(nn.Module):
    """|x - reconstruction| inside the brain, 0 outside, where x is -1: (B, 1, H, W) in [-1, 1] -> (B, 1, H, W)."""

    def reconstruct(self, x: Tensor) -> Tensor:
        """The slice as the network would have it, (B, 1, H, W)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """The map."""
        return torch.where(x > -1, (x - self.reconstruct(x)).abs(), torch.zeros_like(x))


class FAnoGan(AnomalyMap):
    """Encoder and generator of f-AnoGAN (Schlegl et al. 2019), with the critic whose features are part of the score.

    All are residual networks of MONAI, whose paths have stride 2 and twice the features at each halving.

    Args:
        size: side of a slice in pixels, 4 times a power of two.
        latent: numbers in a code.
        width: features at full size.
    """

    def __init__(self, size: int = 64, latent: int = 128, width: int = 32) -> None:
        super().__init__()
        steps = halvings(size)
        down = [width * 2**step for step in range(steps)]
        strides, image = [2] * steps, (1, size, size)
        self.latent = latent
        self.encoder = Regressor(image, (latent,), down, strides, norm="batch")
        up = [*down[-2::-1], 1]
        self.generator = Generator((latent,), (down[-1], START, START), up, strides, norm="batch")
        self.critic = SliceCritic(image, (1,), down, strides, norm=None, act=("leakyrelu", {"negative_slope": 0.2}))

    def reconstruct(self, x: Tensor) -> Tensor:
        """G(E(x))."""
        return self.sample(self.encoder(x))

    def sample(self, z: Tensor) -> Tensor:
        """G(z) of codes (B, latent), (B, 1, H, W)."""
        return torch.tanh(self.generator(z))

    def scores(self, x: Tensor) -> Tensor:
        """Score of whole slices, (B,): mean squared residual of the image and that of the features (kappa 1)."""
        made = self.reconstruct(x)
        features = self.critic.features(made) - self.critic.features(x)
        return (made - x).square().flatten(1).mean(1) + features.square().mean(1)


class SliceCritic(Regressor):
    """Slice (B, 1, H, W) to a number (B, 1)."""

    def features(self, x: Tensor) -> Tensor:
        """What the last layer takes, (B, F)."""
        return self.net(x).flatten(1)


class Vae(AnomalyMap):
    """Variational autoencoder of MONAI: the slice is reconstructed from the mean of its code.

    Args:
        size: side of a slice in pixels, 4 times a power of two.
        latent: numbers in a code.
        width: features at full size.
    """

    def __init__(self, size: int = 64, latent: int = 128, width: int = 32) -> None:
        super().__init__()
        steps = halvings(size)
        channels = [width * 2**step for step in range(steps)]
        self.vae = VarAutoEncoder(
            2, (1, size, size), 1, latent, channels, [2] * steps, norm="batch", use_sigmoid=False,
            use_mean_at_inference=True,
        )  # fmt: skip

    def reconstruct(self, x: Tensor) -> Tensor:
        """Decoded from the mean."""
        return torch.tanh(self.vae(x)[0])
