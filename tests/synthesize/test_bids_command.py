"""``--bids``: cases of a raw data set in, derivatives with their names out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from medical_image_synthesis import catalogue, command, infer
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
        for ending in (".nii.gz", ".json", *(["_uncertainty.nii.gz"] if "uncertainty" in options else [])):
            (folder / f"sub-01_ses-2_synthetic_ct{ending}").write_text(ending)
        one = {"case": "sub-01_ses-2", "status": "done", "file": "sub-01_ses-2_synthetic_ct.nii.gz"}
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
    assert files == [f"{VOLUME}.json", f"{VOLUME}.nii.gz", f"{map_of_it}.nii.gz"]
    about = json.loads((out / "dataset_description.json").read_text())
    assert (about["DatasetType"], about["GeneratedBy"][0]["Name"]) == ("derivative", ONE)
    assert json.loads((out / "manifest.json").read_text())[1]["case"] == "sub-02"
    assert sorted(path.name for path in out.iterdir()) == ["dataset_description.json", "manifest.json", "sub-01"]


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
    }.items():
        assert command.main([*WORDS, *more]) == 2
        assert message in capsys.readouterr().err
    assert ran == []
    assert not (raw.parent / "out").exists()
