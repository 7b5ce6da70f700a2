"""The row of scores: the same for every kind of volume, and as the command prints it."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from common import metrics
from common.errors import ConfigError, DataError
from medical_image_synthesis.scoring import score

AFFINE = np.array([[-1.5, 0, 0, 10], [0, 1.5, 0, -12], [0, 0, 2.0, -7], [0, 0, 0, 1]])
NAMES = ("pred", "truth", "mask")


def volumes() -> dict[str, np.ndarray]:
    """A body (20, 18, 16) with texture in air, and a prediction that is off by noise."""
    rng = np.random.default_rng(0)
    mask = np.zeros((20, 18, 16), np.uint8)
    mask[3:17, 3:15, 2:14] = 1
    truth = np.where(mask, rng.normal(40, 200, mask.shape), -1000).astype(np.float32)
    return {"pred": truth + rng.normal(0, 30, mask.shape).astype(np.float32), "truth": truth, "mask": mask}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    paths = {name: tmp_path / f"{name}.nii.gz" for name in NAMES}
    for name, values in volumes().items():
        nib.save(nib.Nifti1Image(values, AFFINE), paths[name])
    return paths


def test_axes_are_turned_to_those_of_the_truth(files: dict[str, Path]) -> None:
    turned = {name: nib.as_closest_canonical(nib.load(files[name])) for name in ("pred", "mask")}
    assert turned["pred"].affine[0, 0] > 0 > AFFINE[0, 0]
    assert score(**files | turned, unit="HU").to_dict() == score(**files, unit="HU").to_dict()


def test_the_row_has_the_metrics_of_an_evaluation_and_their_conditions(files: dict[str, Path]) -> None:
    row = score(**files, unit="HU")
    of_ct = metrics.ct_scores(**volumes())
    assert row.to_dict() == {**metrics.score(**volumes(), value_range=(-1024, 3000)), **of_ct}
    assert {"mae_bone", "bone_dice", "air_dice"} < of_ct.keys()
    assert row.name == "pred"
    assert row.attrs["units"] | {"psnr": "dB"} == row.attrs["units"]
    assert (row.attrs["units"]["mae"], row.attrs["units"]["ssim"]) == ("HU", "")
    conditions = {name: row.attrs[name] for name in ("unit", "value_range", "mask_voxels", "undefined")}
    assert conditions == {
        "unit": "HU", "value_range": (-1024, 3000), "mask_voxels": 14 * 12 * 12, "undefined": {},
    }  # fmt: skip


def test_a_metric_without_a_value_is_nan_with_its_reason(files: dict[str, Path]) -> None:
    row = score(files["truth"], files["truth"], files["mask"], unit="HU")
    assert (row["mae"], row["ssim"]) == (0, 1)
    assert math.isnan(row["psnr"])
    assert row.attrs["undefined"] == {"psnr": "infinite: the volumes are equal inside the mask"}


def test_the_unit_of_a_result_decides(files: dict[str, Path]) -> None:
    """Its truth has air, by which it is a CT in HU as well."""
    result = SimpleNamespace(array=volumes()["pred"], affine=AFFINE, unit="HU")
    assert score(result, files["truth"], files["mask"]).attrs["unit"] == "HU"
    with pytest.raises(ConfigError, match="unit of pred and truth is unknown.*: give unit=HU for CT"):
        score(**files)


def test_mistakes_name_the_volume(files: dict[str, Path]) -> None:
    with pytest.raises(DataError, match=r"no file or folder .*gone.nii.gz \(mask\): check the path"):
        score(files["pred"], files["truth"], files["mask"].with_name("gone.nii.gz"))
    with pytest.raises(DataError, match="pred: voxels are not finite .* repair them; an inference takes nan_fill=0$"):
        score((np.full((20, 18, 16), np.nan), AFFINE), files["truth"], files["mask"])
    with pytest.raises(DataError, match=r"pred has 2 channels: give one volume"):
        score((np.ones((2, 20, 18, 16)), AFFINE), files["truth"], files["mask"])
    with pytest.raises(DataError, match="pred has shape .*, the truth shape .*: resample it or fix its affine"):
        score((volumes()["pred"], np.eye(4)), files["truth"], files["mask"])
