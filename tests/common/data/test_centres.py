"""Split by centre: the test has whole centres, the others are split by patient."""

from __future__ import annotations

import pytest

from common.data.centres import split_by_centre
from common.errors import DataError

ITEMS = [
    {"case": f"1AB{centre}{number:03d}", "patient": f"1AB{centre}{number:03d}", "centre": centre, "image": "x"}
    for centre in "ABC"
    for number in range(4)
]


def test_the_test_section_is_all_of_the_centres_and_the_rest_is_split() -> None:
    lists = split_by_centre(ITEMS, ["B", " C"], (0.75, 0.25, 0.0))
    assert [item["centre"] for item in lists["test"]] == [*"BBBBCCCC"]
    assert {item["centre"] for item in lists["training"] + lists["validation"]} == {"A"}
    assert (len(lists["training"]), len(lists["validation"])) == (3, 1)
    assert split_by_centre(ITEMS[::-1], ["B", "C"], (0.6, 0.2, 0.2)) == lists


def test_centres_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="no case is of centre D, but of A, B, C: correct --test_centres"):
        split_by_centre(ITEMS, ["D"], (0.7, 0.15, 0.15))
    with pytest.raises(DataError, match="no case is of centre A, but of none that is known"):
        split_by_centre([{"case": "a", "image": "x"}], ["A"], (0.7, 0.15, 0.15))
    with pytest.raises(DataError, match="all cases are of A, B, C: leave centres to train on"):
        split_by_centre(ITEMS, ["A", "B", "C"], (0.7, 0.15, 0.15))


def test_a_patient_of_two_centres_is_not_trained_on_and_tested() -> None:
    """However their id is typed in each of them."""
    ids = {"1ABA000": "one", "1ABB000": "One ", "1ABC000": "one"}
    items = [{**item, "patient": ids.get(item["case"], item["case"])} for item in ITEMS]
    with pytest.raises(DataError, match="patient 'One' is in .* and test"):
        split_by_centre(items, ["B"], (0.7, 0.15, 0.15))
