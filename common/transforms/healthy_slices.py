"""Slices to train on: those of healthy tissue alone."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.transforms import Transform


class HealthySlicesd(Transform):
    """Set ``mask`` (1, X, Y, Z) to 0 in axial slices with a voxel of ``lesion``, so that none of them is trained on
    and none chooses the weights that are kept."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Change the mask of a case with a lesion mask."""
        if "lesion" not in data:
            return dict(data)
        healthy = data["lesion"].as_tensor().amax(dim=(1, 2), keepdim=True) <= 0
        return {**data, "mask": data["mask"] * healthy}
