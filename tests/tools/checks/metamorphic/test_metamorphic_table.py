"""The metamorphic table: differences by hand, what holds and what does not, what the command prints and returns."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tools.checks.metamorphic import __main__ as command
from tools.checks.metamorphic.copies import Copy, stored
from tools.checks.metamorphic.runs import inference_settings, stitching, training_settings
from tools.checks.metamorphic.sources import Channel, base_affine
from tools.checks.metamorphic.table import COMPUTED, SPACING, STORED, InvarianceRow, compared, shown
from tools.repository import bundle_names


def row(**changes) -> InvarianceRow:
    return InvarianceRow(STORED, "flipped", "HU", 0.05, 0.01, 1e-6, 0.1)._replace(**changes)


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"largest": 0.1}, True),
        ({"largest": 0.11}, False),
        ({"largest": math.nan}, False),
        ({"places": 0.002}, False),
        ({"places": math.nan}, False),
    ],
)
def test_values_and_places_have_tolerances(changes, holds):
    assert row(**changes).holds is holds


def test_differences_are_of_the_same_places():
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    copy = Copy("test", (1, 2, 0), (2,))
    channel, affine = stored(copy, Channel("mr", values, 1.0))
    made = channel.values.copy()
    made[0, 0, 0] += 12  # one of 24 voxels
    assert compared((made, affine), (values, base_affine()), copy) == pytest.approx((12, 0.5, 0), abs=1e-9)


def test_each_bundle_has_a_column_and_too_large_a_difference_a_star():
    rows = {
        "one": [row(), row(family=SPACING, name="oblique", largest=808.128, mean=12.01)],
        "two": [row(unit="DVR"), row(family=COMPUTED, name="tiles", largest=900.0, tolerance=1000.0)],
    }
    assert shown(rows).splitlines() == [
        "| stored otherwise | one (HU) | two (DVR) |",
        "|---|---|---|",
        "| flipped | 0.05 (0.01) | 0.05 (0.01) |",
        "",
        "| stored otherwise, --spacing | one (HU) | two (DVR) |",
        "|---|---|---|",
        "| oblique | 8.1e+02 (12) * | - |",
        "",
        "| computed otherwise | one (HU) | two (DVR) |",
        "|---|---|---|",
        "| tiles | - | 9e+02 (0.01) |",
    ]


@pytest.mark.parametrize(("largest", "code"), [(0.0, 0), (5.0, 1)])
def test_the_command_fails_where_a_voxel_moved(monkeypatch, capsys, largest, code):
    asked = []
    monkeypatch.setattr(command, "rows_of", lambda bundle, folder: asked.append(bundle) or [row(largest=largest)])
    assert command.main(["mr2ct_pix2pix", "cect2ct_rescyclegan"]) == code
    assert asked == ["mr2ct_pix2pix", "cect2ct_rescyclegan"]
    assert f"| flipped | {largest:g} (0.01)" in capsys.readouterr().out


def test_another_bundle_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["lesion_dcgan_aug"])
    assert ended.value.code == 2
    assert ": choose from cect2ct_rescyclegan, ldct_wgan_vgg, mr2ct_pix2pix, " in capsys.readouterr().err


def test_every_translation_bundle_is_covered_and_says_how_it_stitches():
    assert [name for name in bundle_names() if name != "lesion_dcgan_aug"] == command.BUNDLES
    found = {name: stitching(inference_settings(name)) for name in command.BUNDLES}
    assert found == {
        "cect2ct_rescyclegan": ("inferer", "PlaneInferer"),
        "ldct_wgan_vgg": ("inferer", "PlaneInferer"),
        "mr2ct_pix2pix": ("inferer::inferer", "PlaneInferer"),
        "mri2pet_sketcher_refiner": ("stitching", "PatchStitchingInferer"),
        "mri_dagan": ("inferer", "PlaneInferer"),
        "pd2t2_dcgan_acm": ("inferer::inferer::inferer::inferer", "PatchStitchingInferer"),
    }
    assert all(training_settings(name)["width"] == 4 for name in found)
