"""DICOM at both ends of the inference of every translation bundle, as a user asks for it."""

from __future__ import annotations

import json
import shutil

import nibabel as nib
import numpy as np
import pydicom
import pytest
import torch
from bundle_commands import ok

from common.io.reader import VolumeReader

pytestmark = [pytest.mark.slow_elsewhere, pytest.mark.translation, pytest.mark.volumes]


def modality(bundle):
    """That of DICOM for the target of the metadata."""
    stated = json.loads((bundle.configs / "metadata.json").read_text())["network_data_format"]["outputs"]["pred"]
    return {"PET": "PT"}.get(stated["modality"], stated["modality"])


@pytest.fixture
def case(tiny_data, tmp_path):
    """A data folder of one phantom."""
    folder = sorted(path for path in tiny_data.iterdir() if path.is_dir())[0]
    shutil.copytree(folder, tmp_path / "data" / folder.name)
    return folder.name


def infer(bundle, weights, **places):
    settings = {"device": torch.device("cpu"), "weights": str(weights), **places}
    bundle.parser("inference", "demo", **settings).get_parsed_content("evaluator").run()


def in_units(folder):
    """A series read back in the unit of its bundle, in the order closest to RAS, and its first header."""
    volume = VolumeReader().check(folder, "a")
    step = json.loads(folder.with_suffix(".json").read_text())["UnitPerStoredStep"]
    header = pydicom.dcmread(folder / "IM0001.dcm", stop_before_pixels=True)
    values = volume.values * (step if header.Modality == "MR" else 1)
    return nib.as_closest_canonical(nib.Nifti1Image(values, volume.affine)), step, header


def test_series_conforms_and_says_what_it_is(bundle, tiny_run, case, tmp_path, conformance_errors):
    """That its values and places are those of the file is in ``test_invariance.py``."""
    settings = {"dataset_dir": tmp_path / "data", "weights": tiny_run / "models" / "model.pt"}
    out = tmp_path / "dicom"
    ok(bundle.run("inference", ["inference"], output_format="dicom", predictions_dir=out, **settings))
    (entry,) = json.loads((out / "manifest.json").read_text())
    assert (entry["case"], entry["status"]) == (case, "done")
    assert conformance_errors(out / entry["file"]) == []
    header = pydicom.dcmread(out / entry["file"] / "IM0001.dcm", stop_before_pixels=True)
    assert header.Modality == modality(bundle)
    assert header.PatientID.startswith("SYNTHETIC-NO-PATIENT-")
    assert header.ManufacturerModelName == bundle.name


def test_a_series_from_a_series_stays_in_its_study(bundle, tiny_run, case, tmp_path, conformance_errors):
    """The output for a phantom serves as a source in its turn; several channels are several folders."""
    weights, data = tiny_run / "models" / "model.pt", tmp_path / "data"
    infer(bundle, weights, dataset_dir=str(data), predictions_dir=str(tmp_path / "first"), output_format="dicom")
    (made,) = (path for path in (tmp_path / "first").iterdir() if path.is_dir())
    settings = bundle.raw("train")
    for channel in settings["source"].split(","):
        (data / case / f"{channel}.nii.gz").unlink()
        shutil.copytree(made, data / case / channel)
    for output_format in ("dicom", "nifti"):
        places = {"predictions_dir": str(tmp_path / output_format), "output_dtype": "float32"}
        if bundle.traits["unit"] == "DVR":  # its values fill no window of an MTR
            values = VolumeReader().check(made, "a").values
            places["source_window"] = [[float(values.min()), float(values.max())]] * len(settings["source"].split(","))
        infer(bundle, weights, dataset_dir=str(data), output_format=output_format, accept_modality=True, **places)

    folder = tmp_path / "dicom" / made.name
    assert conformance_errors(folder) == []
    read, step, header = in_units(folder)
    expected = nib.as_closest_canonical(nib.load(tmp_path / "nifti" / f"{made.name}.nii.gz"))
    np.testing.assert_allclose(read.affine, expected.affine, atol=1e-4)
    values = expected.get_fdata()
    assert np.abs(read.get_fdata() - (values.clip(min=0) if header.Modality == "PT" else values)).max() <= 0.501 * step
    source = pydicom.dcmread(made / "IM0001.dcm", stop_before_pixels=True)
    assert (header.StudyInstanceUID, header.FrameOfReferenceUID) == (
        source.StudyInstanceUID,
        source.FrameOfReferenceUID,
    )
    assert header.SeriesInstanceUID != source.SeriesInstanceUID
    assert header.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
