"""Multimodal MR to a myelin map (PET) with a Sketcher and a Refiner."""

from common.files import bundle_root_of

bundle_root = bundle_root_of(__file__)
