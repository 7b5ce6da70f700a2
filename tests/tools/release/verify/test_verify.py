"""The validator: sound bundles pass, and each fault is found by the check that is for it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from broken_bundles import BROKEN, EXECUTED, NAME, TRAIN, replaced
from packed_copies import package_of, unpack

from common.weights.checkpoints import sha256
from common.weights.info import save
from tools.release.verify.__main__ import CHECKS, main
from tools.release.verify.bundle import ValidatedBundle
from tools.release.verify.verdicts import Verdict, verdict_of
from tools.repository import ROOT


def found(folder: Path, check: str) -> Verdict:
    """What one check that runs no code finds."""
    (one,) = [each for each in CHECKS if each.id == check]
    return verdict_of(one, ValidatedBundle(folder))


def texts_of(verdict: Verdict) -> str:
    return " | ".join(map(str, verdict.faults))


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A bundle as it stands in the repository, without what using it left there."""
    folder = ROOT / "bundles" / NAME
    for path in ValidatedBundle(folder).files():
        place = tmp_path_factory.getbasetemp() / NAME / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    return tmp_path_factory.getbasetemp() / NAME


@pytest.fixture
def copied(sound, tmp_path):
    shutil.rmtree(sound / "models", ignore_errors=True)
    return Path(shutil.copytree(sound, tmp_path / NAME))


def test_what_a_demo_and_a_pretraining_left_is_no_part_of_a_bundle(copied):
    before = list(ValidatedBundle(copied).files())
    for left in ("demo/models/model.pt", "pretraining/run.json", "demo_data/a/mr.nii.gz", "models/previous/model.pt"):
        (copied / left).parent.mkdir(parents=True)
        (copied / left).touch()
    assert list(ValidatedBundle(copied).files()) == before
    (copied / NAME / "demo").mkdir()
    for own in ("demo.txt", f"{NAME}/demo/part.py"):
        (copied / own).touch()
    assert len(list(ValidatedBundle(copied).files())) == len(before) + 2


@pytest.mark.parametrize(("check", "change", "message"), BROKEN, ids=[f"{n}-{one[0]}" for n, one in enumerate(BROKEN)])
def test_finds_what_was_broken(copied, check, change, message, monkeypatch):
    monkeypatch.setenv("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")
    change(copied)
    assert re.search(message, texts_of(found(copied, check))), texts_of(found(copied, check))
    assert not EXECUTED.exists()


def test_the_sound_bundle_passes(copied, monkeypatch):
    monkeypatch.setenv("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")
    assert [fault for check in CHECKS for fault in verdict_of(check, ValidatedBundle(copied)).faults] == []


def test_every_check_that_runs_no_code_is_tried():
    assert {check.id for check in CHECKS} == {one[0] for one in BROKEN}


def test_a_calibration_is_of_the_weights_next_to_it(copied):
    weights = copied / "models" / "model.pt"
    save({"weight": torch.ones(1)}, weights, {"bundle": NAME, "settings": {}, "trained_on": {}})
    of_these = json.dumps({"sha256": sha256(weights)})
    (weights.parent / "model_trust.json").write_text(of_these)
    assert found(copied, "weights.hashes") == Verdict(found(copied, "weights.hashes").check, [])
    (weights.parent / "model_trust.json").write_text('{"sha256": "0123456789abcdef"}')
    assert (
        texts_of(found(copied, "weights.hashes"))
        == "models/model_trust.json is of weights 0123456789ab, which are not there: make it again"
    )


def test_the_name_of_the_folder_must_not_mislead_label(copied):
    renamed = copied.rename(copied.with_name("liver_detection"))
    assert "liver_detection has detection in its name" in texts_of(found(renamed, "label.names"))


# ---- releases and the command ---------------------------------------------------------


def test_what_a_release_notes_of_its_training_is_no_code(released, tmp_path):
    """The file next to shipped weights names modules of the repository that simulated the images."""
    folder = unpack(released(NAME), tmp_path)
    (folder / "models" / "pretrained.json").write_text('{"_target_": "common.simulation.simulate.MrCtPair"}')
    assert found(folder, "code.vendored").faults == []
    replaced(TRAIN, f"{package_of(NAME)}.common.devices", f"{package_of(NAME)}.x\n  _target_: common.devices")(folder)
    assert "configs/train.yaml:" in texts_of(found(folder, "code.vendored"))


@pytest.mark.parametrize("place", ["nowhere", "{tmp}", "{tmp}/a.zip"])
def test_wrong_usage_ends_with_two(tmp_path, capsys, place):
    (tmp_path / "a.zip").write_text("no zip")
    assert main([place.format(tmp=tmp_path)]) == 2
    message = " is neither a bundle's folder with configs nor a release zip: pass one of bundles/ or of dist/"
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_the_command_prints_the_faults_of_a_zip(released, tmp_path, capsys):
    assert main([str(released(NAME))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], lines[-2]) == (f"{NAME}, a release", f"{NAME} passes")
    folder = unpack(released(NAME), tmp_path)
    (folder / "LICENSE").write_text("none")
    assert main([str(folder)]) == 1
    shown = capsys.readouterr().out
    assert "  FAIL files.texts" in shown
    assert "LICENSE is not the Apache License (none): copy the collection's" in shown
    assert shown.rstrip().endswith(f"{NAME} FAILS 2 checks"), "its hash has changed, too"
