from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from report_pages import make_panel, make_rows, viewer_of, written

from common.evaluation.report import Panel, Picture, by_group
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


def test_page_says_what_the_numbers_mean(tmp_path):
    text = Outline(written(tmp_path)).text
    for phrase in (
        "Synthetic images, not for clinical use.", "Value range of the metrics -1024 to 3000 HU", "head, from the CT",
        "the patient's left is on the right", "Mean absolute error ↓ HU", "Peak signal to noise ratio ↑ dB",
        "Mean absolute error, bone ↓ HU", "Sharpness → 1", "Wilcoxon", "Holm", "Sharpness, distance to 1",
        "losses.l1.weight 100", "window_hu [-600, 1400]", "torch 2.6.0", "val_mae , best at epoch 2",
        "val_ssim , best at epoch 4",
    ):  # fmt: skip
        assert phrase in text


def test_six_measures_are_shown_and_the_rest_folded(tmp_path):
    rows = [{**row, "hfen": 0.5, "bias": 1.0, "mse": 9.0} for row in make_rows()]
    page = written(tmp_path, rows=rows)
    before, folded = page[page.index('id="summary"') :].split("<summary>3 further measures</summary>", 1)
    assert re.findall(r'title="(\w+): ', before) == ["mae", "psnr", "ssim", "mae_bone", "sharpness", "contrast"]
    assert re.findall(r'title="(\w+): ', folded)[:3] == ["hfen", "bias", "mse"]
    assert 'title="mae: mean of |synthetic − truth|; lower is better">Mean absolute error</abbr>' in before


def test_centres_have_a_folded_table(tmp_path):
    rows = make_rows()
    items = [{"case": row["case"], "centre": "AB"[row["case"] > "case_3"]} for row in rows]
    page = written(tmp_path, rows=rows, groups=by_group(rows, items))
    table = re.search(r"<summary>By centre</summary>(.*?)</details>", page, re.DOTALL)[1]
    rows_of_table = re.findall(r'<th scope="row">([^<]*)</th>', table)
    assert rows_of_table == ["A, model", "A, copy_input", "B, model", "B, copy_input"]
    assert table.count("n = 4") == table.count("n = 3") == 2 * 6
    assert 'class="best"' not in table
    assert "<summary>By" not in written(tmp_path)


def test_settings_are_folded(tmp_path):
    page = written(tmp_path)
    assert re.search(r"<details>\s*<summary>Settings of the run</summary>", page)
    assert page.count("<details open") == 0  # the static figures alone, which the script folds
    assert re.search(r'<details id="figures" open>', page)


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


def test_report_without_panels_log_and_notes(tmp_path):
    page = written(tmp_path, panels=[], log_csv=None, notes=[])
    assert '<ul class="notes">' in written(tmp_path)
    assert '<ul class="notes">' not in page
    outline = Outline(page)
    assert not [tag for tag, _ in outline.tags if tag == "img"]
    assert "Training" not in outline.text


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


def test_pictures_are_embedded_with_title_and_caption(tmp_path):
    pictures = [Picture("Samples <1>", b"\x89PNG 1", "From above"), Picture("Second", b"\x89PNG 2", "c")]
    made = written(tmp_path, pictures=pictures)
    for png in (b"\x89PNG 1", b"\x89PNG 2"):
        assert f'src="data:image/png;base64,{base64.b64encode(png).decode()}"' in made
    assert "<h3>Samples &lt;1&gt;</h3>" in made
    assert "<figcaption>From above</figcaption>" in made
    assert made.index("Samples") < made.index("<h3>Second</h3>")
    assert '<a href="#pictures">Pictures</a>' in made
    assert "Pictures" not in written(tmp_path)
