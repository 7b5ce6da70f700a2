"""The viewer in Chromium: what its canvases show after sliders, keys and presses, and the page without JavaScript."""

import numpy as np
import pytest
from report_pages import make_rows, written

from common.evaluation.report import Panel

SHAPE = (20, 24, 22)
WHITE, RED, GREY = [247, 247, 247], [103, 0, 31], [226, 230, 234]


def steps_panel(case="case_0", shift=30.0, truth=True):
    """Truth 2 + 3 z HU, synthetic ``shift`` higher where x < 10, mask without the first two planes of y."""
    x, y, z = np.indices(SHAPE)
    values = 2.0 + 3 * z
    return Panel(
        case=case, method="model", source=1000.0 + x, synthetic=values + shift * (x < 10),
        mask=(y > 1).astype(np.uint8), truth=values if truth else None, spacing=(1.0, 1.0, 1.0),
        source_unit="a.u.", unit="HU", window=(-500, 500),
        affine=np.diag([1.0, 1, 1, 1]),
    )  # fmt: skip


def grey(value, low, high):
    return [int(np.floor(255 * (value - low) / (high - low) + 0.5))] * 3


class Viewer:
    """A page in a browser."""

    def __init__(self, browser, path, width=1200, **context):
        self.page = browser.new_context(viewport={"width": width, "height": 900}, **context).new_page()
        self.messages, self.requests = [], []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        if context.get("java_script_enabled", True):
            self.page.wait_for_selector("#viewer:not([hidden])", timeout=30_000)

    def slide(self, name, value):
        self.page.locator(f"#{name}").fill(str(value))

    def slice(self, name):
        return int(self.page.locator(f"#slice-{name}").input_value())

    def pixel(self, plane, u, v):
        script = """([n, u, v]) => {
          const canvas = document.querySelectorAll('.stage canvas')[n];
          const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d');
          copy.drawImage(canvas, 0, 0);
          return [...copy.getImageData(u, v, 1, 1).data];
        }"""
        *rgb, opacity = self.page.evaluate(script, [("axial", "coronal", "sagittal").index(plane), u, v])
        assert opacity == 255
        return rgb

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def box(self):
        """Place of the axial plane in the window."""
        stage = self.page.locator(".stage").first
        stage.scroll_into_view_if_needed()
        return stage.bounding_box()

    def focus(self, plane):
        self.page.locator(".stage").nth(("axial", "coronal", "sagittal").index(plane)).focus()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    written(folder, panels=[steps_panel()], rows=make_rows(7))
    return folder / "report.html"


@pytest.fixture
def viewer(report, browser):
    opened = Viewer(browser, report)
    yield opened
    assert opened.messages == []
    assert opened.requests == [report.as_uri()]
    opened.page.context.close()


def test_slider_moves_the_slice(viewer):
    viewer.page.locator("#other").select_option("")
    viewer.page.get_by_text("Truth", exact=True).locator("visible=true").first.click()
    for z in (5, 19):
        viewer.slide("slice-axial", z)
        assert viewer.pixel("axial", 3, 3) == grey(2 + 3 * z, 0, 80)
    assert viewer.pixel("coronal", 3, 21) == grey(2, 0, 80)  # superior is at the top
    assert viewer.page.locator(".plane label").first.inner_text().split() == ["Axial", "20", "of", "22"]


def test_difference_is_masked_and_in_its_range(viewer):
    viewer.page.locator("#other").select_option("")
    viewer.focus("axial")
    viewer.press("d")
    assert viewer.pixel("axial", 3, 3) == WHITE
    assert viewer.pixel("axial", 15, 3) == RED  # x = 4: 30 HU, the end of the range
    assert viewer.pixel("axial", 15, 23) == GREY  # y = 0 is outside the mask
    assert viewer.page.locator("#low").inner_text() == "−30.0"
    assert viewer.page.locator("#high").inner_text() == "30.0 HU (Synthetic − truth)"


def test_a_click_moves_the_other_planes_and_the_readout(viewer):
    viewer.slide("slice-axial", 10)
    viewer.slide("swipe", 0)
    box = viewer.box()
    viewer.page.mouse.click(box["x"] + 15.5 * box["width"] / 20, box["y"] + 3.5 * box["height"] / 24)
    assert (viewer.slice("sagittal"), viewer.slice("coronal"), viewer.slice("axial")) == (4, 20, 10)
    told = viewer.page.locator("#readout").inner_text()
    assert told.startswith("At the cross (4 mm right, 20 mm anterior, 10 mm superior): Source 1004 a.u.")
    assert told.endswith("Synthetic 62.0 HU, Truth 32.0 HU, Synthetic − truth 30.0 HU")


def test_cases_are_chosen_and_the_largest_error_is_found(tmp_path, browser):
    second = steps_panel("case_1", shift=0)
    second.synthetic[15:18, 10:13, 5:8] += 150
    rows = [{"case": name, "method": "model", "mae": mae} for name, mae in (("case_0", 9.0), ("case_1", 1.0))]
    written(tmp_path, panels=[second, steps_panel()], rows=rows)
    viewer = Viewer(browser, tmp_path / "report.html")
    assert (
        viewer.page.locator("#case option:checked")
        .inner_text()
        .startswith("case_0 (worst) Mean absolute error 9.000 HU")
    )
    viewer.focus("axial")
    viewer.press("n")
    viewer.page.get_by_text("Best case.").wait_for()
    places = ("sagittal", "coronal", "axial")
    assert [viewer.slice(name) for name in places] == [16, 11, 6]
    viewer.press("Home", "e")
    assert viewer.slice("axial") == 6
    assert not viewer.page.locator(".ring").first.is_hidden()
    viewer.press("p")
    viewer.page.get_by_text("Worst case.").wait_for()
    viewer.page.context.close()


def test_everything_is_reached_by_the_keyboard_and_has_a_name(viewer):
    viewer.page.locator("#case").focus()
    reached = []
    for _ in range(16):
        script = "() => { const e = document.activeElement; return e.id || e.name || e.className; }"
        reached.append(viewer.page.evaluate(script))
        viewer.press("Tab")
    assert [name for name in reached if name in ("presets", "images-shown", "other", "range", "jump", "swipe")] == [
        "presets", "images-shown", "other", "range", "jump", "swipe"
    ]  # fmt: skip
    assert reached.count("stage") == 3
    unnamed = """() => [...document.querySelectorAll('#viewer input, #viewer select')]
        .filter(e => !e.labels.length || !e.labels[0].textContent.trim()).map(e => e.id)"""
    assert viewer.page.evaluate(unnamed) == []


def test_without_javascript_the_static_figures_are_there(report, browser):
    viewer = Viewer(browser, report, java_script_enabled=False)
    image = viewer.page.locator("#figures img")
    assert image.is_visible()
    assert image.bounding_box()["width"] > 300
    assert not viewer.page.locator("#viewer").is_visible()
    assert viewer.page.locator("#settings").is_visible()
    viewer.page.context.close()
