"""The table of results is what its records say; each record is complete and possible."""

from __future__ import annotations

import math
import re
from datetime import date

import pytest

from tools.docs import results
from tools.repository import bundle_names

RECORD = results.Record(
    "mr2ct_pix2pix", "MR to CT", "shipped", "heads", "simulated", 2, "MAE, HU ↓", [77, 89],
    {"method": "line", "value": [224, 89]}, {"method": "atlas", "value": [100, 110.5]},
    {"value": 73.7, "source": "a paper"}, "1fdde4da", "make demo", "2026-11-28",
)  # fmt: skip

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


CARD = "../../bundles/mr2ct_pix2pix/docs/README.md"


def cells(table: str) -> list[list[str]]:
    """The rows of a table below its head, a text for each cell."""
    return [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in table.splitlines()[2:]]


def test_a_row_has_every_network_of_a_test_and_the_best_in_bold() -> None:
    other = RECORD._replace(weights="GAN, left out", ours=[80, 120], published=None, commit=None)
    assert results.table(results.tests([RECORD, other])).splitlines() == [
        "| task | data | metric | ours | copy or line | classical | published |",
        "|---|---|---|---|---|---|---|",
        f"| [MR to CT]({CARD}) | heads (2) | MAE, HU ↓ "
        "| shipped **77**, **89**; GAN 80, 120 | line 224, **89** | atlas 100, 110.5 | 73.7 (a paper) |",
    ]


def test_more_is_better_where_the_metric_says_so_and_nothing_is_best_alone() -> None:
    line: results.Baseline = {"method": "line", "value": 0.5}
    record = RECORD._replace(metric="SSIM ↑", ours=0.812, copy_or_line=line, classical=None, published=None, n=None)
    assert results.row([record])[1:] == ["heads", "SSIM ↑", "shipped **0.812**", "line 0.5", "", ""]
    assert results.row([record._replace(copy_or_line=None)])[3:] == ["shipped 0.812", "", "", ""]


def test_cases_of_real_images_are_averaged() -> None:
    real = RECORD._replace(images="real", ours=[77, 89.22], published=None)
    assert results.row([real])[3:] == ["shipped **83.1**", "line 156", "atlas 105", ""]
    assert results.row([real._replace(n=3)])[3] == "shipped **77**, 89.22"


def test_empty_columns_and_what_the_row_above_says_are_left_out() -> None:
    first = RECORD._replace(copy_or_line=None, published=None)
    measured = [first, first._replace(metric="SSIM ↑"), first._replace(data="others"), first._replace(task="T2")]
    table = results.table(results.tests(measured))
    assert table.splitlines()[0] == "| task | data | metric | ours | classical |"
    assert [row[:3] for row in cells(table)] == [
        [f"[MR to CT]({CARD})", "heads (2)", "MAE, HU ↓"],
        ["", "", "SSIM ↑"],
        ["", "others (2)", "MAE, HU ↓"],
        [f"[T2]({CARD})", "heads (2)", "MAE, HU ↓"],
    ]


def test_real_images_come_first_and_of_others_the_first_test_of_a_task() -> None:
    kinds = ("phantom", "simulated", "real", "real, degraded")
    measured = [RECORD._replace(images=kind, data=f"{kind} {number}") for kind in kinds for number in (1, 2)]
    page = results.tables(measured)
    assert [line for line in page.splitlines() if line.startswith("#")] == [
        "## Real images",
        "## Real images, degraded by simulation",
        "## Phantoms",
    ]
    shown = [row[1] for part in page.split("\n\n")[1::2] for row in cells(part)]
    assert shown == ["real 1 (2)", "real 2 (2)", "real, degraded 1 (2)", "real, degraded 2 (2)", "phantom 1 (2)"]
