"""Texts of a release say what is typed in its folder, and what weights it has."""

from __future__ import annotations

import json

import pytest

from common.errors import ConfigError
from tools.release.pack import documents

CARD = """**Shipped weights**: none, train first

Of the demo (`make demo BUNDLE=toy`, two epochs): 5 HU.
"""
DEMO = "Of the demo (`make demo BUNDLE=toy` in the repository, two epochs): 5 HU."


def test_the_card_says_where_make_is() -> None:
    card = documents.card(CARD, own_weights=False)
    assert card.split("\n") == ["**Shipped weights**: none, train first", "", DEMO, ""]


def test_a_card_with_weights_says_where_they_are_named() -> None:
    card = documents.card(CARD, own_weights=True)
    assert card.split("\n") == ["**Shipped weights**: those named in `model_info.json`", "", DEMO, ""]


def test_commands_in_comments_of_configs_name_files_in_the_folder() -> None:
    config = "# a CONFIGS/x.yaml\n# torchrun \"['C/train.yaml','C/a.yaml']\"\nkey: CONFIGS/x.yaml\n"
    config += "# make demo BUNDLE=a\n"
    assert documents.head(config).split("\n")[:3] == [
        "# a configs/x.yaml", "# torchrun \"['configs/train.yaml','configs/a.yaml']\"", "key: CONFIGS/x.yaml"
    ]  # fmt: skip
    assert documents.head(config).split("\n")[3].startswith("# python -m monai.bundle run training --config_file")


def test_metadata_say_whether_there_are_weights() -> None:
    text = '{"data_source": "Phantoms; no patient data and no weights are distributed"}'
    assert documents.metadata(text, own_weights=False) == text
    source = json.loads(documents.metadata(text, own_weights=True))["data_source"]
    assert source == "Phantoms; no patient data are distributed; the weights are those named in model_info.json"


def test_a_twin_holds_the_same() -> None:
    config = "# a\nrate: 2.0e-4\nnone: null\nflag: on\n\"@x\": {'0': 'µ', b: [1, 2.5, '1']}\n"
    expected = {"rate": 0.0002, "none": None, "flag": True, "@x": {"0": "µ", "b": [1, 2.5, "1"]}}
    assert json.loads(documents.twin(config, "a.yaml")) == expected


@pytest.mark.parametrize("config", ["on: 1\n", "{1: a}\n", "day: 2026-01-02\n", "x: .nan\n"])
def test_what_json_cannot_hold_is_refused(config: str) -> None:
    with pytest.raises(ConfigError, match="a.yaml has values that are not valid JSON"):
        documents.twin(config, "a.yaml")
