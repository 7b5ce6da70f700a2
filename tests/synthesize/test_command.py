"""The command ``synthesize``: what it refuses before anything is imported, what it passes on, what it prints."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from common.errors import DataError
from common.io.export.checked_outputs import MAP_ENDING
from common.io.export.exporter import FORMATS
from common.io.export.outputs import MANIFEST_NAME
from common.io.export.verdicts import MARK
from common.io.reader import VOLUMES
from common.trust.record import path_of
from common.weights.shipped import shipped_weights
from medical_image_synthesis import catalogue, command, infer, places
from tools.repository import ROOT, bundle_names

ONE = "mr2ct_pix2pix"
Ran = list[dict[str, Any]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with volumes and other files; bundles, and only one has weights."""
    for name in bundle_names():
        target = tmp_path / "bundles" / name / "configs"
        target.mkdir(parents=True)
        for file in ("metadata.json", "inference.yaml"):
            shutil.copy(ROOT / "bundles" / name / "configs" / file, target)
    models = tmp_path / "bundles" / ONE / "models"
    models.mkdir()
    weights = shipped_weights(models.parent)
    weights.touch()
    about = {
        "trained_on": {"data": "simulated heads, no patient"},
        "contrasts": ["T1", "PD"],
        "settings": {"network_def": {"_target_": "monai.networks.nets.BasicUNet"}},
        "config": {"loss_weights": {"adversarial": 0, "l1": 100, "gdl": 1}},
    }
    weights.with_suffix(".json").write_text(json.dumps(about))
    monkeypatch.setattr(catalogue, "PLACES", (tmp_path / "bundles",))
    monkeypatch.chdir(tmp_path)
    for name in ("mr.nii.gz", "weights.pt", "slice.dcm", "picture.png", "cases/a.nii.gz", "series/1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.nii")
    bomb = [
        "a0: &a0 [x, x, x, x, x, x, x, x]",
        *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 20)),
    ]
    hostile = {
        "bomb": "\n".join(bomb),
        "circle": "seed: &a {b: *a}",
        "merge": "base: &b {seed: 3}\n<<: *b",
        "number": "1: 2",
        "nameless": "'': 1",
        "macro": 'seed: "%/etc/passwd::x"',
    }
    for name, text in {"good": "seed: 1", "broken": "seed: 1\na: b: c", "list": "- 1", **hostile}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    """What each inference was given; it writes the outputs that one of the bundle would."""
    given_to: Ran = []

    def run(_: argparse.Namespace, files: list[str], options: dict[str, str]) -> int:
        file = Path(options.pop("exporter::output_file", "") or Path(options.pop("predictions_dir"), "manifest.json"))
        given_to.append({"config_file": files, "options": options})
        file.parent.mkdir(exist_ok=True)
        has_manifest = file.name == "manifest.json"
        stem, _, ending = ("a_synthetic_ct.nii.gz" if has_manifest else file.name).partition(".")
        cases = [{"case": "a", "status": "done", "file": "a_synthetic_ct.nii.gz"}]
        cases += [{"case": "b", "status": "failed", "reason": "NaN"}] if "fail" in options else []
        if "unlike" in options and "refuse" not in options:
            (file.parent / f"{stem}.json").write_text('{"Refused": true}')
            (file.parent / f"{stem}.{ending}").unlink(missing_ok=True)
            cases = [{"case": "a", "status": "refused", "reason": "NaN"}]
        elif has_manifest or "fail" not in options:
            (file.parent / f"{stem}.{ending}").write_text("volume")
            (file.parent / f"{stem}.json").write_text("about")
            if "uncertainty" in options:
                (file.parent / f"{stem}_uncertainty.nii.gz").write_text("half-widths")
        if has_manifest:
            file.write_text(json.dumps(cases))
        return sum(case["status"] != "done" for case in cases)

    monkeypatch.setattr(infer, "run_here", run)
    return given_to


