"""The benchmark of peak memory at toy size."""

from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tools.bench import memory
from tools.bench.inference import BUNDLES


def test_every_translation_bundle_has_its_sources() -> None:
    assert {name: memory.sources_of(name) for name in BUNDLES} == {
        "cect2ct_rescyclegan": ["cect"],
        "ldct_wgan_vgg": ["ldct"],
        "mr2ct_pix2pix": ["mr"],
        "mri2pet_sketcher_refiner": ["mtr", "fa", "rd", "ad"],
        "mri_dagan": ["zero_filled"],
        "pd2t2_dcgan_acm": ["pd"],
    }


def test_the_limit_of_several_sources_is_beside_their_bytes() -> None:
    assert memory.limit_gb((512, 512, 800), 1) == 4
    assert memory.limit_gb((500, 500, 1000), 4) == 3 + 4


def test_a_source_is_a_ball_in_air(tmp_path: Path) -> None:
    memory.write_source(tmp_path / "a.nii.gz", (11, 12, 13), 2.0, 0.001)
    image = nib.load(tmp_path / "a.nii.gz")
    values = np.asarray(image.dataobj)
    assert values.shape == (11, 12, 13)
    assert image.get_data_dtype() == np.int16
    assert values[0, 0].max() == 0
    assert 0.6 <= values[5, 6, 6] <= 2


@pytest.mark.slow
def test_a_row_has_the_peak_of_the_command(tmp_path: Path) -> None:
    row = memory.row("mri2pet_sketcher_refiner", (40, 44, 36), tmp_path)
    assert re.fullmatch(r"peak [\d.]+ GB of [\d.]+; needs .*; exit 0", row.note)
    assert not list(tmp_path.iterdir())
