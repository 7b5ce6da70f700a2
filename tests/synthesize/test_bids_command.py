"""``--bids``: cases of a raw data set in, derivatives with their names out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import in_process
import nibabel as nib
import numpy as np
import pytest

from common.simulation.head import Anatomy
from medical_image_synthesis import bids, catalogue, command, infer
from tools.repository import ROOT

ONE = "mr2ct_pix2pix"
VOLUME = "ses-2/ct/sub-01_ses-2_desc-synthetic_ct"


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of two scans, and a bundle with weights."""
    configs = tmp_path / "bundles" / ONE / "configs"
    configs.mkdir(parents=True)
    for file in ("metadata.json", "inference.yaml"):
        shutil.copy(ROOT / "bundles" / ONE / "configs" / file, configs)
    (tmp_path / "weights.pt").touch()
    for file in ("sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz", "sub-02/anat/sub-02_T1w.nii.gz"):
        (tmp_path / "raw" / file).parent.mkdir(parents=True)
        (tmp_path / "raw" / file).touch()
    monkeypatch.setattr(catalogue, "PLACES", (tmp_path / "bundles",))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "raw"


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each inference was given; it writes a volume of the first case alone."""
    given_to: list[dict[str, Any]] = []

    def run(_: object, files: list[str], options: dict[str, str], *__: object) -> int:
        folder = Path(options["predictions_dir"])
        given_to.append({**options, "cases": json.loads(Path(options["datalist"]).read_text())["test"]})
        first, *_ = (item["case"] for item in given_to[-1]["cases"])
        folder.mkdir(parents=True)
        status = options.get("status", "done")
        about = {"SyntheticData": True, "NotForClinicalUse": True, "Bundle": f"{ONE} 1.2.3", "WeightsSha256": "ab"}
        about |= {"Content": "synthetic ct", "Unit": "HU"}
        if "uncertainty" in options:
            about["Uncertainty"] = {"Level": 0.9, "CaseLevel": 0.9, "Unit": "HU"}
            (folder / f"{first}_synthetic_ct_uncertainty.nii.gz").write_text("map")
        if status == "done":
            (folder / f"{first}_synthetic_ct.nii.gz").write_text("volume")
        (folder / f"{first}_synthetic_ct.json").write_text(json.dumps(about))
        one = {"case": first, "status": status, "file": f"{first}_synthetic_ct.nii.gz"}
        (folder / "manifest.json").write_text(json.dumps([one, {"case": "sub-02", "status": "failed"}]))
        return 1

    monkeypatch.setattr(infer, "run_here", run)
    return given_to


WORDS = ["mr2ct", "raw", "--bids", "out", "--weights", "weights.pt"]


def test_scans_become_derivatives(raw: Path, ran: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([*WORDS, "--uncertainty", "true"]) == 1
    assert capsys.readouterr().out == f"out/sub-01/{VOLUME}.nii.gz\n"
    (given,) = ran
    assert [(item["case"], Path(item["image"]).name) for item in given["cases"]] == [
        ("sub-01_ses-2", "sub-01_ses-2_T1w.nii.gz"),
        ("sub-02", "sub-02_T1w.nii.gz"),
    ]
    assert given["source"] == "T1w"
    assert "dataset_dir" not in given
    out = raw.parent / "out"
    files = sorted(path.relative_to(out / "sub-01").as_posix() for path in (out / "sub-01").rglob("*.*"))
    map_of_it = VOLUME.replace("synthetic", "uncertainty")
    assert files == [f"{VOLUME}.json", f"{VOLUME}.nii.gz", f"{map_of_it}.json", f"{map_of_it}.nii.gz"]
    told, of_map = (json.loads((out / "sub-01" / f"{name}.json").read_text()) for name in (VOLUME, map_of_it))
    assert told["Description"] == "synthetic ct in HU, not for clinical use"
    assert (told["SkullStripped"], told["Bundle"]) == (False, f"{ONE} 1.2.3")
    assert (of_map["Level"], of_map["Unit"], of_map["SkullStripped"]) == (0.9, "HU", False)
    assert told["Sources"] == of_map["Sources"] == ["bids:raw:sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz"]
    assert of_map["Description"].endswith("around sub-01_ses-2_desc-synthetic_ct.nii.gz")
    about = json.loads((out / "dataset_description.json").read_text())
    assert (about["DatasetType"], about["GeneratedBy"][0]["Name"]) == ("derivative", ONE)
    assert about["DatasetLinks"] == {"raw": "../raw"}
    (manifest,) = out.glob("logs/*/manifest.json")
    assert json.loads(manifest.read_text())[1]["case"] == "sub-02"
    made = [".bidsignore", "README.md", "dataset_description.json", "logs", "sub-01"]
    assert sorted(path.name for path in out.iterdir()) == made


def test_a_run_replaces_all_of_a_case_and_nothing_of_a_user(raw: Path, ran: list[dict[str, Any]]) -> None:
    """A volume without a map replaces one with, a refusal both; what others wrote into the description stays."""
    command.main([*WORDS, "--uncertainty", "true"])
    out = raw.parent / "out"
    description = out / "dataset_description.json"
    description.write_text(json.dumps({**json.loads(description.read_text()), "Authors": ["A", "B"]}))
    (out / "README.md").write_text("ours")
    command.main([*WORDS, "--overwrite"])
    assert sorted(path.suffix for path in out.glob(f"sub-01/{VOLUME[: VOLUME.index('desc')]}*")) == [".gz", ".json"]
    command.main([*WORDS, "--overwrite", "--status", "refused"])
    assert list(out.glob("sub-01/*/*/*")) == []
    assert len(list(out.glob("logs/*/manifest.json"))) == 3
    assert len(list(out.glob("logs/*/sub-01_ses-2_synthetic_ct.json"))) == 1
    assert json.loads(description.read_text())["Authors"] == ["A", "B"]
    assert (out / "README.md").read_text() == "ours"


@pytest.mark.parametrize(
    ("bundle_suffix", "source", "named"),
    [
        ("synthetic_ct", "T1w", "ct/sub-01_desc-synthetic_ct"),
        ("synthetic_t2", "PDw", "anat/sub-01_desc-synthetic_T2w"),
        ("synthetic_pet", "MTRmap", "pet/sub-01_desc-synthetic_pet"),
        ("synthetic_mr", "acq-fast_FLAIR", "anat/sub-01_desc-synthetic_FLAIR"),
    ],
)
def test_names_are_those_of_bids(tmp_path: Path, bundle_suffix: str, source: str, named: str) -> None:
    about = {"Content": bundle_suffix.replace("_", " "), "Unit": "u"}
    volume = tmp_path / f"sub-01_{bundle_suffix}.nii.gz"
    volume.write_text("volume")
    (tmp_path / f"sub-01_{bundle_suffix}.json").write_text(json.dumps(about))
    raw = tmp_path / f"sub-01_{source}.nii.gz"
    raw.with_name(f"sub-01_{source}.json").write_text('{"SkullStripped": true}')
    made = bids.put(volume, tmp_path / "out", raw.parent, {"sub-01": [raw]})
    assert made == tmp_path / "out" / "sub-01" / f"{named}.nii.gz"
    assert made.read_text() == "volume"
    assert json.loads(Path(str(made).replace(".nii.gz", ".json")).read_text())["SkullStripped"] is True
    assert not volume.exists()


def test_derivatives_are_replaced_on_request_alone(
    raw: Path, ran: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    command.main(WORDS)
    assert command.main(WORDS) == 2
    assert f"out/sub-01/{VOLUME}.json exists (from --bids): add --overwrite" in capsys.readouterr().err
    assert command.main([*WORDS, "--overwrite"]) == 1
    assert len(ran) == 2


def test_no_other_data_set_is_described_anew(
    raw: Path, ran: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """The raw one, that of another program, and what is no description, also with --overwrite; nothing changes."""
    assert command.main([*WORDS[:3], "raw", *WORDS[4:], "--overwrite"]) == 2
    assert "--bids raw is the raw data set: choose another folder, such as raw/derivatives/" in capsys.readouterr().err
    description = raw.parent / "out" / "dataset_description.json"
    description.parent.mkdir()
    for text in ('{"Name": "x", "GeneratedBy": [{"Name": "fmriprep"}]}', '{"Name": "raw"}', "[]", "no JSON"):
        description.write_text(text)
        assert command.main([*WORDS, "--overwrite"]) == 2
        assert f"out/{description.name} (from --bids) describes another data set" in capsys.readouterr().err
        assert description.read_text() == text
    assert ran == []


def test_what_does_not_fit_is_one_line(
    raw: Path, ran: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    for more, message in {
        ("--source", "T2w"): "no subject in ",
        ("--resume",): "--bids writes NIfTI of all cases: omit --resume",
        ("-o", "other"): "argument -o/--output: not allowed with argument --bids",
        ("--participant_label", "02", "07"): "no folder sub-07 in ",
        ("--session_label", "3"): "no folder sub-*/ses-3 in ",
    }.items():
        assert command.main([*WORDS, *more]) == 2
        assert message in capsys.readouterr().err
    assert ran == []
    assert not (raw.parent / "out").exists()
    assert command.main(["mr2ct", "raw", "-o", "out", "--weights", "weights.pt", "--participant_label", "01"]) == 2
    assert "--participant_label and --session_label need --bids OUT: " in capsys.readouterr().err


APP = ["bids-app", "mr2ct", "raw", "out", "participant", "--weights", "weights.pt"]


@pytest.mark.parametrize(
    ("words", "cases"),
    [
        ([], ["sub-01_ses-2", "sub-02"]),
        (["--participant_label", "02", "sub-01"], ["sub-01_ses-2", "sub-02"]),
        (["--participant-label", "02"], ["sub-02"]),
        (["--session_label", "2", "--skip_bids_validation"], ["sub-01_ses-2"]),
    ],
)
def test_a_bids_app_infers_the_participants(
    raw: Path, ran: list[dict[str, Any]], words: list[str], cases: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in of the inference writes a volume of the first."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert command.main([*APP, *words, "--n_cpus", "3", "--uncertainty", "true"]) == 1
    (given,) = ran
    assert [item["case"] for item in given["cases"]] == cases
    assert given["uncertainty"] == "true"
    assert os.environ["OMP_NUM_THREADS"] == "3"
    made = sorted(path.name for path in (raw.parent / "out").glob("sub-*/**/*.nii.gz"))
    assert made == [f"{cases[0]}_desc-{kind}_ct.nii.gz" for kind in ("synthetic", "uncertainty")]


def test_what_a_bids_app_cannot_do_is_one_line(
    raw: Path, ran: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    (raw / "sub-03" / "anat").mkdir(parents=True)
    for words, message in {
        ("--participant_label", "01", "03"): "sub-03 (from --participant_label) has no image T1w: omit this label",
        ("--n_cpus", "0"): "--n_cpus is 0: pass 1 or more",
        ("--resume",): "--bids writes NIfTI of all cases: omit --resume",
    }.items():
        assert command.main([*APP, *words]) == 2
        assert message in capsys.readouterr().err
    assert command.main([*APP[:4], "group"]) == 2
    assert "there is no group level: each participant has results alone: pass participant" in capsys.readouterr().err
    assert ran == []
    assert not (raw.parent / "out").exists()


@pytest.fixture(scope="session")
def issues() -> Callable[..., set[str]]:
    """The codes of what BIDS's own validator finds in a folder; its options follow."""
    program = os.environ.get("BIDS_VALIDATOR") or shutil.which("bids-validator-deno")
    if program is None:
        pytest.skip("bids-validator-deno is not on PATH: run make bids-test")

    def found(folder: Path, *options: str) -> set[str]:
        said = subprocess.run([program, folder, "--format", "json", *options], capture_output=True, text=True).stdout
        read = json.loads(said)
        every = [read, *read.get("derivativesSummary", {}).values()]
        return {f"{one['severity']} {one['code']}" for each in every for one in each["issues"]["issues"]}

    return found


