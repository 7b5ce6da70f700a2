import dataclasses

import numpy as np
from PIL import Image

from common.evaluation.report import ExtraImage
from common.evaluation.report.panels import MAX_BYTES, columns, panel_png, with_palette


def test_difference_range_is_symmetric_and_in_the_unit(panel):
    *_, difference = columns(panel)
    assert difference.title == "Synthetic − truth"
    assert difference.low == -difference.high
    assert 30 < difference.high <= 40
    assert difference.unit == "HU"
    *_, difference = columns(panel, limit=75.0)
    assert (difference.low, difference.high) == (-75.0, 75.0)


def test_columns_and_their_windows(panel):
    residual = ExtraImage("Residual", np.linspace(-2, 1, 60).reshape(3, 4, 5), "HU")
    shown = columns(dataclasses.replace(panel, extras=[residual], source_window=(5, 50)))
    assert [column.title for column in shown] == ["Source", "Synthetic", "Truth", "Synthetic − truth", "Residual"]
    assert [(column.low, column.high) for column in shown[:3]] == [(5, 50), (0, 200), (0, 200)]
    assert shown[4].low == -shown[4].high < -1
    unpaired = columns(dataclasses.replace(panel, truth=None))
    assert [column.title for column in unpaired] == ["Source", "Synthetic"]


def test_noise_still_fits_into_250_kb(panel):
    noise = np.random.default_rng(0).normal(100, 40, (160, 160, 160))
    arrays = {"source": noise, "synthetic": noise[::-1], "truth": noise[:, ::-1], "mask": noise > -1e9}
    png = panel_png(dataclasses.replace(panel, spacing=(1.0, 1.0, 1.0), **arrays))
    assert png.startswith(b"\x89PNG")
    assert 50_000 < len(png) <= MAX_BYTES


def test_palette_keeps_black_white_and_the_ends_of_the_colour_map():
    pixels = np.array([[[0, 0, 0], [255, 255, 255], [5, 48, 97], [103, 0, 31]]], np.uint8)
    assert np.array_equal(np.asarray(with_palette(Image.fromarray(pixels)).convert("RGB")), pixels)
