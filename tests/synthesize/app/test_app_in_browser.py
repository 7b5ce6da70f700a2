"""The app in a browser: scans through the whole way, views and their measures, refusal, cancelling, keyboard, zoom."""

from __future__ import annotations

import io
import os
import re
import signal
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import PIL.Image
import pydicom
import pytest
import torch
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
    opened.set_default_timeout(MOST_MS)  # a browser without a graphics card draws large volumes for long
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


def coarse(scan: Path, folder: Path) -> Path:
    """A real scan at half its resolution, which is synthesised and drawn in an eighth of the time."""
    image = nib.load(scan)
    values = np.asarray(image.dataobj)[::2, ::2, ::2]
    nib.save(nib.Nifti1Image(values, image.affine @ np.diag([2.0, 2.0, 2.0, 1.0])), folder / scan.name)
    return folder / scan.name


def coarse_series(archive: Path, folder: Path) -> Path:
    """The slices of an archive with every second row and column."""
    with zipfile.ZipFile(archive) as members:
        members.extractall(folder)
    for path in folder.glob("*.dcm"):
        slice_ = pydicom.dcmread(path)
        pixels = slice_.pixel_array[::2, ::2]
        slice_.Rows, slice_.Columns = pixels.shape
        slice_.PixelSpacing = [2 * each for each in slice_.PixelSpacing]
        slice_.PixelData = pixels.tobytes()
        slice_.save_as(path)
    return folder


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
    scan = coarse(DATA / "open_ms" / "patient07" / "t1.nii.gz", tmp_path)
    page.check("#uncertainty")
    page.uncheck("#refuse")
    started(page, [scan])
    wait_for(page, "t1.nii.gz", "done")
    looked_at(page)
    verdict = page.locator("#verdict").inner_text()
    assert "Verdict: refuse" in verdict
    assert verdict.count("looks skull-stripped: no bone can be predicted") == 1
    assert page.locator("#downloads").inner_text() == "Download JSON Download NIfTI"  # a refused case is never DICOM
    page.focus("#source")
    page.keyboard.press("ArrowRight")
    values = page.locator("#values")
    expect(values).to_contain_text(" HU", timeout=MOST_MS)
    before = values.inner_text().split(" mm")[0].split(", ")
    page.keyboard.press("PageUp")
    expect(values).to_contain_text(f", {float(before[2]) + 2:.1f} mm", timeout=MOST_MS)
    assert page.locator("#map-control").is_visible()
    for plane, layout in (("axial", "over"), ("render", "both")):
        page.select_option("#plane", plane)
        page.select_option("#layout", layout)
        assert page.locator("#right").is_visible() == (layout == "both")
    with page.expect_download() as download:
        page.get_by_text("Download NIfTI").click()
    assert download.value.suggested_filename == "t1_synthetic_ct.nii.gz"
    download.value.save_as(tmp_path / "ct.nii.gz")
    assert nib.load(tmp_path / "ct.nii.gz").shape == nib.load(scan).shape
    page.select_option("#plane", "axial")
    page.select_option("#mouse", "ellipse")
    dragged(page, "synthetic", 40, 60)
    expect(page.locator("#region .synthetic")).to_contain_text(" HU", timeout=MOST_MS)
    inside = np.flatnonzero(page.evaluate("() => Array.from(views[0].drawBitmap)"))
    for name, path in (("source", scan), ("synthetic", tmp_path / "ct.nii.gz")):
        values = canonical(path).ravel(order="F")[inside]
        said = page.locator(f"#region .{name}").inner_text()
        assert said.startswith(f"{name}: mean {values.mean():.1f}, SD {values.std():.1f}, ")
        bars = page.locator(f"#region .{name} + svg rect").evaluate_all(
            "all => all.map((each) => +each.getAttribute('height'))"
        )
        counts = np.histogram(values, bins=32, range=(values.min(), values.max()))[0]
        np.testing.assert_allclose(bars, 10 * counts / counts.max(), atol=10 / counts.max() + 1e-6)


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no scans at {DATA}")
def test_a_folder_of_dicom_becomes_dicom_and_a_ct_is_refused(page: Any, tmp_path: Path) -> None:
    for name in ("mr_t2_axial", "ct_head_gantry_tilt"):
        coarse_series(DATA / "dicom" / f"{name}.zip", tmp_path / name)
    page.get_by_text("Other settings").click()
    page.fill("#settings", "resample_tilt true")
    page.check(f"{BUNDLES}[value=mr2ct]")
    for name in ("ct_head_gantry_tilt", "mr_t2_axial"):
        page.set_input_files("#folder", tmp_path / name)
        page.click("#start")
        page.locator("#cases .name").get_by_text(f"{name}, mr2ct").wait_for(timeout=MOST_MS)
    wait_for(page, "ct_head_gantry_tilt", "failed")
    fault = page.locator("#cases .failed").inner_text()
    assert fault == "scan is a CT, this bundle needs an MR: pass an MR, or --accept_modality true"
    wait_for(page, "mr_t2_axial", "done")
    looked_at(page)
    with page.expect_download() as download:
        page.get_by_text("Download DICOM").click()
    assert download.value.suggested_filename == "mr_t2_axial_synthetic_ct.zip"
    download.value.save_as(tmp_path / "ct.zip")
    assert len(zipfile.ZipFile(tmp_path / "ct.zip").namelist()) == 56


