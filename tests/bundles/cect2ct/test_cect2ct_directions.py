"""Which weights and files each direction of translation takes."""

from __future__ import annotations

import pytest
from cect2ct_rescyclegan.directions import translation

from common.errors import ConfigError


def test_contrast_is_removed_by_the_deployed_generator() -> None:
    found = translation("cect2ct", "runs/one", "cect", "ct")
    weights = {"weights": "runs/one/models/model.pt", "pretrained": "pretrained.pt"}
    assert found == {**weights, "source": "cect", "key": "image", "suffix": "synthetic_ct"}


def test_contrast_is_added_by_the_generator_kept_beside_it() -> None:
    found = translation("ct2cect", "runs/one", "cect", "ct")
    weights = {"weights": "runs/one/models/model_backward.pt", "pretrained": "pretrained_backward.pt"}
    assert found == {**weights, "source": "ct", "key": "label", "suffix": "synthetic_cect"}


@pytest.mark.parametrize("name", ["mr2ct", "CECT2CT", ""])
def test_another_direction_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"--direction is '{name}': choose cect2ct or ct2cect"):
        translation(name, "runs/one", "cect", "ct")
