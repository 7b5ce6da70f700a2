"""The page in Chromium: keys, a break, and the CSV that it saves, which ``score`` reads."""

from reading_folders import write_heads

from common.reader_study.scores import read_answers, read_key
from medical_image_synthesis.command import main


def test_a_reader_answers_with_a_break(browser, tmp_path):
    real, synthetic = write_heads(tmp_path, 4)
    given = ["--real", str(real), "--synthetic", str(synthetic), "--out", str(tmp_path), "--seed", "5"]
    assert main(["reader-study", "make", *given]) == 0
    address, seen = (tmp_path / "for_readers" / "page.html").as_uri(), []
    context = browser.new_context(viewport={"width": 1200, "height": 800}, accept_downloads=True)
    context.on("console", lambda message: seen.append(message.text))
    context.on("weberror", lambda error: seen.append(str(error.error)))
    context.on("request", lambda request: seen.append(request.url))

    def begin(*names):
        page = context.new_page()
        page.goto(address)
        for name in names:
            page.fill("#reader", name)
            page.keyboard.press("Enter")
        page.wait_for_selector("[aria-busy=false]")
        return page

    def answer(page, *keys):
        page.wait_for_selector("[aria-busy=false]")
        before = page.inner_text("#progress")
        for key in keys:
            page.keyboard.press(key)
        page.wait_for_function("before => progress.textContent !== before || !end.hidden", arg=before)

    page = begin("=1+1", "Dr. A")  # the first would be computed by a spreadsheet
    assert page.eval_on_selector_all("#images img", "all => all.map(one => [one.width, one.height])") == [[84, 96]] * 2
    answer(page, " ", "3", "Enter", "1", "2", " ")  # nothing is chosen at first, and there is no third choice
    page.close()
    page = begin("Dr. A")
    assert page.inner_text("#progress") == "2 of 4"
    answer(page, "1", "Enter")
    page.wait_for_selector("[aria-busy=false]")
    page.get_by_role("button", name="right").click()
    answer(page, " ")
    answer(page, "1", " ")
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "a.csv")
    found = read_answers([tmp_path / "a.csv"], *read_key(tmp_path / "key.json"))
    assert found["answer"].tolist() == ["right", "left", "right", "left"]
    assert ({*found["reader"]}, found["seconds"].min() > 0) == ({"Dr. A"}, True)
    assert {text for text in seen if not text.startswith(("data:", "blob:"))} == {address}  # no request, no message
