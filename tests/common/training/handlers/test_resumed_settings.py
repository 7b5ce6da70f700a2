"""Settings of a resumed run next to those it had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.errors import ConfigError
from common.training.handlers.resumed_settings import require_same


def test_a_class_is_the_same_in_another_module_and_another_class_is_not(tmp_path: Path, caplog) -> None:
    network = {"_target_": "common.networks.unet.Generator", "width": 8}
    (tmp_path / "run.json").write_text(json.dumps({"config": {"network_def": network}}))
    require_same(tmp_path, {"network_def": {**network, "_target_": "common.networks.nets.Generator"}})
    assert not caplog.records
    with pytest.raises(
        ConfigError, match="^--network_def::_target_ is common.networks.unet.Other, but common.networks"
    ):
        require_same(tmp_path, {"network_def": {**network, "_target_": "common.networks.unet.Other"}})
