"""The app in a browser: scans through the whole way, refusal, cancelling, keyboard, zoom, and what is left."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import pytest
from chromium_browser import browser  # noqa: F401
from playwright.sync_api import expect

from common.simulation.mr_ct_pairs import write_mr2ct

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
BUNDLES = "input[name=bundle]:enabled"
NAME = "<img src=x onerror=document.title=1>.nii.gz"
MOST_MS = 400_000
"""How long a case may take on a busy machine, in milliseconds."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "data"
    write_mr2ct(folder, cases=1, spacing=4.0, seed=0)
    return next(folder.glob("*/mr.nii.gz"))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """That of a server, which is ended as Ctrl-C does and leaves nothing."""
    uploads = tmp_path_factory.mktemp("uploads")
    command = [sys.executable, "-W", "ignore", "-m", "medical_image_synthesis", "app", "--no_browser"]
    environment = {**os.environ, "TMPDIR": str(uploads)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
            (folder,) = uploads.glob("synthesize-app-*")
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            server.send_signal(signal.SIGINT)
            assert server.wait(60) == 0
        finally:
            server.kill()
    assert list(uploads.glob("synthesize-app-*")) == []


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:  # noqa: F811
    """A page of the app without cases, whose scripts have thrown nothing at the end."""
    opened = browser.new_page(viewport={"width": 900, "height": 700})
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.goto(address)
    assert "token" not in opened.url
    opened.locator(BUNDLES).first.wait_for()
    yield opened
    for button in opened.locator(".remove").all():
        button.click()
    opened.locator("#none").wait_for()
    opened.close()
    assert faults == []


def started(page: Any, files: list[Any]) -> None:
    page.check(f"{BUNDLES}[value=mr2ct]")
    page.set_input_files("#file", files)
    page.click("#start")


def wait_for(page: Any, name: str, status: str) -> None:
    page.locator("#cases .name").get_by_text(f"{name}, mr2ct: {status}", exact=True).wait_for(timeout=MOST_MS)


def looked_at(page: Any) -> None:
    page.locator("#views[data-shown]").wait_for(state="attached", timeout=MOST_MS)


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no scans at {DATA}")
def test_a_real_t1_is_synthesised_shown_and_downloaded(page: Any, tmp_path: Path) -> None:
    scan = DATA / "open_ms" / "patient07" / "t1.nii.gz"
    page.check("#uncertainty")
    started(page, [scan])
    wait_for(page, "t1.nii.gz", "done")
    looked_at(page)
    verdict = page.locator("#verdict").inner_text()
    assert "Verdict: review" in verdict
    assert "looks skull-stripped: no bone can be predicted" in verdict
    page.focus("#source")
    page.keyboard.press("ArrowRight")
    values = page.locator("#values")
    expect(values).to_contain_text(" HU", timeout=MOST_MS)
    before = values.inner_text().split(" mm")[0].split(", ")
    page.keyboard.press("PageUp")
    expect(values).to_contain_text(f", {float(before[2]) + 1:.1f} mm", timeout=MOST_MS)
    assert page.locator("#map-control").is_visible()
    for plane, layout in (("axial", "over"), ("render", "both")):
        page.select_option("#plane", plane)
        page.select_option("#layout", layout)
        assert page.locator("#right").is_visible() == (layout == "both")
    with page.expect_download() as download:
        page.get_by_text("Download NIfTI").click()
    download.value.save_as(tmp_path / "ct.nii.gz")
    assert nib.load(tmp_path / "ct.nii.gz").shape == nib.load(scan).shape


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no scans at {DATA}")
def test_a_folder_of_dicom_becomes_dicom_and_a_ct_is_refused(page: Any, tmp_path: Path) -> None:
    for name in ("mr_t2_axial", "ct_head_gantry_tilt"):
        with zipfile.ZipFile(DATA / "dicom" / f"{name}.zip") as archive:
            archive.extractall(tmp_path / name)
    page.get_by_text("Other settings").click()
    page.fill("#settings", "resample_tilt true")
    page.select_option("#output_format", "dicom")
    page.check(f"{BUNDLES}[value=mr2ct]")
    for name in ("ct_head_gantry_tilt", "mr_t2_axial"):
        page.set_input_files("#folder", tmp_path / name)
        page.click("#start")
        page.locator("#cases .name").get_by_text(name).wait_for()
    wait_for(page, "ct_head_gantry_tilt", "failed")
    fault = page.locator("#cases .failed").inner_text()
    assert fault == "scan is a CT, this bundle needs an MR: pass an MR, or --accept_modality true"
    wait_for(page, "mr_t2_axial", "done")
    looked_at(page)
    with page.expect_download() as download:
        page.get_by_text("Download DICOM").click()
    download.value.save_as(tmp_path / "ct.zip")
    assert len(zipfile.ZipFile(tmp_path / "ct.zip").namelist()) == 56


def test_markup_in_a_name_is_text_and_a_case_is_cancelled_by_keyboard_alone(page: Any, phantom: Path) -> None:
    page.set_input_files("#file", [{"name": NAME, "mimeType": "application/gzip", "buffer": phantom.read_bytes()}])
    assert page.locator("#selected").inner_text() == NAME
    page.focus(f"{BUNDLES}[value=mr2ct]")
    page.keyboard.press("Space")
    for _ in range(20):  # to the button that starts, by the tabulator alone
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.id") == "start":
            break
    page.keyboard.press("Enter")
    page.locator("#cases .name").wait_for()
    page.locator("#cases .cancel").focus()
    page.keyboard.press("Enter")
    wait_for(page, NAME, "cancelled")
    assert page.title() == "Medical image synthesis"
    assert page.locator("#cases img").count() == 0


def test_two_pages_show_the_same_cases_and_nothing_overflows_at_twice_the_size(
    page: Any,
    browser: Any,  # noqa: F811
    address: str,
    phantom: Path,
) -> None:
    other = browser.new_page(viewport={"width": 450, "height": 350}, color_scheme="dark")  # 200 % of a small window
    other.goto(address)
    started(page, [phantom])
    other.locator("#cases .name").get_by_text("mr.nii.gz, mr2ct").wait_for()
    width, room = other.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= room
    assert other.locator("#banner").is_visible()
    other.close()
    page.locator("#cases .cancel, #cases .show").locator("visible=true").first.wait_for()


def test_a_dropped_file_is_chosen(page: Any) -> None:
    page.evaluate("""() => {
        const transfer = new DataTransfer();
        transfer.items.add(new File(["x"], "head.nii.gz"));
        document.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
    }""")
    expect(page.locator("#selected")).to_have_text("head.nii.gz")


def test_mistakes_are_told_before_anything_is_sent(page: Any) -> None:
    page.click("#start")
    assert page.locator("#fault").inner_text() == "Choose a scan."
    page.set_input_files("#file", [{"name": "head.mhd", "mimeType": "text/plain", "buffer": b"x"}])
    page.click("#start")
    expect(page.locator("#fault")).to_have_text("Choose a bundle.")
    page.check(f"{BUNDLES}[value=mr2ct]")
    page.click("#start")
    expect(page.locator("#fault")).to_have_text("a .mhd file has its voxels in another file: save it as .mha")
    assert {each.get_attribute("value") for each in page.locator(BUNDLES).all()} == {"ldct", "mr2ct", "pd2t2"}
