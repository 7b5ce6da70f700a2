"""The metamorphic table: differences by hand, what holds and what does not, what the command prints and returns."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tools.checks.metamorphic import __main__ as command
from tools.checks.metamorphic.copies import Copy, stored
from tools.checks.metamorphic.sources import Channel, base_affine
from tools.checks.metamorphic.table import STORED, InvarianceRow, compared


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


@pytest.mark.parametrize(("largest", "code"), [(0.0, 0), (5.0, 1)])
def test_the_command_fails_where_a_voxel_moved(monkeypatch, capsys, largest, code):
    asked = []
    monkeypatch.setattr(command, "rows_of", lambda bundle, folder: asked.append(bundle) or [row(largest=largest)])
    assert command.main(["mr2ct_pix2pix", "cect2ct_rescyclegan"]) == code
    assert asked == ["mr2ct_pix2pix", "cect2ct_rescyclegan"]
    assert f"| flipped | {largest:g} (0.01)" in capsys.readouterr().out
