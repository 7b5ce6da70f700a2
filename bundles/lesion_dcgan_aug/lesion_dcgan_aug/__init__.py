"""Lesion patches by DCGAN, one for each class, and the study of what they add to a classifier."""

from common.files import bundle_root_of

bundle_root = bundle_root_of(__file__)
