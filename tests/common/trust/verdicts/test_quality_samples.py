"""Signs and errors of held-out cases through their files."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.transforms import Compose, Invertd, Orientationd

from common.errors import DataError
from common.evaluation.methods import EvaluatedMethod
from common.transforms import LoadVolumed
from common.trust.verdicts.samples import CONSTANT, COPIED, INTACT, Sampling
from common.trust.verdicts.signs import Signs

LPS = np.diag([-3.0, -3.0, 3.0, 1.0])


@pytest.fixture
def item(tmp_path):
    """The truth is the source and 10; it is stored in another orientation than RAS."""
    places = np.stack(np.meshgrid(*[np.arange(20)] * 3, indexing="ij"), axis=-1)
    inside = np.linalg.norm(places - (9, 10, 8), axis=-1) < 7
    image = np.where(inside, np.random.default_rng(0).uniform(50, 150, inside.shape), -1000).astype(np.float32)
    paths = {}
    for name, volume in {"image": image, "label": image + 10, "mask": inside.astype(np.float32)}.items():
        paths[name] = str(tmp_path / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(volume, LPS), paths[name])
    return {"case": "one", **paths}


def test_the_error_is_that_of_the_truth_that_moved_along(item):
    """A network that gives its input back is 10 off, wherever the head lies; a blurred input is off by more."""
    before = Compose([LoadVolumed("image"), Orientationd("image", axcodes="RAS", labels=None)])
    restore = Invertd("pred", before, orig_keys="image", nearest_interp=False)
    method = EvaluatedMethod(torch.nn.Identity(), before, lambda image, network: network(image), restore)
    sampling = Sampling(method, torch.device("cpu"), Signs("HU"), copied=True)
    kinds = ["upside down", "cut from above", "blur"]
    samples = list(sampling(item, kinds))
    assert [(sample.case, sample.kind) for sample in samples] == [("one", kind) for kind in (INTACT, *kinds)]
    errors = [sample.error for sample in samples]
    assert errors[:3] == pytest.approx([10, 10, 10], abs=1e-3)
    assert errors[3] > 20
    truth = nib.load(item["label"]).get_fdata()[nib.load(item["mask"]).get_fdata() > 0]
    assert samples[0].rivals == pytest.approx({CONSTANT: np.abs(truth - np.median(truth)).mean(), COPIED: 10}, abs=1e-3)
    (relative,) = Sampling(method, torch.device("cpu"), Signs("HU"), copied=True, relative=True)(item, [])
    bright = np.percentile(truth, 99.5) / 100
    assert relative.error == pytest.approx(10 / bright, rel=1e-4)
    assert relative.rivals == pytest.approx({name: value / bright for name, value in samples[0].rivals.items()})
    assert samples[0].signs["slice thickness in mm"] == 3
    assert samples[2].signs["head at the edge of the volume, top"] > 0.5


def test_a_distortion_that_the_method_refuses_is_left_out(item, caplog):
    """A chain of transforms wraps the error of one of them."""

    def require_grain(data):
        if data["image"].max() < 140:
            raise DataError("one", "has grain", "none", "sharpen it")
        return data

    before = Compose([LoadVolumed("image"), Orientationd("image", axcodes="RAS", labels=None), require_grain])
    restore = Invertd("pred", before, orig_keys="image", nearest_interp=False)
    method = EvaluatedMethod(torch.nn.Identity(), before, lambda image, network: network(image), restore)
    samples = list(Sampling(method, torch.device("cpu"), Signs("HU"))(item, ["blur", "upside down"]))
    assert [sample.kind for sample in samples] == [INTACT, "upside down"]
    assert "blur: left out, since it would fail: one: has grain, but got none; sharpen it" in caplog.text
