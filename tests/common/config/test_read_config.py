"""Programs read configurations as commands do, and the look at the running command finds its files and options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from monai import bundle

from common.config import read_config
from common.config.command import running_command

READER = {"_target_": "common.io.VolumeReader", "series": None, "phase": None}
LOADER = {"_target_": "Loader", "batch_size": "@batch_size", "num_workers": 0}


def write(folder: Path, name: str, **settings: Any) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(settings))
    return path


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return write(tmp_path, "train", bundle_root="x", batch_size=4, reader=READER, train={"dataloader": LOADER})


def test_an_option_is_given_by_its_id(train: Path) -> None:
    assert read_config(train, **{"reader::phase": 3}).get_parsed_content("reader").options.phase == 3
    assert read_config(train, batch_size=2)["batch_size"] == 2


def test_an_overlay_may_set_a_part_of_a_component(train: Path, tmp_path: Path) -> None:
    overlay = write(tmp_path, "mine", **{"reader::phase": 2})
    assert read_config([train, overlay]).get_parsed_content("reader").options.phase == 2


def test_the_record_has_what_everything_is_built_from(train: Path) -> None:
    parser = read_config(train, **{"reader::series": "1.2.3"})
    record = parser.get_parsed_content("record")
    assert record.options == {"reader::series": "1.2.3"}
    assert record.raw("reader::series") == "1.2.3"
    assert record.built("batch_size") == 4
    assert (record.raw("absent"), record.built("absent"), record.weights) == (None, None, None)
    assert "record" not in record.config, "it is written down, which must not recur"


def test_outside_a_configuration_there_is_none() -> None:
    assert running_command() == (None, {}, {}, "")


def test_a_command_is_asked_for_its_files_and_options(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    asked = "(lambda c: [list(c.files), c.options, c.run_id])(command.running_command())"
    imports = ["$import json", "$from pathlib import Path", "$import common.config.command as command"]
    run = [f"$Path({str(out)!r}).write_text(json.dumps({asked}))"]
    path = write(tmp_path, "train", imports=imports, reader=READER, depth=8, run=run)
    stored = write(tmp_path, "stored", depth=7, plane="axial", config_file=str(path), **{"reader::size": 3})
    bundle.run("run", args_file=str(stored), depth=5, **{"reader#phase": 2})
    files, options, run_id = json.loads(out.read_text())
    assert files == [str(path)]
    assert options == {"depth": 5, "plane": "axial", "reader::size": 3, "reader::phase": 2}
    assert run_id == "run"
