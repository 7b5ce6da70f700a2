"""The page on settings is what configs and docstrings say; a setting has a comment where it is defined first."""

from __future__ import annotations

from tools.docs import settings


def test_the_page_is_generated() -> None:
    assert settings.PAGE.read_text() == settings.page(), "run python -m tools.docs.settings"


def test_a_setting_has_one_meaning_in_all_bundles() -> None:
    meanings = {name: {each.meaning for each in by.values()} for name, by in settings.first_settings().items()}
    assert {name for name, texts in meanings.items() if len(texts) > 1} == set()
