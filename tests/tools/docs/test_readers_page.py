"""The page of other software: of the table that is tried."""

from tools.docs import readers
from tools.docs.readers import RIGHT, Otherwise, Tool


def test_the_page_is_of_the_table() -> None:
    assert readers.PAGE.read_text(encoding="utf-8") == readers.page(), "run python -m tools.docs.readers"


def test_a_row_says_what_is_right_and_in_words_what_is_not() -> None:
    reads = {readers.ALL: RIGHT, (readers.SHEARED,): Otherwise("a pattern", "refused")}
    tool = Tool("A Reader", "1.2", reads, {readers.FILES: RIGHT, ("SC", "PS"): Otherwise("no image", "not read")})
    assert readers.row(tool) == "| A Reader | 1.2 | all | sheared: refused | files; SC, PS: not read |"
    assert readers.outcomes(tool.writes)["PS"] == Otherwise("no image", "not read")
