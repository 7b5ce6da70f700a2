"""The table of results is what its records say; each record is complete and possible."""

from __future__ import annotations

from tools.docs import results


def test_the_page_is_generated() -> None:
    assert results.PAGE.read_text(encoding="utf-8") == results.page(), "run python -m tools.docs.results"