AUTHORS = {"warning TOO_FEW_AUTHORS"}
"""Whom a user names."""


def write_data_set(root: Path) -> Path:
    """A raw data set with one scan, and return that."""
    scan = root / "sub-01" / "ses-2" / "anat" / "sub-01_ses-2_T1w.nii.gz"
    scan.parent.mkdir(parents=True)
    about = {"Name": "a", "BIDSVersion": "1.10.0", "DatasetType": "raw", "Authors": ["A", "B"]}
    (root / "dataset_description.json").write_text(json.dumps(about))
    (root / "README.md").write_text("Heads of phantoms, so that derivatives have what they are derived from. " * 3)
    write_nifti(scan, np.zeros((6, 5, 4), np.int16), np.eye(4))
    return scan


def write_nifti(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    image = nib.nifti1.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, path)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["synthetic_ct", "synthetic_t2", "synthetic_pet", "synthetic_mr"])
def test_derivatives_pass_the_validator(
    raw: Path, issues: Callable[..., set[str]], tmp_path: Path, suffix: str
) -> None:
    """A volume and its map, in a folder of their own in the raw data set, with the logs of a refused case."""
    whole = tmp_path / "whole"
    out, scan = whole / "derivatives" / "synthetic", write_data_set(whole)
    run = bids.run_folder(out)
    run.mkdir(parents=True)
    (run / "manifest.json").write_text("[]")
    for name in (f"sub-01_ses-2_{suffix}", f"sub-02_{suffix}"):
        about = {"SyntheticData": True, "NotForClinicalUse": True, "Bundle": f"{ONE} 1.2.3", "WeightsSha256": "ab"}
        about |= {"Content": suffix, "Unit": "u", "Uncertainty": {"Level": 0.9, "CaseLevel": 0.9, "Unit": "u"}}
        (run / f"{name}.json").write_text(json.dumps(about))
    for ending in ("", "_uncertainty"):
        write_nifti(run / f"sub-01_ses-2_{suffix}{ending}.nii.gz", np.zeros((6, 5, 4), np.float32), np.eye(4))
    bids.put(run / f"sub-01_ses-2_{suffix}.nii.gz", out, whole, {"sub-01_ses-2": [scan]})
    bids.describe(out, whole, catalogue.bundle_named(ONE))
    assert issues(out) == AUTHORS
    assert not {each for each in issues(whole) if each.startswith("error")}
    inside = {each for each in issues(whole, "--recursive") if each.startswith("error")}
    # the .bidsignore of derivatives is not read
    assert inside == ({"error NOT_INCLUDED"} if suffix == "synthetic_ct" else set())


@pytest.mark.slow
def test_what_the_app_writes_passes_the_validator(
    issues: Callable[..., set[str]], head: Anatomy, mr: np.ndarray, tmp_path: Path
) -> None:
    """With the shipped weights."""
    scan = write_data_set(tmp_path / "raw")
    write_nifti(scan, mr.astype(np.float32), head.affine)
    words = ("participant", "--participant_label", "01", "--uncertainty", "true", "--refuse", "false")
    done = in_process.synthesize("bids-app", "mr2ct", "raw", "out", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    (made,) = done.stdout.split()
    assert made == f"out/sub-01/{VOLUME}.nii.gz"
    assert nib.nifti1.load(tmp_path / made).shape == mr.shape
    assert issues(tmp_path / "out") == AUTHORS
