"""The table of results is what its records say; each record is complete and possible."""

from __future__ import annotations

import math
import re
from datetime import date

import pytest

from tools.docs import results
from tools.repository import bundle_names

BUNDLES = sorted(path.stem for path in results.PAGE.parent.glob("*.json"))


def test_the_page_is_generated() -> None:
    assert results.PAGE.read_text(encoding="utf-8") == results.page(), "run python -m tools.docs.results"


@pytest.mark.parametrize("bundle", BUNDLES)
def test_values_of_records_are_sane(bundle: str) -> None:
    wrong = []
    records = [record for record in results.records() if record.bundle == bundle]
    for record in records:
        baselines = [each for each in (record.copy_or_line, record.classical) if each]
        numbers = [results.listed(value) for value in (record.ours, *(each["value"] for each in baselines))]
        texts = (record.task, record.weights, record.data, *(each["method"] for each in baselines))
        sane = (
            all(each and "|" not in each for each in texts),
            record.images in results.IMAGES,
            record.n is None or record.n > 0,
            re.fullmatch(r"[^|]+ [↓↑]", record.metric),
            all(math.isfinite(number) for each in numbers for number in each),
            len({len(each) for each in numbers}) == 1 and numbers[0],
            not record.published or (math.isfinite(record.published["value"]) and record.published["source"]),
            record.commit is None or re.fullmatch(r"[0-9a-f]{8}(, [0-9a-f]{8})*", record.commit),
            record.command is None or record.command,
            record.date is None or date.fromisoformat(record.date),
        )
        wrong += [] if all(sane) else [record]
    assert records
    assert wrong == []


def test_records_are_of_bundles_and_none_is_there_twice() -> None:
    records = results.records()
    assert sorted({record.bundle for record in records}) == BUNDLES
    assert set(BUNDLES) <= set(bundle_names())
    tests = [(*record[:5], record.metric, str(record.copy_or_line), str(record.classical)) for record in records]
    assert [test for test in tests if tests.count(test) > 1] == []
