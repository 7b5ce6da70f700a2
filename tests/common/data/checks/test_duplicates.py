"""One image in two cases."""

from __future__ import annotations

import pytest

from common.data.checks.duplicates import copies
from common.data.identity import FileIdentity


def item(case: str, image: str, **more: str) -> dict:
    return {"case": case, "image": image, **more}


def found(lists: dict) -> list[tuple[str, str]]:
    """Severity and message; the content of a file is the part of its name before the underscore."""
    paths = {path for items in lists.values() for each in items for path in (each["image"], each.get("label", "x"))}
    files = {path: FileIdentity(path.split("_")[0], 1, 1) for path in paths}
    return [(finding.severity, str(finding)) for finding in copies(lists, files)]


@pytest.mark.parametrize("sections", [("training", "test"), ("training_A", "validation"), ("validation", "test")])
def test_two_sections_are_an_error_that_names_both(sections: tuple[str, str]) -> None:
    one, two = sections
    [(severity, message)] = found({one: [item("a", "1_mr.nii")], two: [item("b", "2"), item("c", "1_copy.nii")]})
    assert severity == "error"
    assert message == (
        "c (1_copy.nii): the same image in two sections, a leak (voxels of a, 1_mr.nii, "
        f"in {one}; here in {two}); remove one of the two, or put both in one section"
    )


def test_a_label_counts_as_well_and_so_does_one_file_that_is_listed_twice() -> None:
    lists = {"training": [item("a", "1", label="2")], "test": [item("b", "3", label="2"), item("c", "1")]}
    assert [severity for severity, _ in found(lists)] == ["error", "error"]


def test_within_training_it_is_a_warning_pools_included() -> None:
    [(severity, message)] = found({"training_A": [item("a", "1_x")], "training_B": [item("b", "1_y")]})
    assert (severity, "a, 1_x, in training_A; here in training_B" in message) == ("warning", True)
    assert found({"training_A": [item("a", "1")], "training_B": [item("a", "1")]}) == [], "one file in both pools"


def test_a_target_that_is_a_copy_of_the_source_is_a_warning() -> None:
    message = "a (1_ct): the same image twice in the case (voxels of 1_mr); put the right file there"
    assert found({"training": [item("a", "1_mr", label="1_ct")]}) == [("warning", message)]
    assert found({"training": [item("a", "1_mr", label="1_mr")]}) == [], "one file is meant"
