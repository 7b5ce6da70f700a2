"""Texts of a release say what is typed in its folder, and what weights it has."""

from __future__ import annotations

import pytest

from common.errors import ConfigError
from tools.release.pack import documents


@pytest.mark.parametrize("config", ["on: 1\n", "{1: a}\n", "day: 2026-01-02\n", "x: .nan\n"])
def test_what_json_cannot_hold_is_refused(config: str) -> None:
    with pytest.raises(ConfigError, match="a.yaml has values that are not valid JSON"):
        documents.twin(config, "a.yaml")
