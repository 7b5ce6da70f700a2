"""Names of modules in the repository, a release and a wheel."""

from __future__ import annotations

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
