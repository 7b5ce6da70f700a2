"""Programs read configurations as commands do, and the look at the running command finds its files and options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from monai import bundle

from common.config import read_config
from common.config.command import running_command
from common.errors import ConfigError
from common.raw_settings import short_names

READER = {"_target_": "common.io.VolumeReader", "series": None, "phase": None}
LOADER = {"_target_": "Loader", "batch_size": "@batch_size", "num_workers": 0}


def write(folder: Path, name: str, **settings: Any) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(settings))
    return path


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return write(tmp_path, "train", bundle_root="x", batch_size=4, reader=READER, train={"dataloader": LOADER})


def test_a_short_name_reaches_its_component(train: Path) -> None:
    parser = read_config(train, series="1.2.3", num_workers=2)
    reader = parser.get_parsed_content("reader")
    assert (reader.options.series, reader.options.phase) == ("1.2.3", None)
    assert parser["train::dataloader"]["num_workers"] == "@num_workers"
    assert parser["num_workers"] == 2


def test_the_whole_name_works_too(train: Path) -> None:
    assert read_config(train, **{"reader::phase": 3}).get_parsed_content("reader").options.phase == 3


def test_an_overlay_may_use_a_short_name(train: Path, tmp_path: Path) -> None:
    overlay = write(tmp_path, "mine", phase=2)
    assert read_config([train, overlay]).get_parsed_content("reader").options.phase == 2


def test_a_setting_of_another_whole_config_is_no_short_name(train: Path, tmp_path: Path) -> None:
    """An overlay for both has settings that one of them lacks: these do not become another component's."""
    inference = write(tmp_path, "inference", bundle_root="x", loader={"_target_": "Loader", "batch_size": 1})
    demo = write(tmp_path, "demo", batch_size=16)
    assert read_config([inference, demo])["loader"]["batch_size"] == 1
    assert read_config([train, demo])["batch_size"] == 16


def test_a_name_of_two_settings_is_refused(tmp_path: Path) -> None:
    both = write(
        tmp_path, "train", bundle_root="x", one={"_target_": "A", "size": 1}, other={"_target_": "B", "size": 2}
    )
    with pytest.raises(
        ConfigError, match="--size: stands for one setting .*, but got 2 settings: --one::size, --other"
    ):
        read_config(both, size=3)


def test_values_come_before_references_and_definitions_stay(tmp_path: Path) -> None:
    parts = {"one": {"_target_": "A", "rate": "@lr"}, "other": {"_target_": "B", "rate": 2}, "lr": 1}
    assert [place for place, _ in short_names(parts)["rate"]] == ["other::rate"]
    mine = write(tmp_path, "train", bundle_root="x", **parts, third={"_target_": "C", "rates": "@rate"}, rate=5)
    assert read_config(mine)["other"]["rate"] == 2, "rate is a definition that the third refers to"


def test_the_record_has_what_everything_is_built_from(train: Path) -> None:
    parser = read_config(train, series="1.2.3")
    record = parser.get_parsed_content("record")
    assert record.options == {"series": "1.2.3"}
    assert record.raw("reader::series") == "@series"
    assert record.built("batch_size") == 4
    assert (record.raw("absent"), record.built("absent"), record.weights) == (None, None, None)
    assert "record" not in record.config, "it is written down, which must not recur"


def test_outside_a_configuration_there_is_none() -> None:
    assert running_command()[:4] == (None, (), {}, "")


def test_a_command_is_asked_for_its_files_and_options(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    asked = "(lambda c: [c.files, c.options, c.run_id, c.typed])(command.running_command())"
    imports = ["$import json", "$from pathlib import Path", "$import common.config.command as command"]
    run = [f"$Path({str(out)!r}).write_text(json.dumps({asked}))"]
    path = write(tmp_path, "train", imports=imports, reader=READER, depth=8, run=run)
    stored = write(tmp_path, "stored", depth=7, plane="axial", config_file=str(path))
    bundle.run("run", args_file=str(stored), depth=5, **{"reader#phase": 2})
    files, options, run_id, typed = json.loads(out.read_text())
    assert files == [str(path)]
    assert (options["depth"], options["plane"], options["reader::phase"]) == (5, "axial", 2)
    assert (run_id, typed) == ("run", None), "a program types nothing"
