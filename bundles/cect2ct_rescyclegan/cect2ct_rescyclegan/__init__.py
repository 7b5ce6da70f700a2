"""Contrast-enhanced CT to unenhanced CT with a residual CycleGAN of three discriminators."""

from common.files import bundle_root_of

bundle_root = bundle_root_of(__file__)
