"""Anomaly maps of MR of the brain from training on healthy tissue alone (f-AnoGAN)."""

from common.files import bundle_root_of

bundle_root = bundle_root_of(__file__)
