"""Lesion patch synthesis with one DCGAN per class, and a study of augmentation for lesion classification."""

from common.files import bundle_root_of

bundle_root = bundle_root_of(__file__)
