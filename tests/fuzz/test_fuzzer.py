"""The fuzzer: seed and number decide a command, a stopped run goes on, planted faults of commands are found."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from tests.common.io.dicom.dicom_phantom import write_series
from tests.fuzz import __main__ as command
from tests.fuzz import runner
from tests.fuzz.mutation import Mutation, Rule, Target
from tests.fuzz.oracle import EQUAL, FOUND
from tests.fuzz.prepare import code_hash, make_baseline
from tests.fuzz.runner import MUTATORS, Fuzzer, Row, recorded, table
from tests.fuzz.running import snapshot
from tests.fuzz.scenes import CASES, ROOT, Scene, scenes

CONFIGS = (ROOT / "bundles" / "mr2ct_pix2pix" / "configs" / "inference.yaml",)
RUN = {"model.json": {"sha256": "0", "settings": {"depth": 4, "network_def": {"_target_": "a.b"}}, "trained_on": {}}}


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Inputs of each kind, made without the project's commands."""
    folder = tmp_path / "prepared"
    for number, case in enumerate(CASES):
        path = folder / "data" / case / "mr.nii.gz"
        path.parent.mkdir(parents=True)
        values = np.arange(8000, dtype=np.float32).reshape(20, 20, 20) + number
        raw = nib.Nifti1Image(values, np.diag([2.0, 3, 4, 1])).to_bytes()
        path.write_bytes(gzip.compress(raw, mtime=0))
        (folder / "predictions").mkdir(exist_ok=True)
        shutil.copy(path, folder / "predictions" / f"{case}_ct.nii.gz")
    models = folder / "run" / "models"
    models.mkdir(parents=True)
    (models / "model.json").write_text(json.dumps(RUN["model.json"]))
    for name in ("model.pt", "last_checkpoint.pt"):
        torch.save({"a.weight": torch.ones(3, 2), "a.bias": torch.ones(3)}, models / name)
    for name in ("datalist.json", "run.json", "log.csv"):
        (folder / "run" / name).write_text(json.dumps(RUN["model.json"]))
    write_series(folder / "series", series="1.2.3")
    items = [{"case": case, "image": f"data/{case}/mr.nii.gz", "label": "data", "mask": "data"} for case in CASES]
    (folder / "list.json").write_text(json.dumps({"test": items}))
    return folder


SCENE = Scene(
    "inference",
    ("-m", "monai.bundle", "run", "--config_file", str(CONFIGS[0])),
    {"dataset_dir": "{box}/in/data", "seed": "0"},
    1,
    {},
    {"data": "data", "run": "run", "list.json": "list.json"},
    {"": "run"},
    configs=CONFIGS,
    volumes="data/*/*.nii.gz",
)
RESUMED = replace(SCENE, options={**SCENE.options, "resume": "true"}, out={"": "predictions"})
SERIES = Scene("series", (), {}, 1, {}, {"data": "series"})


@pytest.mark.parametrize("kind", MUTATORS)
def test_a_mutation_is_decided_by_its_seed_and_changes_something(kind: str, prepared: Path, tmp_path: Path) -> None:
    scene = {"dicom": SERIES, "change": RESUMED}.get(kind, SCENE)
    (prepared / "run" / "manifest.json").write_text("[]" if kind != "output" else '[{"case": "a", "status": "done"}]')
    descriptions, unchanged = [], 0
    for number in range(15):
        seen = []
        for again in (0, 1):
            box = tmp_path / f"{number}-{again}"
            scene.lay_out(prepared, box)
            before = snapshot(box)
            made: Mutation = MUTATORS[kind](random.Random(number), Target(scene, box, prepared, scene.options))
            files = snapshot(box)
            seen.append((made.what.replace(str(box), ""), made.rule, made.options, files))
        if kind in ("weights", "run"):  # zip archives of torch have no dates, but hostile objects name their folder
            seen = [(what, rule, options, sorted(files)) for what, rule, options, files in seen]
        assert seen[0] == seen[1], number
        descriptions.append(seen[0][0])
        inside = files == before and made.options in (None, scene.options)
        unchanged += inside and not (made.environment or made.streams)
    assert len(set(descriptions)) > (3 if kind == "stream" else 6)
    assert unchanged < 5, "some changes have no effect, such as that of an element which a slice does not have"


