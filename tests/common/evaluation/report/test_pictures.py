import base64

from common.evaluation.report import Picture, Report, summarise, write_report

ROWS = [{"case": "a", "method": "model", "kid": 0.5}, {"case": "a", "method": "noise", "kid": 2.5}]


def page(tmp_path, *pictures):
    report = Report(
        title="t", bundle="b", version="1", unit="HU", value_range=(0, 1), mask_description="whole patches",
        rows=ROWS, summary=summarise(ROWS), pictures=pictures,
    )  # fmt: skip
    write_report(tmp_path / "report.html", report)
    return (tmp_path / "report.html").read_text()


def test_pictures_are_embedded_with_title_and_caption(tmp_path):
    made = page(tmp_path, Picture("Samples <1>", b"\x89PNG 1", "From above"), Picture("Second", b"\x89PNG 2", "c"))
    for png in (b"\x89PNG 1", b"\x89PNG 2"):
        assert f'src="data:image/png;base64,{base64.b64encode(png).decode()}"' in made
    assert "<h3>Samples &lt;1&gt;</h3>" in made
    assert "<figcaption>From above</figcaption>" in made
    assert made.index("Samples") < made.index("<h3>Second</h3>")
    assert '<a href="#pictures">Pictures</a>' in made


def test_without_pictures_there_is_no_section_for_them(tmp_path):
    assert "Pictures" not in page(tmp_path)


def test_the_lower_kid_is_the_best(tmp_path):
    assert '<span class="best">0.5000</span>' in page(tmp_path)
