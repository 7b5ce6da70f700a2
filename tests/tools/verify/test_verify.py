"""The validator: sound bundles pass, and each fault is found by the check that is for it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import foreign_bundle
import pytest
import torch
from broken_bundles import BROKEN, EXECUTED, NAME, TRAIN, metadata, replaced, saved, text
from packed_copies import package_of, unpack, version_of

from common.errors import CheckpointError
from common.weights.checkpoints import sha256
from common.weights.info import save
from tools.repository import ROOT
from tools.verify import checks, configs, process
from tools.verify.__main__ import main
from tools.verify.bundle import Bundle
from tools.verify.networks import Network
from tools.verify.shapes import ShapeTextError, choices, sizes
from tools.verify.verdicts import Fault, judge
from tools.verify.verify import Options, verify


def found(bundle: Path, check: str) -> dict[str, Any]:
    """What one check that runs no code finds."""
    [one] = [each for each in checks.of_files() if each.id == check]
    return judge(lambda: one.find(Bundle(bundle)))


def told(finding: dict[str, Any]) -> str:
    return " | ".join("{name}: {rule}, but got {value}; {remedy}".format(**fault) for fault in finding["faults"])


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A bundle as it stands in the repository, without what using it left there."""
    return Bundle(ROOT / "bundles" / NAME).copy(tmp_path_factory.mktemp("sound"))


def test_what_a_demo_and_a_pretraining_left_is_no_part_of_a_bundle(copied):
    before = list(Bundle(copied).files())
    for left in ("demo/models/model.pt", "pretraining/run.json", "demo_data/a/mr.nii.gz"):
        (copied / left).parent.mkdir(parents=True)
        (copied / left).touch()
    assert list(Bundle(copied).files()) == before
    (copied / "demo.txt").touch()
    assert len(list(Bundle(copied).files())) == len(before) + 1


@pytest.fixture
def copied(sound, tmp_path):
    shutil.rmtree(sound / "models", ignore_errors=True)
    return Path(shutil.copytree(sound, tmp_path / NAME))


@pytest.mark.parametrize(("check", "change", "message"), BROKEN, ids=[f"{n}-{one[0]}" for n, one in enumerate(BROKEN)])
def test_finds_what_was_broken(copied, check, change, message, monkeypatch):
    monkeypatch.setenv("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")
    assert found(copied, check)["outcome"] in ("pass", "skip")
    change(copied)
    finding = found(copied, check)
    assert finding["outcome"] == "fail"
    assert re.search(message, told(finding)), told(finding)
    assert not EXECUTED.exists()


def test_every_check_that_runs_no_code_is_tried():
    untried = {check.id for check in checks.of_files()} - {one[0] for one in BROKEN}
    # tried below, with a file of the user's
    assert untried == {"metadata.schema_file"}


def test_a_calibration_is_of_the_weights_next_to_it(copied):
    weights = copied / "models" / "model.pt"
    save({"weight": torch.ones(1)}, weights, {"bundle": NAME, "settings": {}, "trained_on": {}})
    of_these = json.dumps({"sha256": sha256(weights)})
    (weights.parent / "model_trust.json").write_text(of_these)
    assert found(copied, "weights.hashes")["outcome"] == "pass"
    (weights.parent / "model_trust.json").write_text('{"sha256": "0123456789abcdef"}')
    finding = found(copied, "weights.hashes")
    assert (
        told(finding) == "models/model_trust.json: is of weights that are there, but got 0123456789ab...; make it again"
    )


def test_the_name_of_the_folder_must_not_mislead_label(copied):
    renamed = copied.rename(copied.with_name("liver_detection"))
    assert "has no detection in its name, but got liver_detection" in told(found(renamed, "label.names"))


def test_a_schema_file_of_the_users(copied, tmp_path, capsys):
    pytest.importorskip("jsonschema")
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({"properties": {"version": {"const": "9.9.9"}}}))
    assert main([str(copied), "--static", "--schema", str(path)]) == 1
    assert f"metadata version: '9.9.9' was expected, but got {version_of(NAME)}" in capsys.readouterr().out


def test_every_expression_is_listed(copied):
    expressions = configs.expressions(Bundle(copied))
    listed = {name: value for name, value in expressions.items() if name.startswith(TRAIN)}
    assert listed[f"{TRAIN} demo_data"] == "$@bundle_root + '/demo_data'"
    assert len(listed) == (copied / TRAIN).read_text().count('"$')
    (copied / "run.json").write_text('{"config": {"seed": "$1 + 1"}}')
    assert configs.all_expressions(Bundle(copied)) == {**expressions, "run.json config::seed": "$1 + 1"}


