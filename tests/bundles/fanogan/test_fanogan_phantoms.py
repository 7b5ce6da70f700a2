"""Brains of which half have lesions, and the slices that are trained on."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from bundle_commands import Bundle

BUNDLE = Bundle("brain_fanogan")


def test_no_slice_that_a_lesion_contributes_to_is_trained_on(tmp_path: Path) -> None:
    """A slice of 3 mm is interpolated from two of 2 mm, of which the lesion is in one."""
    head = np.zeros((40, 40, 24), np.float32)
    head[8:32, 8:32, 2:22] = np.random.default_rng(0).uniform(1, 2, (24, 24, 20))
    preprocessing = BUNDLE.parser("train").get_parsed_content("preprocessing")

    def prepared(image: np.ndarray, place: int) -> dict[str, torch.Tensor]:
        lesion = np.zeros(head.shape, np.uint8)
        lesion[10:14, 10:14, place] = 1
        for name, volume in (("flair", image), ("lesion", lesion)):
            nib.save(nib.Nifti1Image(volume, np.diag([2, 2, 2, 1])), tmp_path / f"{name}.nii.gz")
        flair = str(tmp_path / "flair.nii.gz")
        made: dict[str, torch.Tensor] = preprocessing(
            {"case": "one", "image": flair, "label": flair, "lesion": str(tmp_path / "lesion.nii.gz")}
        )
        return made

    for place in range(8, 11):
        given = head.copy()
        given[10:14, 10:14, place] += 0.5
        with_lesion, without = prepared(given, place), prepared(head, place)
        trained_on = with_lesion["mask"].amax(dim=(0, 1, 2)) > 0
        seen = (with_lesion["image"] - without["image"]).abs().amax(dim=(0, 1, 2))
        assert trained_on.any()
        assert (seen[trained_on] < seen.max() / 10).all(), "standardisation moves the other slices a little"
