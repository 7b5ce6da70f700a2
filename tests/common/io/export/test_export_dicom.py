"""The exporter with DICOM at either end: series from files, series from series, files from series."""

import hashlib
import json
import shutil
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pydicom
import pytest
from bundle_commands import snapshot
from dicom_phantom import OBLIQUE, PATIENT, SAGITTAL, Grid, write_series
from monai.data import DataLoader, Dataset, MetaTensor
from series_readers import by_hand

from common.errors import ConfigError, OutputError
from common.io import VolumeReader
from common.io.export import VolumeExporter
from common.transforms import LoadVolumed

GRID = Grid(orientation=OBLIQUE)
ROTATED = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.1, -0.2, 0.3) * [1.1, 0.9, 2.3], [7.7, -8.8, 9.9])


@pytest.fixture
def make(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"weights")
    places = {"predictions_dir": str(tmp_path / "out"), "weights": str(tmp_path / "model.pt")}

    def exporter(modality="CT", **settings):
        fixed = {"suffix": "synthetic_ct", "unit": "HU", "bundle": "mr2ct 1.2.3", **places}
        return VolumeExporter(modality=modality, **{**fixed, "output_format": "dicom", **settings})

    return exporter


def loaded(path, **options):
    """A case as the evaluator sees it: loaded, collated and taken apart again."""
    items = Dataset([{"case": "case_1", "image": str(path)}], LoadVolumed("image", VolumeReader(**options)))
    (batch,) = DataLoader(items, batch_size=1)
    image = batch["image"][0]
    return {"case": "case_1", "image": MetaTensor(image, meta={key: one(value) for key, value in image.meta.items()})}


def one(value):
    return value[0] if isinstance(value, list) else value


def series(folder, grid=GRID, **settings):
    write_series(folder, grid, "MR", **settings)
    return folder


def nifti(path, shape=(4, 5, 6)):
    nib.save(nib.Nifti1Image(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), ROTATED), path)
    return path


def test_a_file_becomes_a_series_beside_its_sidecar(make, tmp_path):
    values = np.random.default_rng(0).uniform(-1000, 1000, (4, 5, 6))
    path = make().write(loaded(nifti(tmp_path / "mr.nii")), values)
    assert path == tmp_path / "out" / "case_1_synthetic_ct"
    assert sorted(each.name for each in path.iterdir()) == [f"IM000{number}.dcm" for number in range(1, 7)]
    assert sorted(each.name for each in path.parent.iterdir()) == ["case_1_synthetic_ct", "case_1_synthetic_ct.json"]
    header = pydicom.dcmread(path / "IM0001.dcm")
    about = json.loads((path.parent / "case_1_synthetic_ct.json").read_text())
    assert about["SyntheticData"] is about["NotForClinicalUse"] is True
    assert about["WeightsSha256"] == hashlib.sha256(b"weights").hexdigest()
    assert (about["SeriesInstanceUID"], about["UnitPerStoredStep"]) == (header.SeriesInstanceUID, 1.0)
    read = nib.as_closest_canonical(by_hand(path))
    expected = nib.as_closest_canonical(nib.Nifti1Image(np.rint(values), ROTATED))
    np.testing.assert_allclose(read.affine, expected.affine, atol=1e-5)
    np.testing.assert_array_equal(read.get_fdata(), expected.get_fdata())


@pytest.mark.parametrize("axial", [False, True])
@pytest.mark.parametrize(("modality", "unit"), [("CT", "HU"), ("MR", "a.u."), ("PT", "DVR")])
def test_the_map_of_a_series_is_a_second_one_with_the_values_of_the_file(make, tmp_path, modality, unit, axial):
    grid = Grid(orientation=SAGITTAL)
    item = loaded(series(tmp_path / "in", grid))
    widths = np.random.default_rng(0).uniform(0, 300, grid.shape).astype(np.float32)
    read, about = {}, {}
    for output_format in ("dicom", "nifti"):
        settings = {"output_format": output_format, "predictions_dir": str(tmp_path / output_format)}
        exporter = make(modality, unit=unit, dicom_axial=axial, **settings)
        exporter.add_maps({"Level": 0.9}, "90% of voxels in 90% of cases")
        exporter.write(item, np.rint(grid.values()), widths)
        exporter.require_free([{"case": "case_1", "image": str(tmp_path / "in")}], resume=True)
        path = exporter.map_path("case_1")
        read[output_format] = nib.as_closest_canonical(by_hand(path) if path.is_dir() else nib.load(path))
        about[output_format] = json.loads(exporter.sidecar("case_1").read_text())["Uncertainty"]
    assert about["nifti"] == {"Level": 0.9}
    step = about["dicom"]["UnitPerStoredStep"]
    factor = step if modality == "MR" else 1  # MR has no rescale slope
    difference = np.abs(read["dicom"].get_fdata() * factor - read["nifti"].get_fdata()).max()
    assert 0.4 * step < difference <= 0.5 * step + 1e-4
    assert step < 0.016
    np.testing.assert_allclose(read["dicom"].affine, read["nifti"].affine, atol=1e-5)
    widened = pydicom.dcmread(tmp_path / "dicom" / "case_1_synthetic_ct_uncertainty" / "IM0001.dcm")
    assert widened.SeriesInstanceUID == about["dicom"]["SeriesInstanceUID"]


