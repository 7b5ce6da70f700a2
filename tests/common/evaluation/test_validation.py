"""Validation against targets as their files have them."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import DataLoader
from monai.engines import SupervisedEvaluator
from monai.transforms import Compose, Invertd, Orientationd

from common.errors import DataError
from common.evaluation import SourceDataset, output_error
from common.transforms import LoadVolumed, ScaleWindowd, ToUnitd

AFFINE = np.diag([-2.0, 2, 2, 1])
"""Left-anterior-superior: preprocessing turns it."""


def validated(tmp_path, postprocessing=None):
    """Metrics of a validation of 20 x source, where half of the target is 1000 HU, beyond the window of 480 HU."""
    source = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    target = np.where(source < 12, 20 * source, 1000)
    volumes = {"image": source, "label": target, "mask": np.ones(source.shape)}
    for name, values in volumes.items():
        nib.save(nib.Nifti1Image(values.astype(np.float32), AFFINE), tmp_path / f"{name}.nii.gz")
    item = {"case": "a", **{name: str(tmp_path / f"{name}.nii.gz") for name in volumes}}
    keys = ["image", "label", "mask"]
    prepare = Compose(
        [LoadVolumed(keys), Orientationd(keys, "RAS", allow_missing_keys=True, labels=None),
         ScaleWindowd("image", [0, 24]), ScaleWindowd("label", [0, 480])]
    )  # fmt: skip
    undo = Compose([Invertd("pred", prepare, "image", nearest_interp=False), ToUnitd("pred", [0, 480])])
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"), val_data_loader=DataLoader(SourceDataset([item], prepare), batch_size=1),
        network=torch.nn.Identity(), postprocessing=postprocessing or undo, key_val_metric=output_error([item], "HU"),
    )  # fmt: skip
    evaluator.run()
    return evaluator.state.metrics


def test_the_error_is_against_the_unclipped_target_in_its_unit(tmp_path):
    """Of 20 x source, the lower half is right; the upper is 1000 - 20 (12 + ... + 23) / 12 = 650 HU away."""
    assert validated(tmp_path) == {"mae_HU": pytest.approx(650 / 2, rel=1e-5)}


def test_an_output_on_another_grid_is_refused(tmp_path):
    with pytest.raises(DataError, match="a: prediction .*check that restore inverts preprocessing"):
        validated(tmp_path, Compose([ToUnitd("pred", [0, 480])]))


def test_a_ratio_has_no_unit():
    assert output_error([], "", name="nmae").keys() == {"nmae"}
