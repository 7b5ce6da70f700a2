"""What an evaluation says where a run has no weights, or only those of a variant."""

from __future__ import annotations

import pytest

from common.config.weights import require_trained
from common.errors import CheckpointError


def test_a_run_with_a_variant_alone_is_named(tmp_path):
    settings = {"evaluated": str(tmp_path / "models" / "model.pt")}
    with pytest.raises(CheckpointError, match="no weights at .*: train there first, or correct the path"):
        require_trained(settings)
    weights = tmp_path / "variants" / "resenc" / "models" / "model.pt"
    weights.parent.mkdir(parents=True)
    weights.touch()
    with pytest.raises(CheckpointError, match=f"pass --output_dir {tmp_path}/variants/resenc for a variant alone"):
        require_trained(settings)
