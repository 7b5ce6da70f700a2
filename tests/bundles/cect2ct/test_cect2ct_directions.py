"""Which weights and files each direction of translation takes."""

from __future__ import annotations

import pytest
from cect2ct_rescyclegan.directions import translation

from common.errors import ConfigError


def test_contrast_is_removed_by_the_deployed_generator() -> None:
    chosen = translation("cect2ct", "runs/one", "cect", "ct")
    assert chosen == ("runs/one/models/model.pt", "pretrained.pt", "cect", "image", "synthetic_ct")


def test_contrast_is_added_by_the_generator_kept_beside_it() -> None:
    chosen = translation("ct2cect", "runs/one", "cect", "ct")
    assert chosen == ("runs/one/models/model_backward.pt", "pretrained_backward.pt", "ct", "label", "synthetic_cect")


@pytest.mark.parametrize("name", ["mr2ct", "CECT2CT", ""])
def test_another_direction_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"--direction is '{name}': choose cect2ct or ct2cect"):
        translation(name, "runs/one", "cect", "ct")
