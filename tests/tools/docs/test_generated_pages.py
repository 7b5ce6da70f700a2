"""Pages that a program writes are what it writes: of the table of readers, the records of results, configs."""

from __future__ import annotations

from types import ModuleType

import pytest

from tools.docs import readers, results, settings


@pytest.mark.parametrize("program", [readers, results, settings])
def test_the_page_is_generated(program: ModuleType) -> None:
    assert program.PAGE.read_text(encoding="utf-8") == program.page(), f"run python -m {program.__name__}"


def test_a_setting_has_one_meaning_in_all_bundles() -> None:
    meanings = {name: {each.meaning for each in by.values()} for name, by in settings.first_settings().items()}
    assert {name for name, texts in meanings.items() if len(texts) > 1} == set()