@pytest.mark.parametrize(
    ("same", "modality", "voltages", "kernels", "found"),
    [
        (True, "CT", "110.0", ["Br40d", "3"], (110, ["Br40d", "3"])),
        (False, "CT", "110.0", ["Br40d", "3"], (None, None)),
        (True, "CT", ("80", "140", "80", "140"), "B", (None, "B")),
        (True, "CT", "-1", ("A", "B", "A", "B"), (None, None)),
        (True, "CT", "", "non-ASCII \u00e9", (None, None)),
        (True, "MR", "110.0", "B", (None, None)),
    ],
)
def test_voltage_and_kernel_are_those_of_the_scan_that_was_restored(
    make, tmp_path, same, modality, voltages, kernels, found
):
    def change(header, number):
        header.KVP = voltages[number] if isinstance(voltages, tuple) else voltages
        header.ConvolutionKernel = kernels[number] if isinstance(kernels, tuple) else kernels

    write_series(tmp_path / "in", GRID, modality, change=change)
    exporter = make(same_scan=same)
    exporter.add_maps({"Level": 0.9}, "90% of voxels in 90% of cases")
    path = exporter.write(loaded(tmp_path / "in"), GRID.values(), np.abs(GRID.values()))
    made = pydicom.dcmread(path / "IM0001.dcm")
    assert (made.KVP, made.get("ConvolutionKernel")) == found
    assert pydicom.dcmread(exporter.map_path("case_1") / "IM0001.dcm").KVP is None
    assert json.loads(exporter.sidecar("case_1").read_text()).get("SameScan", False) == same


def test_the_sidecar_of_a_series_names_it_by_its_uid_alone(make, tmp_path):
    source = series(tmp_path / "DOE_JANE", series="1.2.3.4")
    make().write(loaded(source), GRID.values())
    text = (tmp_path / "out" / "case_1_synthetic_ct.json").read_text()
    assert json.loads(text)["Source"] == "series 1.2.3.4"
    assert not [word for word in ("DOE", *PATIENT.values()) if word in text]


def test_a_uid_that_is_none_is_not_repeated_in_the_sidecar(make, tmp_path):
    item = loaded(series(tmp_path / "in", series="1.2.3"))
    item["image"].meta["series_uid"] = "DOE^JANE"
    make(output_format="nifti").write(item, GRID.values())
    about = json.loads((tmp_path / "out" / "case_1_synthetic_ct.json").read_text())
    assert about["Source"] == "series with an invalid UID, sha256 " + hashlib.sha256(b"DOE^JANE").hexdigest()[:12]


def test_a_series_becomes_a_file_on_its_grid(make, tmp_path):
    exporter = make(output_format="nifti", output_dtype="float32")
    path = exporter.write(loaded(series(tmp_path / "series")), GRID.values())
    made = nib.load(path)
    assert path.name == "case_1_synthetic_ct.nii.gz"
    np.testing.assert_allclose(made.affine, GRID.affine, atol=1e-5)
    np.testing.assert_allclose(made.header.get_qform(), GRID.affine, atol=1e-4)
    np.testing.assert_allclose(made.header.get_zooms(), (0.8, 0.5, 2.5), rtol=1e-6)
    assert (int(made.header["sform_code"]), made.header.get_xyzt_units()[0]) == (1, "mm")
    np.testing.assert_allclose(made.get_fdata(), GRID.values(), rtol=1e-6)


def test_of_several_series_and_phases_the_one_that_was_read_is_referred_to(make, tmp_path):
    folder = series(tmp_path / "in", series="1.2.3", prefix="other")
    for echo in (1, 2):

        def timed(header, number, echo=echo):
            header.EchoTime = str(10 * echo)

        write_series(folder, GRID, "MR", series="1.2.4", prefix=f"echo{echo}", change=timed)
    item = loaded(folder, series="1.2.4", phase=2)
    path = make(reader=VolumeReader(phase=2)).write(item, GRID.values())
    (reference,) = pydicom.dcmread(path / "IM0001.dcm").SourceImageSequence
    own = pydicom.dcmread(folder / "echo2004.dcm")  # files are named against their order
    assert reference.ReferencedSOPInstanceUID == own.SOPInstanceUID


def test_a_resampled_tilt_is_exported_on_the_grid_it_was_resampled_to(make, tmp_path):
    folder = series(tmp_path / "in", Grid(step=(0, 0.6, 2.5)))
    item = loaded(folder, resample_tilt=True)
    values = item["image"][0].numpy()
    exporter = make()
    exporter.write(item, exporter.on_host(item, item["image"]))
    read = nib.as_closest_canonical(by_hand(exporter.path("case_1")))
    own = nib.as_closest_canonical(nib.Nifti1Image(np.rint(values), np.asarray(item["image"].affine)))
    np.testing.assert_allclose(read.affine, own.affine, atol=1e-4)
    np.testing.assert_array_equal(read.get_fdata(), own.get_fdata())


