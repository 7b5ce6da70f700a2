from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from report_pages import make_panel, make_rows, viewer_of, written

from common.evaluation.report import Panel
from common.evaluation.report.html import MAX_BYTES


class Outline(HTMLParser):
    """All tags with their attributes, and the text, of style and scripts too."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def test_page_needs_nothing_from_elsewhere(tmp_path):
    page = written(tmp_path)
    outline = Outline(page)
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest|import\(", page)
    assert [attrs for tag, attrs in outline.tags if tag == "script"] == [
        {"type": "application/json", "id": "viewer-data"}, {}
    ]  # fmt: skip
    links = [value for _, attrs in outline.tags for name, value in attrs.items() if name in ("src", "href", "srcset")]
    assert {link.split(",")[0] if link.startswith("data:") else link[0] for link in links} == {
        "#", "data:", "data:image/png;base64"
    }  # fmt: skip
    anchors = {link[1:] for link in links if link.startswith("#")}
    assert anchors == {attrs["id"] for tag, attrs in outline.tags if tag == "h2"}


def test_pictures_are_readable_and_described(tmp_path):
    images = [attrs for tag, attrs in Outline(written(tmp_path)).tags if tag == "img"]
    assert len(images) == 4  # one panel, three curves
    for image in images:
        png = base64.b64decode(image["src"].split(",")[1])
        assert len(png) <= 250_000
        assert Image.open(io.BytesIO(png)).width >= 300
    assert images[0]["alt"].startswith("Case case_0, method model: axial, coronal and sagittal planes")
    assert images[2]["alt"] == "val_mae over 2 epochs"


def test_text_is_escaped(tmp_path):
    bad = "<b>x</b>"
    rows = [{**row, "case": bad if row["case"] == "case_0" else row["case"]} for row in make_rows()]
    page = written(tmp_path, rows=rows, panels=[make_panel(bad)], title=bad, notes=[bad], settings={bad: bad},
                   versions={bad: '"><i>'}, bundle=bad, mask_description=bad, reference=bad)  # fmt: skip
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert bad not in page
    assert '"><i>' not in page
    assert Outline(page).text.count(bad) >= 8


def test_a_name_cannot_end_the_data_of_the_viewer(tmp_path):
    bad = "</script><script>alert(1)//"
    page = written(tmp_path, panels=[make_panel(bad)], warnings={bad: ["<!--"]})
    assert "<script>alert" not in page
    assert viewer_of(page)["cases"][0]["name"] == bad
    assert viewer_of(page)["cases"][0]["warnings"] == ["<!--"]


def noisy_panels(cases, deviation, side):
    random = np.random.default_rng(0)
    x, y, z = np.meshgrid(*[np.linspace(-4, 4, side)] * 3, indexing="ij")
    truth = (200 * np.sin(x) * np.cos(y + z) + random.normal(0, deviation, x.shape)).astype(np.float32)
    return [
        Panel(
            case=f"case_{index}", method="model", source=truth, synthetic=truth + 30 * np.sin(x), truth=truth,
            spacing=(1.5, 1.5, 1.5), source_unit="a.u.", unit="HU", window=(-1000, 1000),
        )
        for index in range(cases)
    ]  # fmt: skip


@pytest.mark.slow
def test_twelve_cases_stay_below_the_limit_and_three_of_them_are_the_finest(tmp_path):
    page = written(tmp_path, rows=make_rows(12), panels=noisy_panels(12, 20, 110))
    assert 0.8 * MAX_BYTES < len(page.encode()) <= MAX_BYTES
    cases = viewer_of(page)["cases"]
    assert len(cases) == 12
    sides = {case["role"]: max(case["shape"]) for case in cases}
    assert sides["worst"] == sides["median"] == sides["best"] > 1.5 * sides[""]
    assert min(sides.values()) > 24


@pytest.mark.slow
def test_images_that_do_not_fit_are_left_out_and_the_page_says_so(tmp_path):
    page = written(tmp_path, rows=make_rows(26), panels=noisy_panels(26, 400, 64))
    assert len(page.encode()) <= MAX_BYTES
    roles = [case["role"] for case in viewer_of(page)["cases"]]
    assert {"worst", "median", "best"} <= set(roles)
    assert len(roles) < 26
    assert f"Images of {26 - len(roles)} further cases are skipped" in page
