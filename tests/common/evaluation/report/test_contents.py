import dataclasses

import numpy as np
import pytest

from common.errors import ConfigError, DataError


def test_unusable_panels_are_named(panel):
    with pytest.raises(DataError, match=r"panel of case_1: truth must be 3-D and of the shape of synthetic \(3"):
        dataclasses.replace(panel, truth=np.zeros((3, 4, 6)))
    with pytest.raises(ConfigError, match=r"window must be \(low, high\), but got \(5, 5\)"):
        dataclasses.replace(panel, window=(5, 5))
    with pytest.raises(ConfigError, match="spacing must be 3 sizes in mm > 0"):
        dataclasses.replace(panel, spacing=(1.0, 0.0, 1.0))
