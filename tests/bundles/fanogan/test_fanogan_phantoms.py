"""Brains of which half have lesions, and the slices that are trained on."""

from __future__ import annotations

from pathlib import Path

import label_maps
import nibabel as nib
import numpy as np
import pytest
import torch
from brain_fanogan import phantoms
from bundle_commands import Bundle


def volumes(folder: Path) -> dict[str, np.ndarray]:
    return {path.name.removesuffix(".nii.gz"): nib.load(path).get_fdata() for path in folder.glob("*.nii.gz")}


@pytest.mark.parametrize("individual", [False, True])
def test_a_healthy_brain_has_no_lesion_file(tmp_path: Path, individual: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phantoms, "LESION_PROBABILITY", 0)
    maps = label_maps.write(tmp_path / "maps", 4) if individual else None
    phantoms.write_brains(tmp_path / "data", 1, 6.0, label_maps=maps)
    assert set(volumes(tmp_path / "data" / "phantom_000")) == {"t1", "t2", "flair"}


def test_lesions_are_bright_in_t2_and_flair_and_dark_in_t1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phantoms, "LESION_PROBABILITY", 1)
    phantoms.write_brains(tmp_path / "data", 1, 4.0, seed=1)
    found = volumes(tmp_path / "data" / "phantom_000")
    lesion = found.pop("lesion") > 0
    white = found["t1"] > np.percentile(found["t1"][found["t1"] > 0.3 * found["t1"].max()], 80)
    contrast = {name: image[lesion].mean() - image[white & ~lesion].mean() for name, image in found.items()}
    assert contrast["flair"] > 0
    assert contrast["t2"] > 0
    assert contrast["t1"] < 0


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
