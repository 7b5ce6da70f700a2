"""The page in Chromium: keys, breaks, and the CSV that it saves, which ``score`` reads."""

import json

import pytest
from reading_folders import page_data, write_heads, write_patches

from common.reader_study.answers import read_answers
from medical_image_synthesis.command import main

READY = "#reading[aria-busy=false]"
"""The page when the images of a trial are shown, from which moment keys answer it."""


class Reading:
    """A page that a reader has opened."""

    def __init__(self, browser, path):
        self.context = browser.new_context(viewport={"width": 1200, "height": 800}, accept_downloads=True)
        self.path, self.messages, self.requests = path, [], []
        self.open()

    def open(self):
        """Open the page in a new tab of the same browser."""
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(self.path.as_uri())

    def begin(self, name):
        self.page.fill("#reader", name)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector(READY)

    def answer(self, *keys):
        """Press keys until the page shows the next trial."""
        before = self.progress()
        self.page.wait_for_selector(READY)
        for key in keys:
            self.page.keyboard.press(key)
        moved = "before => progress.textContent !== before || !end.hidden"
        self.page.wait_for_function(moved, arg=before)

    def progress(self):
        return self.page.locator("#progress").inner_text()

    def pressed(self):
        return self.page.locator("#choices button[aria-pressed=true]").all_inner_texts()

    def save(self, path):
        with self.page.expect_download() as download:
            self.page.click("#save")
        download.value.save_as(path)
        return path


@pytest.fixture
def opened(browser, tmp_path):
    """A function that makes a study and opens its page; the key comes with it."""
    readings = []

    def make(folders, *more):
        assert main(["reader-study", "make", "--real", str(folders[0]), "--synthetic", str(folders[1]), "--seed", "5",
                     "--out", str(tmp_path / "study"), *more]) == 0  # fmt: skip
        readings.append(Reading(browser, tmp_path / "study" / "for_readers" / "page.html"))
        return readings[-1], json.loads((tmp_path / "study" / "key.json").read_text())

    yield make
    for reading in readings:
        assert reading.messages == []
        assert {url for url in reading.requests if not url.startswith(("data:", "blob:"))} == {reading.path.as_uri()}
        reading.context.close()


def test_pairs_are_answered_by_keys(opened, tmp_path, capsys):
    reading, key = opened(write_heads(tmp_path, 4))
    reading.begin('Dr. "A", first')
    assert reading.progress() == "1 of 4"
    assert reading.page.locator("#images img").count() == 2
    reading.page.keyboard.press(" ")  # nothing is chosen yet
    reading.page.keyboard.press("3")  # there is no such choice
    assert (reading.progress(), reading.pressed()) == ("1 of 4", [])
    reading.page.keyboard.press("1")
    assert reading.pressed() == ["1 left"]
    reading.answer("2", " ")
    reading.answer("ArrowLeft", "Enter")
    reading.answer("ArrowRight", " ")
    reading.page.wait_for_selector(READY)
    reading.page.get_by_role("button", name="left").click()
    reading.answer(" ")
    path = reading.save(tmp_path / "a.csv")
    found = read_answers([path], key)
    assert [one.given for one in found] == ["right", "left", "right", "left"]
    assert {one.reader for one in found} == {'Dr. "A", first'}
    assert all(one.seconds > 0 for one in found)
    assert main(["reader-study", "score", "--key", str(tmp_path / "study" / "key.json"), "--answers", str(path)]) == 0
    assert "accuracy" in capsys.readouterr().out


def test_a_name_that_a_spreadsheet_would_compute(opened, tmp_path):
    reading, key = opened(write_heads(tmp_path, 3))
    reading.begin("=1+1")
    for _ in range(3):
        reading.answer("1", " ")
    path = reading.save(tmp_path / "a.csv")
    assert ",'=1+1," in path.read_text()
    assert {one.reader for one in read_answers([path], key)} == {"=1+1"}


def test_a_reader_goes_on_after_a_break(opened, tmp_path):
    reading, key = opened(write_heads(tmp_path, 4), "--confidence")
    reading.begin("B")
    reading.answer("1", "5", " ")
    reading.answer("2", "1", "3", " ")
    reading.page.close()
    reading.open()
    reading.begin("C")
    assert reading.progress() == "1 of 4"
    reading.page.close()
    reading.open()
    reading.begin("B")
    assert reading.progress() == "3 of 4"
    reading.answer("2", "Backspace", "1", "2", " ")
    reading.answer("1", "4", " ")
    found = read_answers([reading.save(tmp_path / "b.csv")], key)
    assert [(one.given, one.confidence) for one in found] == [("left", 5), ("right", 3), ("left", 2), ("left", 4)]


def test_images_are_shown_in_their_order_and_size(opened, tmp_path):
    reading, _ = opened(write_heads(tmp_path, 3), "--plane", "coronal")
    reading.begin("A")
    data, _ = page_data(reading.path)
    boxes = [image.bounding_box() for image in reading.page.locator("#images img").all()]
    assert boxes[0]["x"] < boxes[1]["x"]
    assert boxes[0]["width"] == boxes[1]["width"] == 6 * 14
    assert {round(box["width"] / box["height"], 2) for box in boxes} == {round(data["trials"][0]["aspect"], 2)}
    sources = reading.page.eval_on_selector_all("#images img", "images => images.map(image => image.src)")
    assert sources == data["trials"][0]["images"]
    assert reading.page.evaluate("() => document.documentElement.scrollHeight") <= 800


def test_classes_have_a_key_each(opened, tmp_path):
    folders = write_patches(tmp_path, 1, 1)
    reading, key = opened(folders, "--design", "single", "--question", "class")
    reading.begin("A")
    for k in range(6):
        reading.answer(str(k % 3 + 1), " ")
    found = read_answers([reading.save(tmp_path / "a.csv")], key)
    assert [one.given for one in found] == ["cyst", "hemangioma", "metastasis"] * 2
