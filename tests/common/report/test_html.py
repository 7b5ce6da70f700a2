import base64
import io
import json
import re
import shutil
import subprocess
from html import escape
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from common.report import ExtraImage, Panel, Report, summarise, write_report
from common.report.html import flattened, per_case, summary_cells

CHROMIUM = shutil.which("chromium")
LOG = "epoch,generator_l1,val_mae,val_ssim\n1,3.0,,\n2,2.0,50.0,0.7\n3,1.5,,\n4,1.4,55.0,0.8\n"


def make_rows(cases=7):
    random = np.random.default_rng(1)
    return [
        {"case": f"case_{index}", "method": method, "mae": base + random.random(), "psnr": 30 - base / 10,
         "ssim": 0.8 + random.random() / 10, "sharpness": 0.7, "contrast": 1.2, "mae_bone": 2 * base}
        for index in range(cases)
        for method, base in (("model", 40.0), ("copy_input", 90.0))
    ]  # fmt: skip


def make_panel(case="case_0", method="model"):
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in (24, 28, 20)], indexing="ij")
    truth = np.where(x**2 + y**2 + z**2 < 0.8, 40.0, -1000.0)
    return Panel(
        case=case, method=method, source=truth + 1000, synthetic=truth + 10 * x, truth=truth, mask=truth > 0,
        extras=[ExtraImage("Residual", x, "HU")], spacing=(1.0, 1.0, 2.0), source_unit="a.u.", unit="HU",
        window=(-160, 240),
    )  # fmt: skip


def make_report(tmp_path, **changes):
    (tmp_path / "log.csv").write_text(LOG)
    rows = changes.pop("rows", make_rows())
    fields = {
        "title": "MR to CT", "bundle": "mr2ct_pix2pix", "version": "0.1.0", "unit": "HU", "value_range": (-1024, 3000),
        "mask_description": "head, from the CT", "rows": rows, "summary": summarise(rows), "panels": [make_panel()],
        "log_csv": tmp_path / "log.csv", "settings": {"loss_weights": {"l1": 100}, "window_hu": [-600, 1400]},
        "versions": {"torch": "2.6.0"}, "notes": ["Weights sha256 " + 64 * "f"],
    }  # fmt: skip
    return Report(**(fields | changes))


def written(tmp_path, **changes):
    write_report(tmp_path / "report.html", make_report(tmp_path, **changes))
    return (tmp_path / "report.html").read_text(encoding="utf-8")


class Outline(HTMLParser):
    """All tags with their attributes, and the text outside of style."""

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
    assert "script" not in [tag for tag, _ in outline.tags]
    assert not re.search(r"https?://|@import|url\(", page)
    links = [value for _, attrs in outline.tags for name, value in attrs.items() if name in ("src", "href", "srcset")]
    assert {link.split(",")[0] if link.startswith("data:") else link[0] for link in links} == {
        "#", "data:", "data:image/png;base64"
    }  # fmt: skip
    anchors = {link[1:] for link in links if link.startswith("#")}
    assert anchors == {attrs["id"] for _, attrs in outline.tags if "id" in attrs}


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
        "the patient's left is on the right", "mae ↓ HU", "psnr ↑ dB", "sharpness → 1", "Wilcoxon", "Holm",
        "loss_weights.l1 100", "window_hu [-600, 1400]", "torch 2.6.0", "val_mae , best at epoch 2",
        "val_ssim , best at epoch 4",
    ):  # fmt: skip
        assert phrase in text


def test_few_cases_are_called_few(tmp_path):
    assert "n = 3 too small for p < 0.05 (at best 0.25)" in Outline(written(tmp_path, rows=make_rows(3))).text


def test_text_is_escaped(tmp_path):
    bad = "<b>x</b>"
    rows = [{**row, "case": bad if row["case"] == "case_0" else row["case"]} for row in make_rows()]
    page = written(tmp_path, rows=rows, panels=[make_panel(bad)], title=bad, notes=[bad], settings={bad: bad},
                   versions={bad: '"><i>'}, bundle=bad, mask_description=bad, reference=bad)  # fmt: skip
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert bad not in page
    assert '"><i>' not in page
    assert Outline(page).text.count(bad) >= 8


