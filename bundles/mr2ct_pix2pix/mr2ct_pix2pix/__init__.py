"""MR to CT with a conditional GAN on 2-D slices (pix2pix)."""

from common.files import bundle_root_of

bundle_root = bundle_root_of(__file__)
