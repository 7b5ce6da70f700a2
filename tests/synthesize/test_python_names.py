"""What ``import medical_image_synthesis`` offers, and how its mistakes are worded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import medical_image_synthesis as mis
from common.errors import ConfigError
from medical_image_synthesis.quiet import in_python
from medical_image_synthesis.volumes import Volume


def test_what_is_no_bundle_or_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.pt").touch()
    for given, fault in (
        (3, "^3 is no bundle"),
        (tmp_path, f"^{tmp_path} is the folder of a run, no bundle: .* output"),
    ):
        with pytest.raises(ConfigError, match=fault):
            mis.load(given)
    with pytest.raises(ConfigError, match="^'mr2ct' is no model: pass what load gives"):
        next(mis.batch("mr2ct", tmp_path))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("pass --refuse false, or --inferer::overlap 0.5", "pass refuse=False, or inferer__overlap=0.5"),
        ("choose one by --series UID, or join by --series all", 'choose one by series=UID, or join by series="all"'),
        (
            "train first, synthesize train mri2pet --dataset_dir DATA, or pass --weights FILE",
            "train first, synthesize train mri2pet --dataset_dir DATA, or pass weights=FILE",
        ),
    ],
)
def test_options_become_arguments_except_those_of_a_command(message: str, wanted: str) -> None:
    assert in_python(message) == wanted


def test_a_volume_shows_no_values() -> None:
    volume = Volume(np.zeros((2, 3, 4), np.float32), np.eye(4), "HU", "a")
    assert repr(volume) == "<volume a: 2 x 3 x 4, HU>"


def test_weights_without_a_calibration_give_no_intervals() -> None:
    """A model that is loaded can do what it was loaded for."""
    with pytest.raises(mis.UserError, match=r"^no calibration at .*: calibrate the weights by synthesize calibrate"):
        mis.load("ldct", device="cpu", uncertainty=True)
