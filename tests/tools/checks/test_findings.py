"""The table of the check of a GPU, and its verdict."""

from __future__ import annotations

from tools.checks.findings import CheckFinding, verdict

GOOD = CheckFinding("speed", "a", "x1.20", "ratio >= 0.95", True)
BAD = CheckFinding("recorded", "b, stage 2", "0 recorded", "recorded", False, "why")
NEITHER = CheckFinding("stitching", "c", "2 s")


def test_all_wanted_parts_passed() -> None:
    assert verdict([GOOD, GOOD, NEITHER], ["speed"]) == (True, "gpu-check: all 2 passed")


def test_one_failure_is_named_and_decides() -> None:
    passed, last = verdict([GOOD, BAD], ["speed", "recorded"])
    assert (passed, last) == (False, "gpu-check: 1 FAILED, 1 passed: recorded: b, stage 2")


def test_a_part_that_required_nothing_is_not_passed() -> None:
    passed, last = verdict([GOOD, NEITHER], ["speed", "stitching", "tests"])
    assert not passed
    assert last.endswith("1 passed: stitching: nothing was checked; tests: nothing was checked")
    assert verdict([], ["tests"])[0] is False


def test_what_could_not_be_measured_has_failed() -> None:
    row = CheckFinding.failed("speed", "x", "out of memory")
    assert (row.passed, row.note) == (False, "out of memory")