def test_markup_in_a_name_is_text_and_a_case_is_cancelled_by_keyboard_alone(page: Any, phantom: Path) -> None:
    page.set_input_files("#file", [{"name": NAME, "mimeType": "application/gzip", "buffer": phantom.read_bytes()}])
    expect(page.locator("#selected")).to_have_text(NAME)
    expect(page.locator("#start")).to_be_enabled()
    page.focus(f"{BUNDLES}[value=mr2ct]")
    page.keyboard.press("Space")
    for _ in range(20):  # to the button that starts, by the tabulator alone
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.id") == "start":
            break
    page.keyboard.press("Enter")
    page.locator("#cases .cancel").wait_for()
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
    expect(page.locator("#cases .name")).to_have_text("head.nii.gz: ready")
    expect(page.locator("#values")).to_contain_text("The images cannot be shown", timeout=MOST_MS)


def test_mistakes_are_told_before_anything_is_started(page: Any, phantom: Path) -> None:
    page.click("#start")
    assert page.locator("#fault").inner_text() == "Choose a scan."
    page.set_input_files("#file", [{"name": "head.mhd", "mimeType": "text/plain", "buffer": b"x"}])
    expect(page.locator("#fault")).to_have_text("a .mhd file has its voxels in another file: save it as .mha")
    page.set_input_files("#file", [phantom])
    page.click("#start")
    expect(page.locator("#fault")).to_have_text("Choose a bundle.")
    assert {each.get_attribute("value") for each in page.locator(BUNDLES).all()} == {"ldct", "mr2ct", "pd2t2"}


def test_start_is_in_sight_and_weights_and_devices_are_those_that_are_there(page: Any) -> None:
    page.set_viewport_size({"width": 1400, "height": 900})
    for opened in (None, "Not usable here", "Other settings"):
        if opened is not None:
            page.get_by_text(opened).click()
        page.evaluate("() => window.scrollTo(0, 0)")
        box = page.locator("#start").bounding_box()
        assert box["y"] + box["height"] <= 900
    expect(page.locator("#device option")).to_have_count(2 + torch.cuda.device_count(), timeout=MOST_MS)
    about = {
        each.get_attribute("value"): each.evaluate("each => each.closest('.bundle').innerText")
        for each in page.locator(BUNDLES).all()
    }
    assert all("Shipped weights, " in each for each in about.values())
    assert "error on patients not known" in about["mr2ct"]


def canonical(path: Path) -> np.ndarray:
    image = nib.as_closest_canonical(nib.load(path))
    return np.asarray(image.dataobj, dtype=np.float64)


def chosen(page: Any, path: Path) -> None:
    page.set_input_files("#file", [path])
    looked_at(page)


def dragged(page: Any, canvas: str, right: float, down: float, button: str = "left") -> None:
    page.locator(f"#{canvas}").scroll_into_view_if_needed()
    box = page.locator(f"#{canvas}").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down(button=button)
    page.mouse.move(x + right, y + down, steps=4)
    page.mouse.up(button=button)


def shown_window(page: Any) -> tuple[float, float]:
    low, high = page.evaluate("() => [views[0].volumes[0].cal_min, views[0].volumes[0].cal_max]")
    typed = [float(page.input_value(f"#source-{part}")) for part in ("level", "width")]
    np.testing.assert_allclose(typed, [(low + high) / 2, high - low], rtol=1e-3)
    return low, high


