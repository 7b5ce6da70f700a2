"""What is stored: rounded, clipped and counted; never a number in place of NaN."""

import logging

import numpy as np
import pytest

from common.errors import ConfigError, OutputError
from common.io.stored_values import require_dtype, to_stored


class TestToStored:
    def test_clipped_rounded_and_counted(self, caplog):
        assert to_stored(np.array([-32768.4, 32767.4]), "int16", "a").tolist() == [-32768, 32767]
        assert to_stored(np.array([0.6, 70000.5]), "float32", "a").tolist() == [np.float32(0.6), 70000.5]
        assert caplog.text == ""
        with caplog.at_level(logging.WARNING):
            stored = to_stored(np.array([-40000, 70000, 0.6, -0.6, 1.4], np.float32), "int16", "case_1")
        assert stored.dtype == np.int16
        assert stored.tolist() == [-32768, 32767, 1, -1, 1]
        assert "case_1: 2 voxels clipped to int16, [-32768, 32767]" in caplog.text

    @pytest.mark.parametrize(("dtype", "expected"), [("int32", [-(2**31), 2**31 - 1]), ("uint8", [0, 255])])
    def test_limits_beyond_float32(self, dtype, expected):
        assert to_stored(np.array([-3e9, 3e9], np.float32), dtype, "a").tolist() == expected

    def test_values_of_which_an_integer_keeps_a_few_steps_are_refused(self):
        suv = np.linspace(0, 2, 50)
        message = "a: the synthetic volume spans 0 to 2, less than 10 steps of int16: pass --output_dtype float"
        with pytest.raises(OutputError, match=message):
            to_stored(suv, "int16", "a")
        assert to_stored(suv, "float32", "a").dtype == np.float32
        assert to_stored(np.array([0.0, 1, 2]), "uint8", "a").tolist() == [0, 1, 2]  # labels
        assert to_stored(np.linspace(0, 10, 50), "int16", "a").max() == 10

    @pytest.mark.parametrize("name", ["int12", "complex64", "float16", "O", "", None, 16])
    def test_another_type_is_refused_by_name(self, name):
        message = f"--output_dtype is {name!r}: choose uint8, int16, .* or float64"
        with pytest.raises(ConfigError, match=message):
            require_dtype(name)