@pytest.mark.parametrize("setting", ["$__import__('pathlib').Path('{}').touch()", "%/etc/passwd"])
def test_a_run_beside_weights_executes_nothing(copied, setting):
    config = {**Bundle(copied).whole("train"), "width": setting.format(EXECUTED)}
    (copied / "run.json").write_text(json.dumps({"config": config}))
    with pytest.raises(CheckpointError, match=r"^run.json: width: holds data alone"):
        _ = Network(Bundle(copied), "network").trained
    assert not EXECUTED.exists()
    (copied / "run.json").write_text(json.dumps({"config": {**config, "width": 4, "unused": "$import nothing"}}))
    assert Network(Bundle(copied), "network").trained.training is False


# ---- zips and the command ------------------------------------------------------------


def zipped(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"x/a": "1", "x/../../evil": "2"}, "x/../../evil: stays inside the folder it is unpacked to"),
        ({"x/a": "1", "/evil": "2"}, "/evil: stays inside the folder"),
        ({"x/a": "1", "y/b": "2"}, r"has one top folder, named as the bundle, but got \['x', 'y'\]"),
    ],
)
def test_a_zip_that_reaches_outside_is_not_unpacked(tmp_path, capsys, files, message):
    path = zipped(tmp_path / "evil.zip", files)
    assert main([str(path)]) == 1
    assert re.search(message, " ".join(capsys.readouterr().out.split()))
    assert sorted(item.name for item in tmp_path.iterdir()) == ["evil.zip"]


def test_a_release_passes_what_needs_no_code(releases, capsys):
    assert main([str(releases[NAME]), "--static", "--json"]) == 0
    [record] = json.loads(capsys.readouterr().out)["bundles"]
    outcomes = {verdict["id"]: verdict["outcome"] for verdict in record["verdicts"]}
    assert record["kind"] == "a release of this collection"
    assert {outcomes[key] for key in ("archive.safe", "code.vendored", "contract.twins", "weights.hashes")} == {"pass"}


def test_what_a_release_notes_of_its_training_is_no_code(releases, tmp_path):
    """The file beside shipped weights names modules of the repository that simulated the images."""
    folder = unpack(releases[NAME], tmp_path)
    (folder / "models" / "pretrained.json").write_text('{"_target_": "common.simulation.simulate.MrCtPair"}')
    assert found(folder, "code.vendored")["outcome"] == "pass"
    replaced(TRAIN, f"{package_of(NAME)}.common.devices", f"{package_of(NAME)}.x\n  _target_: common.devices")(folder)
    assert "configs/train.yaml:" in told(found(folder, "code.vendored"))


