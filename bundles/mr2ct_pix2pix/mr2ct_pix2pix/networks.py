"""The networks of pix2pix, at their published size by default (Isola et al. 2017, appendix 6.1)."""

from common.networks import PatchDiscriminator, UNetGenerator

__all__ = ["PatchDiscriminator", "UNetGenerator"]