def test_seed_and_number_decide_the_command(tmp_path: Path) -> None:
    def chosen(seed: int) -> list[tuple[str, str]]:
        fuzzer = Fuzzer(seed, tmp_path, tmp_path)
        return [(scene.name, kind) for _, scene, kind in map(fuzzer.choose, range(300))]

    assert chosen(0) == chosen(0)
    assert chosen(0) != chosen(1)
    assert set(MUTATORS) == {kind for _, kind in chosen(0)}
    named = Counter(name for name, _ in chosen(0) + chosen(1) + chosen(2))
    assert named.keys() == {scene.name for scene in scenes()}
    assert sum(number for name, number in named.items() if name.startswith("inference")) > 450


PLANTED = """
import pathlib, sys
box, how, seed = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[-1]
out = box / "out"
out.mkdir()
(out / "metrics.csv").write_text(seed if how in ("silent", "warned") else "0")
if how == "stray": (box / "cwd" / "stray.txt").touch()
if how == "temporary": (box / "tmp" / "left").touch()
if how == "input": (box / "in" / "data" / "more").touch()
if how == "changed": sorted((box / "in").rglob("mr.nii.gz"))[0].write_bytes(b"")
if how == "traceback": [][1]
if how == "warned": print("12:00:00 WARNING x: --seed is another")
"""


def planted(how: str, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the fuzzer have one command, which is given another seed, and its unmutated result."""

    def another_seed(rng: random.Random, target: Target) -> Mutation:
        return Mutation("option", "--seed", Rule.SAME, named=("--seed",), options={"seed": "1"})

    sound, scene = (
        Scene("planted", ("-c", PLANTED, "{box}", each), {"seed": "0"}, 1, {"option": 1}, {"data": "data"},
              configs=CONFIGS)
        for each in ("nothing", how)
    )  # fmt: skip
    make_baseline(prepared, sound)
    monkeypatch.setattr(runner, "scenes", lambda: [scene])
    monkeypatch.setitem(MUTATORS, "option", another_seed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "found"),
    [
        ("nothing", ""),
        ("warned", ""),
        ("stray", "a file outside the output folder: cwd/stray.txt"),
        ("temporary", "a file outside the output folder: tmp/left"),
        ("input", "a file outside the output folder: in/data/more"),
        ("changed", f"an input was changed: in/data/{CASES[0]}/mr.nii.gz"),
        ("traceback", "a traceback: IndexError: list index out of range"),
        ("silent", "another result without a line that says why: metrics.csv"),
    ],
)
def test_planted_faults_are_found(how: str, found: str, prepared: Path, tmp_path: Path, monkeypatch) -> None:
    planted(how, prepared, monkeypatch)
    row = Fuzzer(0, tmp_path / "record", prepared).fuzz(0)
    assert (row.outcome == FOUND) == bool(found), row.reasons
    assert found in "; ".join(row.reasons)
    left = [path.name for path in (tmp_path / "record").iterdir() if path.is_dir()]
    assert left == (["found"] if found else [])
    assert not found or (tmp_path / "record" / "found" / "0-00000" / "in" / "data").is_dir()


@pytest.mark.slow
def test_a_stopped_run_goes_on(prepared: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    planted("silent", prepared, monkeypatch)
    monkeypatch.setattr(command, "prepare", lambda *_: prepared)
    folder = tmp_path / "out"
    options = ["--seed", "5", "--out", str(folder), "--jobs", "1"]
    assert command.main([*options, "--commands", "2"]) == 1
    assert sorted(recorded(folder, 5, code_hash())) == [0, 1]
    assert recorded(folder, 4, code_hash()) == {}
    assert recorded(folder, 5, "of other code") == {}
    assert command.main([*options, "--commands", "4", "--resume"]) == 1
    said = capsys.readouterr().out
    assert "4 commands of seed 5, 2 of them now" in said
    assert "--seed 5 --first 3 --commands 1: planted; --seed" in said
    assert "4 of 4 commands found something" in said


def test_the_table_counts_kinds_and_outcomes() -> None:
    rows = [Row(0, n, "", "a", kind, "", outcome, [], 0, 1.0, []) for n, (kind, outcome) in enumerate(
        [("nifti field", EQUAL), ("nifti bytes", EQUAL), ("option value", FOUND)]
    )]  # fmt: skip
    assert [line.split() for line in table(rows).splitlines()] == [
        ["nifti", "option", "all"],
        ["same", "result", "2", "0", "2"],
        ["FOUND", "0", "1", "1"],
        ["all", "2", "1", "3"],
    ]
