"""What MONAI Label's writer is told, and that nothing else changes."""

import pytest
import torch
from monai.data import MetaTensor

from common.transforms import ServedAsFloatd

PRED = MetaTensor(torch.tensor([[[[-1000.5, 1523.25]]]]), affine=torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0])))


def test_a_label_map_that_was_asked_for_and_half_precision_become_values():
    served = ServedAsFloatd("pred")({"pred": PRED, "result_dtype": "uint8", "result_extension": ".nrrd"})
    assert served["result_dtype"] == "float32"
    assert served["result_extension"] == ".nrrd", "the type of file is the client's choice"
    assert served["pred"].flatten().tolist() == [-1000.5, 1523.25]
    assert served["pred"].affine.diag().tolist() == [2, 3, 4, 1]
    served = ServedAsFloatd("pred")({"pred": PRED.to(torch.bfloat16)})
    assert served["pred"].dtype == torch.float32
    assert served["pred"].flatten().tolist() == [-1000, 1520]  # 8 bits of mantissa


def test_a_folder_of_dicom_is_answered_as_nifti_and_a_file_keeps_its_own_type(tmp_path):
    folder = tmp_path / "1.2.826.0.1"  # a series' UID would be taken for the type of file ".826.0.1"
    folder.mkdir()
    asked = {"image_path": str(folder), "result_extension": ".nrrd"}
    for more, extension in (
        ({"image_path": str(folder)}, ".nii.gz"),
        (asked, ".nrrd"),
        ({"image_path": "somewhere/scan.nii.gz"}, None),
        ({}, None),
    ):
        assert ServedAsFloatd("pred")({"pred": PRED, **more}).get("result_extension") == extension


def test_a_missing_image_is_an_error_unless_allowed():
    with pytest.raises(KeyError, match="pred"):
        ServedAsFloatd("pred")({})
    assert ServedAsFloatd("pred", allow_missing_keys=True)({}) == {"result_dtype": "float32"}