@pytest.mark.parametrize("name", ["scan.cfl", "meas.dat"])
def test_raw_data_are_refused_with_the_format_to_convert_them_to(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"does not end in .nii, .h5: .* or raw data of BART or twix as .h5 \(ISMRMRD"):
        places.require_source(tmp_path / name, (".nii", ".h5"))
    with pytest.raises(DataError, match="does not end in .nii: pass a volume, a DICOM series or a folder of them$"):
        places.require_source(tmp_path / name, (".nii",))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("mr2ct nothing.nii -o x.nii.gz", "no file or folder nothing.nii (SOURCE): check the path"),
        ("mr2ct nothing.nii -o x --predictions_dir y", "--predictions_dir is --output here: pass it as that"),
        ("mr2ct nothing.nii -o x --dataset_dir y", "--dataset_dir is SOURCE here: pass it as that"),
        ("mr2ct -o x.nii.gz", "SOURCE is missing: pass a volume, a DICOM series or a folder"),
        (
            "mr2ct pipe.nii -o x.nii.gz",
            "SOURCE pipe.nii is a pipe, socket or device: pass a volume",
        ),
        (
            "mr2ct picture.png -o x.nii.gz",
            "SOURCE picture.png is not a folder and does not end in .nii, .nii.gz, .mha, .mhd, .nrrd, .nhdr",
        ),
        ("mr2ct slice.dcm -o x.nii.gz", "SOURCE slice.dcm is one slice of a series: pass its folder"),
        ("mr2ct empty -o out", "SOURCE empty is an empty folder: pass a volume"),
        ("mr2ct mr.nii.gz mr.nii.gz -o out", "mr.nii.gz follows no option: pass several"),
        ("mr2ct mr.nii.gz -o out --seed", "--seed has no value: write --seed=VALUE"),
        ("mr2ct --output_dir run -o out", "--output_dir has no value: write --output_dir=VALUE"),
        (
            "mr2ct mr.nii.gz -o x.nii",
            "--output x.nii is not a folder and does not end in .nii.gz, .nrrd, .mha, .png, .ome.tif, .tif: pass",
        ),
        ("mr2ct mr.nii.gz -o mr.nii.gz", "--output must differ from SOURCE"),
        ("mr2ct mr.nii.gz -o cases/a.nii.gz", "cases/a.nii.gz exists (from --output): add --overwrite"),
        ("mr2ct mr.nii.gz -o weights.pt", "--output weights.pt is a file: pass a folder"),
        ("mr2ct mr.nii.gz -o weights.pt/x.nii.gz", "cannot write to "),
        (
            "mr2ct mr.nii.gz -o x.nii.gz --output-format dicom",
            "--output x.nii.gz is one file, --output_format dicom needs",
        ),
        ("mr2ct mr.nii.gz -o x.nii.gz --resume", "--output x.nii.gz is one file, --resume needs a folder"),
        ("mr2ct cases -o x.nii.gz", "--output x.nii.gz is one file, SOURCE holds several volumes"),
        ("mr2ct mr.nii.gz -o out --weights no.pt", "no file no.pt (from --weights): check the path"),
        ("mr2ct mr.nii.gz -o out --overlay bomb.yaml", "bomb.yaml has over 10000 settings or 50 levels, aliases"),
        ("mr2ct mr.nii.gz -o out --overlay circle.yaml", "circle.yaml has over 10000 settings or 50 levels, aliases"),
        ("mr2ct mr.nii.gz -o out --overlay merge.yaml", "merge.yaml:2 has a merge (<<)"),
        ("mr2ct mr.nii.gz -o out --overlay number.yaml", "number.yaml has the name 1, which is no text: correct the"),
        ("mr2ct mr.nii.gz -o out --overlay nameless.yaml", "nameless.yaml has the name '', which is no setting: corr"),
        ("mr2ct mr.nii.gz -o out --overlay macro.yaml", "macro.yaml has the macro %/etc/passwd::x of another file"),
        ("cect2ct mr.nii.gz -o out", "cect2ct_rescyclegan ships no weights: train first, synthesize train cect2ct"),
        ("lesion x.nii.gz -o out --weights weights.pt", "x.nii.gz follows no option: omit it, its images are"),
        ("score nothing.nii mr.nii.gz --mask mr.nii.gz", "no file or folder nothing.nii (pred): check the path"),
        (
            "mr2ct mr.nii.gz -o x.nii.gz --overlay none.yaml",
            "cannot read none.yaml (No such file",
        ),
        (
            "mr2ct mr.nii.gz -o x.nii.gz --overlay good.yaml --overlay broken.yaml",
            "broken.yaml:2 is not valid YAML, mapping values are not allowed here: correct this line",
        ),
        ("mr2ct mr.nii.gz -o x.nii.gz --overlay list.yaml", "list.yaml holds [1], no settings NAME: VALUE: see"),
        ("lst", "unknown bundle or command lst: did you mean list?"),
        ("zzz mr.nii.gz -o out", "unknown bundle or command zzz: synthesize --help prints them"),
        ("train zzz", "no bundle zzz: name it first, such as mr2ct; synthesize list prints them"),
        ("calibrate mr2ct --simulated --label_maps no", "no folder no (from --label_maps): check the path"),
        (
            "simulate noise --dataset_dir cases",
            "the following arguments are required: --out: see synthesize simulate noise --help",
        ),
        ("train mr2ct_pix2pxi", "no bundle mr2ct_pix2pxi: did you mean mr2ct_pix2pix?"),
        ("datalist --dataset-dir x --out y --lay-out z", "unknown option --lay_out: did you mean --layout?"),
        ("mr2ct mr.nii.gz", "one of the arguments -o/--output --bids is required: see synthesize mr2ct --help"),
        ("list all", "unknown option all: see --help"),
    ],
)
def test_refuses_at_once(place: Path, ran: Ran, words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(place.rglob("*"))
    assert command.main(words.split()) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: {message}")
    assert (printed.out, ran, sorted(place.rglob("*"))) == ("", [], before)


@pytest.mark.parametrize(
    "words", [["", "-o", "ct.nii.gz"], ["mr.nii.gz", "-o", ""], ["mr.nii.gz", "-o", "a", "--weights", ""]]
)
def test_an_empty_path_is_not_the_working_directory(
    place: Path, ran: Ran, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["mr2ct", *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith(": the path is empty: see synthesize mr2ct --help\n")
    assert ran == []


def test_one_volume_gets_its_name_and_is_printed(place: Path, ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["mr2ct", "mr.nii.gz", "-o", "new/ct.nii.gz", "--inference_batch", "4", "--seed=1"]) == 0
    assert capsys.readouterr().out == "new/ct.nii.gz\n"
    assert {path.name: path.read_text() for path in (place / "new").iterdir()} == {
        "ct.nii.gz": "volume",
        "ct.json": "about",
    }
    options = {"inference_batch": "4", "seed": "1", "dataset_dir": "mr.nii.gz", "output_format": "nifti"}
    config = place / "bundles" / ONE / "configs" / "inference.yaml"
    assert ran == [{"config_file": [str(config)], "options": options}]


def test_a_map_of_uncertainty_lies_next_to_its_volume(
    place: Path, ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    """With another volume of the same name the map of the earlier one goes."""
    words = ["mr2ct", "mr.nii.gz", "-o", "new/ct.nii.gz"]
    assert command.main([*words, "--uncertainty", "true"]) == 0
    assert capsys.readouterr().out == "new/ct.nii.gz\nnew/ct_uncertainty.nii.gz\n"
    assert (place / "new" / "ct_uncertainty.nii.gz").read_text() == "half-widths"
    (place / "new" / "ct.nii.gz").unlink()
    (place / "new" / "ct.json").unlink()
    assert command.main(words) == 2
    assert "new/ct_uncertainty.nii.gz exists (from --output)" in capsys.readouterr().err
    assert command.main([*words, "--overwrite"]) == 0
    assert sorted(path.name for path in (place / "new").iterdir()) == ["ct.json", "ct.nii.gz"]


@pytest.mark.parametrize(("ending", "output_format"), [("nii.gz", "nifti"), ("nrrd", "nrrd"), ("mha", "mha")])
def test_the_ending_of_a_file_says_its_format(place: Path, ran: Ran, ending: str, output_format: str) -> None:
    assert command.main(["mr2ct", "mr.nii.gz", "-o", f"ct.{ending}"]) == 0
    assert ran[0]["options"]["output_format"] == output_format
    assert {(place / name).read_text() for name in (f"ct.{ending}", "ct.json")} == {"volume", "about"}


@pytest.mark.parametrize("name", ["resample_tilt", "overwrite", "resume"])
@pytest.mark.parametrize(
    ("written", "given"), [("--{}", True), ("--{} true", True), ("--{}=true", True), ("--{} false", False)]
)
def test_an_option_without_a_value_may_have_true_or_false(
    place: Path, ran: Ran, name: str, written: str, given: bool
) -> None:
    flag = written.format(name).split()
    for words in ([*flag, "mr.nii.gz", "-o", "out"], ["mr.nii.gz", "-o", "out", *flag]):
        assert command.main(["mr2ct", *words]) == 0
        assert ran[-1]["options"].get(name) == ("true" if given else None)


def test_overlays_follow_the_config_and_a_broken_config_is_named(
    place: Path, ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    config = place / "bundles" / ONE / "configs" / "inference.yaml"
    assert command.main(["mr2ct", "mr.nii.gz", "-o", "ct.nii.gz", "--overlay", "good.yaml"]) == 0
    assert ran[0]["config_file"] == [str(config), "good.yaml"]
    lines = config.read_text().splitlines()
    config.write_text("\n".join([*lines[:9], "  seed: 2", *lines[9:]]))
    assert command.main(["mr2ct", "mr.nii.gz", "-o", "other.nii.gz"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {config}:10 is not valid YAML, ")
    assert len(ran) == 1


def test_a_failed_volume_leaves_nothing(place: Path, ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(place.iterdir())
    assert command.main(["mr2ct", "mr.nii.gz", "-o", "ct.nii.gz", "--fail", "1"]) == 1
    assert (capsys.readouterr().out, sorted(place.iterdir())) == ("", before)


def test_a_refused_volume_leaves_its_json_alone(place: Path, ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    """It replaces a volume of the same name, where that is allowed, and is replaced by the volume without an option."""
    words = ["mr2ct", "mr.nii.gz", "-o", "new/ct.nii.gz", "--unlike", "1"]
    for further in ([], ["--overwrite"]):
        assert command.main([*words, *further]) == 1
        assert capsys.readouterr().out == ""
        assert [(path.name, path.read_text()) for path in (place / "new").iterdir()] == [
            ("ct.json", '{"Refused": true}')
        ]
        assert command.main([*words, "--refuse", "false", "--uncertainty", "true"]) == 0
        assert capsys.readouterr().out == "new/ct.nii.gz\nnew/ct_uncertainty.nii.gz\n"
    assert command.main([*words, "--refuse", "false"]) == 2
    assert "new/ct.nii.gz exists (from --output): add --overwrite" in capsys.readouterr().err


def test_a_folder_lists_no_refused_volume(place: Path, ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["mr2ct", "cases", "-o", "out", "--unlike", "1"]) == 1
    assert capsys.readouterr().out == ""


def test_a_folder_gets_what_succeeded(place: Path, ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["mr2ct_pix2pix", "series", "-o", "out", "--output-format", "dicom", "--resume", "--weights", "weights.pt"]
    assert command.main([*words, "--fail", "1"]) == 1
    assert capsys.readouterr().out == "out/a_synthetic_ct.nii.gz\n"
    assert ran[0]["options"] == {
        "fail": "1", "dataset_dir": "series", "weights": "weights.pt", "output_format": "dicom", "resume": "true",
    }  # fmt: skip


def test_outputs_of_an_earlier_run_are_not_those_of_one_that_failed(
    place: Path, ran: Ran, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["mr2ct", "series", "-o", "out"]) == 0
    assert capsys.readouterr().out == "out/a_synthetic_ct.nii.gz\n"
    monkeypatch.setattr(infer, "run_here", lambda *_, **__: 2)
    assert command.main(["mr2ct", "series", "-o", "out"]) == 2
    assert capsys.readouterr().out == ""


def test_a_configuration_that_is_only_shown_leaves_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(infer, "run_here", lambda *_, **__: 0)
    before = sorted(place.iterdir())
    assert command.main(["mr2ct", "mr.nii.gz", "-o", "ct.nii.gz", "--show_config", "true"]) == 0
    assert (capsys.readouterr().out, sorted(place.iterdir())) == ("", before)


def test_endings_and_the_manifest_are_those_of_inference() -> None:
    assert set(places.VOLUMES) == set(VOLUMES)
    assert set(places.FILES.values()) | {"dicom"} == set(FORMATS)
    assert infer.MANIFEST == MANIFEST_NAME
    assert places.REFUSED.decode() == json.dumps({MARK: True})[1:-1]
    assert places.MAP.removesuffix(".nii.gz") == MAP_ENDING


def test_samples_need_no_source(place: Path, ran: Ran) -> None:
    assert command.main(["lesion", "-o", "out", "--weights", "weights.pt", "--samples", "3"]) == 0
    assert ran[0]["options"] == {"samples": "3", "weights": "weights.pt"}


def test_files_of_samples_are_printed(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def draw(*_: object, **__: object) -> int:
        (place / "out").mkdir()
        (place / "out" / "manifest.json").write_text('[{"file": "cyst.png", "samples": 3}]')
        return 0

    monkeypatch.setattr(infer, "run_here", draw)
    assert command.main(["lesion", "-o", "out", "--weights", "weights.pt"]) == 0
    assert capsys.readouterr().out == "out/cyst.png\n"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_terminal_hears_at_once_what_is_loaded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    assert command.main(["score", "a.nii", "b.nii", "--mask", "c.nii"]) == 2
    said = capsys.readouterr().err.splitlines()
    fault = "error: no file or folder a.nii (pred): check the path"
    assert said == [*(["synthesize score: loading PyTorch and MONAI"] if is_terminal else []), fault]


def test_lists_bundles_and_what_their_weights_saw(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 * len(bundle_names()) + 1
    row = lines.index("mr2ct    mr2ct_pix2pix 0.2.0: Synthesis of CT in Hounsfield units from MR of the head")
    assert lines[row + 1 : row + 3] == [
        "         BasicUNet trained with L1, gradient difference on simulated heads, no patient (T1, PD)",
        f"         {place / 'bundles' / ONE}",
    ]
    assert "         no weights, train first: synthesize train mri --dataset_dir DATA" in lines
    assert sum("no weights, train first: " in line for line in lines) == len(bundle_names()) - 1
    assert lines[-1] == "For research; not for clinical use."


def test_the_list_has_the_error_of_calibrated_weights(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = {"expected_mae": 118.82, "baselines": {"best constant": 229.9, "copied source": 0.4811}}
    weights = shipped_weights(place / "bundles" / ONE)
    described = json.loads(weights.with_suffix(".json").read_text())
    weights.with_suffix(".json").write_text(json.dumps({**described, "sha256": "a1" * 32}))
    about = {"sha256": "a1" * 32, "unit": "HU", "cases": ["head_000", "head_001"], "limits": limits}
    path = path_of(weights)
    path.write_text(json.dumps(about))
    assert command.main(["list"]) == 0
    shown = "         MAE 119 HU, median of 2 calibration cases; best constant 230, copied source 0.481"
    assert capsys.readouterr().out.splitlines().count(shown) == 1
    path.write_text(json.dumps({**about, "sha256": "b2" * 32}))  # of weights that an export has replaced
    assert command.main(["list"]) == 0
    assert "calibration cases" not in capsys.readouterr().out
    path.write_text(json.dumps({**about, "limits": {}}))
    assert command.main(["list"]) == 2
    expected = f"error: cannot read {path} (KeyError('baselines')): restore the file, or calibrate again\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("about", "fault"),
    [
        ({}, "KeyError('trained_on')"),
        ({"trained_on": {}, "contrasts": 5}, "TypeError('can only join an iterable')"),
        ([5], "cannot convert dictionary update sequence element #0 to a sequence"),
    ],
)
def test_the_list_names_a_damaged_description_of_weights(
    place: Path, capsys: pytest.CaptureFixture[str], about: object, fault: str
) -> None:
    path = shipped_weights(place / "bundles" / ONE).with_suffix(".json")
    path.write_text(json.dumps(about))
    assert command.main(["list"]) == 2
    assert capsys.readouterr().err == f"error: cannot read {path} ({fault}): restore the file, or train again\n"
