"""Paths among the settings: which they are, and what stays data."""

from __future__ import annotations

from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from common.path_names import as_data, is_path, texts


def test_which_settings_are_paths() -> None:
    paths = ("output_dir", "exporter::predictions_dir", "weights", "evaluation::weights", "datalist", "label_maps")
    assert all(map(is_path, paths))
    assert not any(map(is_path, ("losses", "reader", "weights::decay", "dir", "variant")))


@pytest.mark.parametrize("name", ["$1 + 1", "@seed", "%seed", "a#b", "a::b", "x@::y"])
def test_monai_leaves_a_name_alone_that_it_would_have_read(name: str) -> None:
    parser = ConfigParser({"seed": 3, "dataset_dir": as_data(name)})
    assert parser.get_parsed_content("dataset_dir") == Path(name)


@pytest.mark.parametrize("name", ["a b ", "out_\u00b5", "e\u0301", "a@b", "[x]", "-x", "=1"])
def test_other_names_stay_texts(name: str) -> None:
    assert as_data(name) == name
    assert ConfigParser({"dataset_dir": name}).get_parsed_content("dataset_dir") == name


def test_texts_are_those_of_every_level_without_paths() -> None:
    assert texts({"a": ["@b", {"c": "d"}], "e": Path("@f"), "g": 1, "@h": ("i",)}) == "@b\nd\ni"
