"""Weights and runs of earlier versions name modules as they were called then."""

from __future__ import annotations

import pytest

from common.weights.module_names import local


@pytest.mark.parametrize(
    ("earlier", "now"),
    [
        ("common.inferers.PlaneInferer", "common.stitching.PlaneInferer"),
        ("common.phantoms.simulate.MrPair", "common.simulation.simulate.MrPair"),
        ("common.phantoms.artefacts.Artefacts", "common.simulation.scanner.Artefacts"),
        ("common.handlers.RunFolder", "common.training.handlers.RunFolder"),
        ("common.methods.regression.Regression", "common.training.methods.regression.Regression"),
        ("common.transforms.TargetScale", "common.training.handlers.TargetScale"),
        ("common.transforms.Misregisterd", "common.simulation.corruptions.misregistration.Misregisterd"),
        ("common.transforms.ScaleWindowd", "common.transforms.ScaleWindowd"),
        ("common.training.methods.base.GanMethod", "common.training.methods.base.GanMethod"),
        ("my_common.inferers.PlaneInferer", "my_common.inferers.PlaneInferer"),
    ],
)
def test_earlier_names_are_those_of_today(earlier, now):
    assert local(f'{{"_target_": "{earlier}"}}') == f'{{"_target_": "{now}"}}'
