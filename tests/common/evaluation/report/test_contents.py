import dataclasses

import numpy as np
import pytest

from common.errors import ConfigError, DataError


def test_unusable_panels_are_named(panel):
    with pytest.raises(DataError, match=r"panel of case_1: truth has shape .*, not the 3-D shape \(3.* of synthetic"):
        dataclasses.replace(panel, truth=np.zeros((3, 4, 6)))
    with pytest.raises(ConfigError, match=r"window is \(5, 5\), not low < high"):
        dataclasses.replace(panel, window=(5, 5))
    with pytest.raises(ConfigError, match="spacing is .*, not three sizes above 0"):
        dataclasses.replace(panel, spacing=(1.0, 0.0, 1.0))
