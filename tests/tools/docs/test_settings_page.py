"""The page on settings is what configs and docstrings say; a setting has a comment where it is defined first."""

from __future__ import annotations

import yaml

from tools.docs import settings


def test_the_page_is_generated() -> None:
    assert settings.PAGE.read_text() == settings.page(), "run python -m tools.docs.settings"


def test_every_setting_with_a_plain_value_has_a_comment() -> None:
    bare = []
    complete: dict[str, set[str]] = {}
    for bundle, path in settings.configs():
        own = yaml.safe_load(path.read_text())
        known = complete.setdefault(bundle, set())
        new = own.keys() - known - {setting.name for setting in settings.commented(path)}
        bare += [(path, name) for name in new if name.isidentifier() and not _is_made(own[name])]
        if path.stem in settings.COMPLETE:
            known.update(own)
    assert bare == []


def _is_made(value: object) -> bool:
    """Whether a value is a component, a reference or steps of a workflow rather than something to choose."""
    if isinstance(value, dict):
        return "_target_" in value or any(_is_made(part) for part in value.values() if isinstance(part, dict | list))
    if isinstance(value, list):
        return any(_is_made(part) for part in value)
    return isinstance(value, str) and value.startswith(("$", "@", "%"))


def test_a_setting_has_one_meaning_in_all_bundles() -> None:
    meanings = {name: {each.meaning for each in by.values()} for name, by in settings.first_settings().items()}
    assert {name for name, texts in meanings.items() if len(texts) > 1} == set()
