"""Brains of which half have lesions."""

from __future__ import annotations

from pathlib import Path

import label_maps
import nibabel as nib
import numpy as np
import pytest
from brain_fanogan import phantoms


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
