"""Stained histology from grey images by a conditional GAN."""

from common.files import bundle_root_of

bundle_root = bundle_root_of(__file__)
