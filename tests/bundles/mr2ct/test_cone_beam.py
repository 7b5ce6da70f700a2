"""Cone-beam CT of a cylinder of water: what scatter, hardening and truncation do to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bundle_commands import Bundle
from mr2ct_pix2pix.cone_beam import OUTSIDE_HU, ConeBeam, _extended

from common.config.start import read_config
from common.raw_settings import settings_of
from common.weights import info

PIXEL = 3.0
PLACES = np.arange(81) - 40
RADIUS = np.hypot(PLACES[:, None], PLACES) * PIXEL
WATER = np.where(RADIUS < 90, 0.0, -1000.0)[..., None].repeat(2, 2)
"""A cylinder of 180 mm."""


def rings(volume: np.ndarray, *limits: tuple[float, float]) -> list[float]:
    """Means of the first slice between distances from the middle in mm."""
    return [float(volume[..., 0][(low <= RADIUS) & (high > RADIUS)].mean()) for low, high in limits]


def scanned(**settings: float) -> np.ndarray:
    return ConeBeam(photons=1e8, views=90, **settings)(WATER, [PIXEL] * 3, np.random.default_rng(0))


def test_without_an_effect_the_ct_stays() -> None:
    np.testing.assert_allclose(scanned(scatter=0, hardening=0), WATER, atol=2)


@pytest.mark.parametrize("settings", [{"scatter": 0.05, "hardening": 0}, {"scatter": 0, "hardening": 0.005}])
def test_scatter_and_hardening_darken_the_middle_more_than_the_rim(settings: dict[str, float]) -> None:
    middle, rim = rings(scanned(**settings), (0, 15), (75, 84))
    assert middle < rim - 8
    assert rim < 0
    assert rings(scanned(**{name: 2 * value for name, value in settings.items()}), (0, 15))[0] < 1.5 * middle


def test_a_truncated_field_has_a_bright_rim_and_nothing_beyond() -> None:
    made = scanned(scatter=0, hardening=0, field_mm=120)
    middle, rim = rings(made, (0, 15), (50, 57))
    assert 0 < middle < rim
    assert (made[RADIUS > 60] == OUTSIDE_HU).all()
    assert made[RADIUS < 57].min() > -100


def test_rays_beyond_the_panel_fade_from_the_last_by_a_cosine() -> None:
    integrals = np.array([9.0, 9, 2, 5, 4, 9, 9])[:, None]
    # the middle is ray 3, one to each side is measured; then a half and the end of the cosine squared
    assert _extended(integrals, 1)[:, 0].tolist() == pytest.approx([0, 1, 2, 5, 4, 2, 0], abs=1e-12)
    np.testing.assert_array_equal(_extended(integrals, 3), integrals)


def test_weights_of_the_overlay_take_ct_instead_of_mr(tmp_path: Path) -> None:
    configs = Bundle("mr2ct_pix2pix").configs
    parser = read_config([configs / "train.yaml", configs / "cbct2ct.yaml"])
    weights = tmp_path / "model.pt"
    info.save({}, weights, info.described(settings_of(parser), "mr2ct_pix2pix"))
    (volume := tmp_path / "scan.nii").touch()
    inference = read_config(configs / "inference.yaml", weights=str(weights), dataset_dir=str(volume))
    assert inference.get_parsed_content("data") == [{"case": "scan", "image": str(volume), "source_modality": "CT"}]
