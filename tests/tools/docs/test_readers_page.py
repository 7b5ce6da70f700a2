"""The page of other software: of the table that is tried."""

from tools.docs import readers


def test_the_page_is_of_the_table() -> None:
    assert readers.PAGE.read_text(encoding="utf-8") == readers.page(), "run python -m tools.docs.readers"