def test_a_scan_is_shown_before_it_is_started_with_slice_numbers_and_a_thin_cross(page: Any, tmp_path: Path) -> None:
    values = np.zeros((40, 44, 30), np.float32)  # black, so that red is the cross
    values[0, 0, 0] = 1
    nib.save(nib.Nifti1Image(values, np.diag([2.0, 2.0, 5.0, 1.0])), tmp_path / "mr.nii.gz")
    chosen(page, tmp_path / "mr.nii.gz")
    assert page.locator("#cases .name").inner_text() == "mr.nii.gz: ready"
    assert [page.locator(each).is_visible() for each in ("#left", "#right", "#verdict")] == [True, False, False]
    expect(page.locator("#values")).to_contain_text("; axial 16 of 30, coronal 23 of 44, sagittal 21 of 40")
    page.focus("#source")
    page.keyboard.press("PageUp")
    expect(page.locator("#values")).to_contain_text("; axial 17 of 30, coronal 23 of 44, sagittal 21 of 40")
    page.select_option("#plane", "axial")
    page.wait_for_timeout(1000)
    picture = np.asarray(PIL.Image.open(io.BytesIO(page.locator("#source").screenshot())).convert("RGB")).astype(int)
    is_red = (picture[..., 0] > 100) & (picture[..., 1] < 60)
    rows = is_red[picture.shape[0] // 3 : picture.shape[0] // 3 + 20]  # above the horizontal line
    assert set(rows.sum(1)) <= {1, 2}


def test_the_window_follows_mouse_and_numbers_and_has_presets_by_modality(page: Any, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(100, 1100, (40, 40, 40)).astype(np.float32)
    for name, offset in (("mr", 0), ("ct", -1100)):
        nib.save(nib.Nifti1Image(noise + np.float32(offset), np.eye(4)), tmp_path / f"{name}.nii.gz")
    chosen(page, tmp_path / "mr.nii.gz")
    assert page.input_value("#source-window") == "auto"
    low, high = shown_window(page)
    np.testing.assert_allclose([low, high], np.percentile(noise, [2, 98]), atol=10)
    dragged(page, "source", 100, -20, button="right")  # 200 pixels are a width
    width = high - low
    expected = np.array([low, high]) - 0.1 * width + 0.25 * width * np.array([-1, 1])
    np.testing.assert_allclose(shown_window(page), expected, rtol=1e-3)
    page.select_option("#mouse", "window")
    dragged(page, "source", 0, 20)
    np.testing.assert_allclose(shown_window(page), expected + 0.15 * width, rtol=1e-3)
    page.fill("#source-level", "500")
    page.fill("#source-width", "300")
    assert shown_window(page) == (350, 650)
    page.select_option("#source-window", "full")
    np.testing.assert_allclose(shown_window(page), [noise.min(), noise.max()], atol=5)
    assert page.locator("#source-window option[value=brain]").is_disabled()
    page.locator(".remove").click()
    page.locator("#none").wait_for()
    chosen(page, tmp_path / "ct.nii.gz")
    assert page.input_value("#source-window") == "soft"
    for name, limits in (("brain", (0, 80)), ("bone", (-500, 1500)), ("soft", (-160, 240))):
        page.select_option("#source-window", name)
        assert shown_window(page) == limits


def test_a_region_has_the_mean_of_its_voxels_whatever_the_order_of_axes(page: Any, tmp_path: Path) -> None:
    index = np.indices((30, 36, 24))
    values = (10_000 * index[0] + 100 * index[1] + index[2]).astype(np.float32)  # of a voxel, its place
    turned = nib.Nifti1Image(values, np.eye(4)).as_reoriented(nib.orientations.axcodes2ornt("PSL").astype(int))
    nib.save(turned, tmp_path / "mr.nii.gz")
    np.testing.assert_array_equal(canonical(tmp_path / "mr.nii.gz"), values)
    chosen(page, tmp_path / "mr.nii.gz")
    page.select_option("#plane", "axial")
    page.select_option("#mouse", "rectangle")
    page.wait_for_timeout(500)
    for right in (60, 90):  # the second replaces the first
        dragged(page, "source", right, 50)
        page.wait_for_timeout(500)
    said = page.locator("#region .source").inner_text()
    mean, deviation, least, most = map(float, re.findall(r"-?[\d.]+", said))
    first, last = ((int(each) // 10_000, int(each) // 100 % 100, int(each) % 100) for each in (least, most))
    box = values[tuple(slice(low, high + 1) for low, high in zip(first, last, strict=True))].astype(np.float64)
    assert first[2] == last[2] == 12  # of the axial slice
    assert min(box.shape[:2]) > 3
    assert (mean, deviation) == (pytest.approx(box.mean(), abs=0.06), pytest.approx(box.std(), abs=0.06))
    extent = " x ".join(map(str, box.shape))
    assert page.locator("#region p").first.inner_text() == f"Region: {box.size} voxels within {extent}"
