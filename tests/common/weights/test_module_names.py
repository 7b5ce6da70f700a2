"""Weights and runs of earlier versions name modules as they were called then."""

from __future__ import annotations

import json

import pytest

from common.weights import module_names
from common.weights.module_names import local, portable, with_local_targets

RELEASE = {"common": "toy_v0_1_0.common", "toy": "toy_v0_1_0"}
WHEEL = {
    "common": "product.common",
    "toy": "product.bundles.toy.toy",
    "toy_too": "product.bundles.toy_too.toy_too",
}
"""Names of packages in a release of ``toy`` and in a wheel of two bundles."""


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


def test_settings_of_before_have_their_names_of_today():
    written = '{"target_knots": [[0, 0]], "scale": {"_target_": "common.transforms.ToUnitd", "knots": "@target_knots"}}'
    assert json.loads(local(written)) == {
        "target_scale_points": [[0, 0]],
        "scale": {"_target_": "common.transforms.ToUnitd", "points": "@target_scale_points"},
    }
    own = '{"_target_": "mine.Spline", "knots": [0, 1]}'
    assert local(own) == own


@pytest.mark.parametrize("names", [{}, RELEASE, WHEEL], ids=["repository", "release", "wheel"])
@pytest.mark.parametrize("place", ["common.transforms.ScaleWindowd", "toy.networks.Net", "other.networks.Net"])
def test_names_are_those_of_the_place_and_back(monkeypatch, names, place):
    monkeypatch.setattr(module_names, "NAMES", names)
    package, _, rest = place.partition(".")
    here = f"{names.get(package, package)}.{rest}"
    assert local(f'"{place}"') == f'"{here}"'
    assert local(f'"{here}"') == f'"{here}"'
    assert portable(f'"{here}"') == f'"{place}"'


def test_of_an_overlay_classes_and_expressions_get_local_names(monkeypatch):
    monkeypatch.setattr(module_names, "NAMES", WHEEL)
    settings = {
        "loss": [{"_target_": "common.losses.L1", "weight": 2}],
        "net::_target_": "toy.networks.Net",
        "root": "$toy.bundle_root()",
        "dataset_dir": "common.data/toy.new",
    }
    assert with_local_targets(settings) == {
        "loss": [{"_target_": "product.common.losses.L1", "weight": 2}],
        "net::_target_": "product.bundles.toy.toy.networks.Net",
        "root": "$product.bundles.toy.toy.bundle_root()",
        "dataset_dir": "common.data/toy.new",
    }