class TestRefusals:
    def test_existing_folder_unless_overwritten_and_then_whole(self, make, tmp_path):
        item, case = loaded(nifti(tmp_path / "mr.nii")), {"case": "case_1", "image": str(tmp_path / "mr.nii")}
        path = make().write(item, np.zeros((4, 5, 6)))
        shutil.copy(path / "IM0001.dcm", path / "IM0099.dcm")  # as of an earlier output with more slices
        with pytest.raises(OutputError, match="case_1_synthetic_ct already exists: pass --overwrite true"):
            make().require_free([case])
        make(overwrite=True).require_free([case])
        make(overwrite=True).write(item, np.ones((4, 5, 6)))
        assert len(list(path.iterdir())) == 6
        assert (pydicom.dcmread(path / "IM0001.dcm").pixel_array == 1).all()

    @pytest.mark.parametrize("allowed", ["overwrite", "resume"])
    def test_a_folder_of_others_is_kept(self, make, tmp_path, allowed):
        item, case = loaded(nifti(tmp_path / "mr.nii")), {"case": "case_1", "image": str(tmp_path / "mr.nii")}
        series(tmp_path / "out" / "case_1_synthetic_ct")
        if allowed == "overwrite":  # a sidecar says nothing of what the folder holds by now
            (tmp_path / "out" / "case_1_synthetic_ct.json").write_text('{"SyntheticData": true}')
        before = snapshot(tmp_path / "out")
        exporter = make(overwrite=allowed == "overwrite")
        message = "case_1_synthetic_ct holds files that this project did not write"
        with pytest.raises(OutputError, match=message):
            exporter.require_free([case], resume=allowed == "resume")
        with pytest.raises(OutputError, match=message):
            exporter.write(item, np.zeros((4, 5, 6)))
        assert snapshot(tmp_path / "out") == before

    def test_a_run_killed_before_the_sidecar_is_resumed(self, make, tmp_path):
        item, case = loaded(nifti(tmp_path / "mr.nii")), {"case": "case_1", "image": str(tmp_path / "mr.nii")}
        path = make().write(item, np.zeros((4, 5, 6)))
        path.with_suffix(".json").unlink()
        with pytest.raises(OutputError, match="case_1_synthetic_ct already exists"):
            make().require_free([case])
        make().require_free([case], resume=True)
        make().write(item, np.ones((4, 5, 6)))
        assert (pydicom.dcmread(path / "IM0001.dcm").pixel_array == 1).all()
        assert path.with_suffix(".json").is_file()

    def test_a_finished_series_is_not_looked_at_again(self, make, tmp_path):
        item, exporter = loaded(nifti(tmp_path / "mr.nii")), make()
        cases = [{"case": "case_1", "image": str(tmp_path / "mr.nii")}]
        exporter.require_free(cases)
        path = exporter.write(item, np.zeros((4, 5, 6)))
        (path / "notes.txt").write_text("mine")
        make().require_free(cases, resume=True)

    def test_a_disk_without_room(self, make, tmp_path, monkeypatch):
        nifti(tmp_path / "mr.nii", (100, 100, 100))  # 2 MB each as slices
        cases = [{"case": f"case_{number}", "image": str(tmp_path / "mr.nii")} for number in range(3)]
        hostile = nib.Nifti1Header()
        hostile.set_data_shape((32767, 32767, 32767))
        (tmp_path / "hostile.nii").write_bytes(hostile.binaryblock)
        unusable = ("model.pt", "absent.nii", "hostile.nii")  # they fail alone, later
        cases += [{"case": name, "image": str(tmp_path / name)} for name in unusable]
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=5_900_000))
        with pytest.raises(OutputError, match="out has 5.9 MB free, the outputs need 6.0 MB: free space"):
            make().require_free(cases)
        make(output_format="nifti").require_free(cases)
        with_maps = make(modality="MR")
        with_maps.add_maps({}, "")
        with pytest.raises(OutputError, match=r"the outputs need 12\.0 MB"):
            with_maps.require_free(cases)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=6_000_000))
        make().require_free(cases)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"output_format": "bmp"}, "--output_format is 'bmp': choose nifti, dicom, nrrd, mha, png, "),
            ({"output_format": "png"}, "--output_format png is not for volumes: choose nifti, dicom, nrrd or mha"),
            ({"modality": "US"}, "--output::modality is 'US': choose CT, MR or PT"),
            ({"timing": 4000}, "--timing is 4000, not two positive numbers"),
            ({"timing": ["4000", "90"]}, r"--timing is \['4000', '90'\], not two positive numbers"),
        ],
    )
    def test_settings(self, make, settings, message):
        with pytest.raises(ConfigError, match=message):
            make(**settings)