def test_a_release_under_another_name_is_noticed(releases, tmp_path, capsys):
    path = shutil.copy(releases[NAME], tmp_path / "renamed.zip")
    assert main([str(path), "--static"]) == 1
    assert f"renamed.zip: is named {NAME}_v{version_of(NAME)}.zip" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere: is a bundle's folder or zip, but got no such file"),
        (["{tmp}"], "is a bundle: it has a folder configs"),
        (["{tmp}/a.zip"], "a.zip: is a zip that can be read, but got File is not a zip file"),
        (["{tmp}", "--schema", "none.json"], "none.json: is a file with a JSON schema"),
    ],
)
def test_wrong_usage_ends_with_two(tmp_path, capsys, words, message):
    (tmp_path / "a.zip").write_text("no zip")
    assert main([word.format(tmp=tmp_path) for word in words]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_no_bundle_at_all_is_wrong_usage(capsys):
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "bundles" in capsys.readouterr().err


# ---- foreign bundles, whose code runs ------------------------------------------------------------


def outcomes(outcome) -> dict[tuple[str, str], str]:
    return {(verdict.check.id, verdict.subject): verdict.outcome for verdict in outcome.verdicts}


@pytest.mark.slow
def test_a_foreign_bundle_passes_by_the_command(tmp_path):
    folder = foreign_bundle.write(tmp_path, foreign_bundle.SOUND)
    words = [sys.executable, "-W", "ignore", "-m", "tools.verify", str(folder), "--json"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [record] = json.loads(done.stdout)["bundles"]
    verdicts = {(one["id"], one["subject"]): one for one in record["verdicts"]}
    assert record["kind"] == "foreign"
    assert verdicts["contract.files", ""]["outcome"] == "fail"
    assert verdicts["contract.files", ""]["counted"] is False
    assert verdicts["network.weights", "network"]["notes"][0] == "raw state_dict"
    assert verdicts["network.output", "network"]["notes"] == ["inputs 1x1x8x8, 2x1x8x8, 1x1x16x16"]
    assert "by its ids alone" in verdicts["workflow.properties", ""]["notes"][0]
    assert [entry["id"] for entry in record["expressions"]] == ["device", "run::0"]


def test_a_foreign_bundle_is_held_to_our_contract_if_asked(tmp_path):
    folder = foreign_bundle.write(tmp_path, foreign_bundle.SOUND)
    assert main([str(folder), "--static"]) == 0
    assert main([str(folder), "--static", "--house"]) == 1


@pytest.mark.slow
def test_faulty_networks_and_code_are_found(tmp_path):
    folder = foreign_bundle.write(tmp_path, foreign_bundle.SOUND | foreign_bundle.FAULTY)
    metadata("absent_data_format", {"inputs": {"image": foreign_bundle.tensor()}, "outputs": {}})(folder)
    replaced("configs/inference.json", '"_target_": "SimpleInferer"', '"_target_": "NoInferer"')(folder)
    replaced("configs/inference.json", '"dataset_dir"', '"data_dir"')(folder)
    text("toy_nets/missing.py", "import no_such_library")(folder)
    saved("model.pt", {"weight": torch.zeros(1, 1, 5, 5), "extra": torch.zeros(1)})(folder)
    outcome = verify(folder, Options())
    messages = {
        (one.check.id, one.subject): " | ".join(str(Fault(**f)) for f in one.faults)
        for one in outcome.verdicts
        if one.faults
    }
    expected = {
        ("network.defined", "absent"): "is defined by a config",
        ("network.defined", "number"): "number_def is a int, no torch.nn.Module",
        ("network.defined", "leaving"): "leaves the process alive, but got exit code 7",
        ("network.defined", "fetching"): r"reaches no network, but got socket.\w+ 192.0.2.1",
        ("network.output", "channels"): r"has shape \(1, 1, 8, 8\), but got \(1, 2, 8, 8\)",
        ("network.output", "half"): "has dtype float32, but got torch.float16",
        ("network.output", "wide"): r"lies in \[-5, 5\]",
        ("network.output", "broken"): "is finite, but got 64 values that are not",
        ("network.torchscript", "random"): "differs by at most",
        ("network.onnx", "random"): "differs by at most",
        ("network.weights", "network"): r"Missing.*bias.*Unexpected.*extra.*\[1, 1, 5, 5\]",
        ("configs.targets", ""): "names a component that exists, but got NoInferer",
        ("workflow.properties", ""): "configs/inference dataset_dir: is there, as the workflow's property dataset_dir",
        ("code.imports", ""): "module toy_nets.missing: can be imported, but got .*no_such_library",
    }
    for key, message in expected.items():
        assert re.search(message, messages.get(key, "nothing")), f"{key}: {messages.get(key)}"
    assert outcomes(outcome)["network.output", "network"] == "pass"
    assert outcomes(outcome)["network.onnx", "leaving"] == "skip"


@pytest.mark.slow
def test_code_that_hangs_is_ended_and_the_rest_goes_on(tmp_path):
    folder = foreign_bundle.write(tmp_path, foreign_bundle.SOUND | {"hanging": "hang"})
    steps = [("network.defined", "hanging"), ("network.defined", "network")]
    hung, sound = process.findings(Bundle(folder), steps, 10, tmp_path)
    assert "ends within 10 s and leaves the process alive, but got no end after 10 s" in told(hung)
    assert sound["outcome"] == "pass"


def test_weights_are_demanded_of_a_foreign_bundle(tmp_path):
    folder = foreign_bundle.write(tmp_path, foreign_bundle.SOUND)
    (folder / "models" / "model.pt").unlink()
    assert "models/model.pt: exists, or large_files.yml says where it is" in told(found(folder, "files.weights"))
    text("large_files.yml", "large_files: [{path: models/model.pt, url: 'https://x/y'}]")(folder)
    assert found(folder, "files.weights")["notes"] == [
        "not downloaded: models/model.pt (no hash) (nothing is fetched here)"
    ]


# ---- sizes ------------------------------------------------------------


def test_sizes_are_arithmetic_on_n_and_p():
    assert sizes(["16*n", "2**p*n", 5, "*"], n=3, p=2) == [48, 12, 5, 32]
    assert choices(["2**p*n"]) == [{"n": 1, "p": 1}, {"n": 2, "p": 1}, {"n": 1, "p": 2}]
    assert choices([64, 64]) == [{"n": 1, "p": 1}]


@pytest.mark.parametrize("side", ["8*k", "-4", "n.real", "__import__('os')", "2**999", ""])
def test_sizes_evaluate_no_code(side):
    with pytest.raises(ShapeTextError):
        sizes([side])
