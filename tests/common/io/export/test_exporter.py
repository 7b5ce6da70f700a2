"""What the exporter writes beside the volume, what it refuses early, and that nothing half done is left."""

import errno
import hashlib
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from common.errors import DataError, OutputError
from common.io.export import VolumeExporter

SHAPE = (4, 5, 6)
ROTATED = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.1, -0.2, 0.3) * [1.1, 0.9, 2.3], [7.7, -8.8, 9.9])


@pytest.fixture
def exporter(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"weights")
    return VolumeExporter(str(tmp_path / "out"), "synthetic_ct", "CT", "HU", "mr2ct 1.2.3", str(tmp_path / "model.pt"))


@pytest.fixture
def item(tmp_path):
    path = tmp_path / "mr.nii"
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.int16), ROTATED), path)
    image = MetaTensor(torch.zeros(1, *SHAPE), affine=torch.from_numpy(nib.load(path).affine))
    image.meta["original_affine"] = nib.load(path).affine
    image.meta["filename_or_obj"] = str(path)
    return {"case": "case_1", "image": image}


class TestExporter:
    def test_header_and_sidecar_say_what_it_is(self, exporter, item, tmp_path):
        path = exporter.write(item, np.full(SHAPE, 3.0))
        assert path == tmp_path / "out" / "case_1_synthetic_ct.nii.gz"
        description = bytes(nib.load(path).header["descrip"]).rstrip(b"\0")
        assert description == b"SYNTHETIC mr2ct 1.2.3, not for clinical use"
        about = json.loads((tmp_path / "out" / "case_1_synthetic_ct.json").read_text())
        assert about.pop("MadeFrom").keys() == {"SourceSha256", "SettingsSha256", "OutputSha256"}
        assert about == {
            "SyntheticData": True,
            "NotForClinicalUse": True,
            "Bundle": "mr2ct 1.2.3",
            "WeightsSha256": hashlib.sha256(b"weights").hexdigest(),
            "Source": "mr.nii",
            "Content": "synthetic ct",
            "Modality": "CT",
            "Unit": "HU",
            "Warnings": [],
            "Quality": None,
        }
        names = ["case_1_synthetic_ct.json", "case_1_synthetic_ct.nii.gz"]
        assert sorted(entry.name for entry in path.parent.iterdir()) == names

    def test_one_volume_may_have_a_name_of_its_own(self, exporter, item, tmp_path):
        """With its JSON next to it, and no manifest, whatever lies there."""
        file = tmp_path / "there" / "ct.v2.nii.gz"
        own = ("synthetic_ct", "CT", "HU", "mr2ct 1.2.3", str(tmp_path / "model.pt"))
        exporter = VolumeExporter("elsewhere", *own, output_file=str(file))
        file.parent.mkdir()
        (file.parent / "manifest.json").write_text("of another program")
        exporter.require_free([{"case": "case_1", "image": "mr.nii"}])
        assert exporter.write(item, np.full(SHAPE, 3.0)) == file
        assert sorted(path.name for path in file.parent.iterdir()) == ["ct.v2.json", "ct.v2.nii.gz", "manifest.json"]
        with pytest.raises(OutputError, match=r"ct.v2.nii.gz already exists: pass --overwrite true"):
            exporter.require_free([{"case": "case_1", "image": "mr.nii"}])

    @pytest.mark.parametrize("existing", ["case_1_synthetic_ct.nii.gz", "case_1_synthetic_ct.json"])
    @pytest.mark.parametrize("lead", [Path.touch, lambda path: path.symlink_to("nowhere")], ids=["file", "dead link"])
    def test_existing_output_is_refused_early(self, exporter, existing, lead):
        exporter.require_free([{"case": "case_1", "image": "mr.nii"}])
        lead(exporter.output_dir / existing)
        with pytest.raises(OutputError, match=f"{existing} already exists: pass --overwrite true"):
            exporter.require_free([{"case": "case_0", "image": "mr.nii"}, {"case": "case_1", "image": "mr.nii"}])
        exporter.overwrite = True
        exporter.require_free([{"case": "case_1", "image": "mr.nii"}])

    @pytest.mark.parametrize("kind", ["a case", "the weights", "another file", "the manifest"])
    @pytest.mark.parametrize("overwrite", [False, True])
    def test_output_that_is_an_input_of_the_run_is_refused(self, exporter, overwrite, kind, tmp_path):
        exporter.overwrite = overwrite
        output = exporter.output_dir / {"the manifest": "manifest.json"}.get(kind, "a_synthetic_ct.nii.gz")
        cases = [{"case": "a", "image": str(tmp_path / "a.nii.gz")}]
        cases += [{"case": "b", "image": str(output)}] if kind == "a case" else []
        exporter.weights = output if kind == "the weights" else exporter.weights
        message = f"{output} would replace {output}, an input of the same run: choose another folder for the results"
        with pytest.raises(OutputError, match=message):
            exporter.require_free(cases, inputs=[output] if kind in ("another file", "the manifest") else [])
        assert not exporter.output_dir.exists()

    @pytest.mark.parametrize("name", ["../a", "/tmp/a", "a/b", "..", "", "a\0", "a\ud800", "x" * 220])
    def test_a_name_that_leads_out_of_the_folder_is_refused(self, exporter, name, item, tmp_path):
        with pytest.raises(DataError, match="^case '.* (cannot name a file: give|bytes, over 231: shorten)"):
            exporter.require_free([{"case": "good", "image": "a.nii"}, {"case": name, "image": "b.nii"}])
        with pytest.raises(DataError, match="^case '.* (cannot name a file|bytes, over 231)"):
            exporter.write({**item, "case": name}, np.zeros(SHAPE))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["model.pt", "mr.nii"]

    @pytest.mark.parametrize("pair", ["aA", "ßẞ", ("é", "e\u0301"), ("É", "e\u0301"), "aa"])
    def test_cases_with_the_same_output_are_refused(self, exporter, pair):
        with pytest.raises(OutputError, match=r"_synthetic_ct.nii.gz and '.*' are one file where"):
            exporter.require_free([{"case": name, "image": "a.nii"} for name in pair])
        assert not exporter.output_dir.exists()

    def test_a_folder_where_a_file_is_to_be_is_kept(self, exporter):
        exporter.overwrite = True
        for name in ("case_1_synthetic_ct.nii.gz", "case_1_synthetic_ct.json"):
            (exporter.output_dir / name).mkdir(parents=True)
            with pytest.raises(OutputError, match=f"{name} is a folder, .*: move it away"):
                exporter.require_free([{"case": "case_1", "image": "mr.nii"}])
            (exporter.output_dir / name).rmdir()

    def test_of_a_link_only_the_link_is_replaced(self, exporter, item, tmp_path):
        exporter.output_dir.mkdir()
        (tmp_path / "precious").write_text("mine")
        for output in (exporter.path("case_1"), exporter.sidecar("case_1")):
            output.symlink_to(tmp_path / "precious")
        exporter.overwrite = True
        exporter.require_free([{"case": "case_1", "image": str(tmp_path / "mr.nii")}])
        exporter.write(item, np.zeros(SHAPE))
        assert (tmp_path / "precious").read_text() == "mine"
        assert not exporter.path("case_1").is_symlink()
        assert not exporter.sidecar("case_1").is_symlink()

    def test_room_is_needed_for_what_is_left_to_do(self, exporter, item, tmp_path, monkeypatch):
        (tmp_path / "case_1.nii").write_bytes(b"voxels")
        cases = [{"case": name, "image": str(tmp_path / f"{name}.nii")} for name in ("case_1", "case_2")]
        exporter.require_free(cases[:1])
        exporter.write(item, np.zeros(SHAPE))
        measured = []
        monkeypatch.setattr(exporter.format, "least_bytes", lambda source: measured.append(source.name) or 0)
        exporter.require_free(cases, resume=True)
        assert measured == ["case_2.nii"]

    def test_unwritable_folder_is_refused_early(self, exporter):
        exporter.output_dir.write_text("a file where the folder should be")
        with pytest.raises(OutputError, match=r"cannot write to .*out \("):
            exporter.require_free([])

    @pytest.mark.parametrize(
        ("failure", "expected"),
        [
            (OSError(errno.ENOSPC, "No space left on device"), OutputError),
            (OSError("cut off"), OutputError),
            (KeyboardInterrupt(), KeyboardInterrupt),
        ],
    )
    def test_failure_midway_leaves_nothing(self, exporter, item, monkeypatch, failure, expected):
        def fail(image, name):
            Path(name).write_bytes(b"half a volume")
            raise failure

        monkeypatch.setattr(nib, "save", fail)
        with pytest.raises(expected, match=r"cannot write .*synthetic_ct.nii.gz \((No space left|cut off)|^$"):
            exporter.write(item, np.zeros(SHAPE))
        assert list(exporter.output_dir.iterdir()) == []

    def test_a_case_is_done_when_both_files_are_there_by_these_weights(self, exporter, item):
        assert exporter.why_recomputed("case_1") == "some of its files are missing"
        exporter.write(item, np.zeros(SHAPE))
        assert exporter.why_recomputed("case_1") == ""
        about = exporter.sidecar("case_1")
        text = about.read_text()
        about.unlink()
        assert exporter.why_recomputed("case_1") == "some of its files are missing"
        about.write_text(text.replace('"WeightsSha256": "', '"WeightsSha256": "0000'))
        with pytest.raises(OutputError, match=r"case_1_synthetic_ct.nii.gz was made by the weights 0000.*, not by"):
            exporter.why_recomputed("case_1")
        for foreign in ("[]", "no JSON"):
            about.write_text(foreign)
            with pytest.raises(OutputError, match="was made by the weights None.*, not by"):
                exporter.why_recomputed("case_1")

    def test_a_case_is_kept_only_as_it_was_made_and_left(self, exporter, item, tmp_path):
        source = tmp_path / "mr.nii"
        case = {**item, "image": str(source)}
        exporter.provenance.note_settings({"spacing": [1, 1, 1], "exporter": {"output_dtype": "int16"}})
        exporter.require_free([case])
        path = exporter.write(item, np.zeros(SHAPE))
        exporter.provenance.note_settings({"spacing": [1, 1, 1], "exporter": {"output_dtype": "int16"}, "resume": True,
                                "dataset_dir": "elsewhere", "report": True})  # fmt: skip
        exporter.require_free([case], resume=True)
        assert exporter.why_recomputed("case_1") == ""
        written = path.read_bytes()
        for content in (written[:-9], b"", written.replace(b"\x00", b"\x01", 1)):
            path.write_bytes(content)
            assert exporter.why_recomputed("case_1") == "changed since: output"
        path.write_bytes(written)
        exporter.provenance.note_settings({"spacing": [1, 1, 2], "exporter": {"output_dtype": "int16"}})
        assert exporter.why_recomputed("case_1") == "changed since: settings"
        exporter.provenance.note_settings({"spacing": [1, 1, 1], "exporter": {"output_dtype": "int16"}})
        voxels = source.read_bytes()
        source.write_bytes(voxels[:-1] + b"\x01")
        assert exporter.why_recomputed("case_1") == "changed since: source"
        source.write_bytes(voxels)
        about = json.loads(exporter.sidecar("case_1").read_text())
        del about["MadeFrom"]
        exporter.sidecar("case_1").write_text(json.dumps(about))
        assert exporter.why_recomputed("case_1") == "its JSON file does not record what it was made from"

    @pytest.mark.parametrize("plain", [False, True])
    def test_a_prediction_that_was_not_inverted_is_refused(self, exporter, item, plain):
        # a flipped axis keeps the shape, so that the shape alone would not betray it
        item["image"].affine = item["image"].affine @ torch.diag(torch.tensor([-1.0, 1, 1, 1])).double()
        pred = MetaTensor(torch.zeros(1, *SHAPE), affine=item["image"].affine)
        with pytest.raises(OutputError, match="case_1: the synthetic volume has the affine .*, not the source's"):
            exporter.on_host(item, pred.as_tensor() if plain else pred)
        assert not exporter.output_dir.exists()