def test_best_mean_of_each_metric_is_marked(tmp_path):
    rows = [
        {"case": "a", "method": "model", "mae": 5.0, "psnr": 30.0, "bias": -2.0, "contrast": 1.0},
        {"case": "a", "method": "copy_input", "mae": 7.0, "psnr": 31.0, "bias": 1.0, "contrast": 2.0},
    ]
    cells = summary_cells(make_report(tmp_path, rows=rows))
    assert [cell.best for cell in cells["model"]] == [True, False, False, False]
    assert [cell.best for cell in cells["copy_input"]] == [False, True, True, False]
    assert (cells["model"][0].mean, cells["model"][0].std) == ("5.000", "")


def test_mean_and_std_have_the_same_decimals(tmp_path):
    rows = [{"case": str(index), "method": "model", "mae": value} for index, value in enumerate((40.0, 43.0))]
    cell = summary_cells(make_report(tmp_path, rows=rows))["model"][0]
    assert (cell.mean, cell.std, cell.n, cell.best) == ("41.50", "2.12", 2, False)  # 3 / sqrt 2; nothing to be best of


def test_rows_of_a_case_stand_together(tmp_path):
    keys = [("b", "model"), ("a", "model"), ("b", "copy_input")]
    rows = [{"case": case, "method": method, "mae": 1.0} for case, method in keys]
    table = per_case(make_report(tmp_path, rows=rows))
    assert [(row["case"], row["method"], row["span"]) for row in table] == [
        ("b", "model", 2), ("b", "copy_input", 0), ("a", "model", 1)
    ]  # fmt: skip


def test_report_without_panels_and_log(tmp_path):
    outline = Outline(written(tmp_path, panels=[], log_csv=None))
    assert not [tag for tag, _ in outline.tags if tag == "img"]
    assert "Training" not in outline.text


def test_nested_settings_have_dotted_names():
    settings = {"a": {"b": {"c": 1}, "d": "text"}, "e": [1, {"f": None}], "g": {}}
    assert flattened(settings) == {"a.b.c": "1", "a.d": "text", "e": '[1, {"f": null}]', "g": "{}"}


MEASURE = """<!DOCTYPE html><body>
<iframe id="page" style="border:0;width:{width}px;height:900px" srcdoc="{page}"></iframe>
<pre id="out"></pre><script>
onload = () => {{
  const page = document.getElementById("page").contentDocument, root = page.documentElement;
  const images = [...page.images], boxes = [...page.querySelectorAll(".scroll")];
  document.getElementById("out").textContent = JSON.stringify({{
    client: root.clientWidth, scroll: root.scrollWidth, height: root.scrollHeight,
    loaded: images.filter(image => image.complete && image.naturalWidth > 0).length,
    widest: Math.max(...images.map(image => image.getBoundingClientRect().right)),
    boxes: boxes.map(box => [box.clientWidth, box.scrollWidth]),
  }});
}};
</script></body>"""


def measured(folder, page, width):
    """What Chromium lays the page out to, in a frame of the given width in CSS pixels."""
    (folder / "measure.html").write_text(MEASURE.format(width=width, page=escape(page)), encoding="utf-8")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={folder / 'profile'}", "--window-size=1600,1000", "--virtual-time-budget=10000", "--dump-dom",
        (folder / "measure.html").as_uri(),
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    return json.loads(shown.split('<pre id="out">')[1].split("</pre>")[0])


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [1400, 400])
def test_browser_lays_the_page_out_without_sideways_scrolling(tmp_path, width):
    wide_name = "a_case_with_a_name_of_more_than_sixty_characters_without_any_blank"
    page = written(tmp_path, panels=[make_panel(), make_panel(wide_name)], settings={"dataset_dir": "/folder" * 30})
    layout = measured(tmp_path, page, width)
    assert layout["client"] > width - 20  # less a scroll bar
    assert layout["scroll"] <= layout["client"]
    assert layout["widest"] <= layout["client"]
    assert layout["loaded"] == 5
    assert layout["height"] > 1500
    # the tables that are wider than the page scroll by themselves
    assert all(inner <= layout["client"] for inner, _ in layout["boxes"])
    assert (max(outer for _, outer in layout["boxes"]) > layout["client"]) or width == 1400
