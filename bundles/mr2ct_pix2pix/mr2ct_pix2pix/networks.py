"""Networks of pix2pix, at their published size by default (Isola et al. 2017, appendix 6.1)."""

from common.networks.patch_discriminator import PatchGanDiscriminator
from common.networks.unet import UNetGenerator

__all__ = ["PatchGanDiscriminator", "UNetGenerator"]
