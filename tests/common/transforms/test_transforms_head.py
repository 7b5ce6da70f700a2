"""The head found in a CT, and the masks that cases bring."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from common.errors import DataError
from common.transforms import HeadMaskd, head_mask


def head_and_table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CT of a cylinder with a closed cavity along z, a table beside it; returns CT, the whole head, the cavity."""
    x, y, _ = np.mgrid[:30, :30, :8]
    head, cavity, table = (x - 12) ** 2 + (y - 14) ** 2 <= 81, (x - 12) ** 2 + (y - 14) ** 2 <= 9, x >= 27
    return np.where(head & ~cavity | table, 40.0, -1000.0), head, cavity


class TestHeadMask:
    def test_hole_is_filled_and_table_left_out(self):
        target, head, cavity = head_and_table()
        assert cavity.any()
        item = HeadMaskd("label")({"label": torch.from_numpy(target)[None].float(), "case": "a"})
        assert item["mask"].shape == (1, 30, 30, 8)
        np.testing.assert_array_equal(item["mask"][0].numpy(), head.astype(np.float32))

    def test_threshold_counts(self):
        target = np.full((5, 5, 5), -1000.0)
        target[1:4, 1:4, 1:4] = -500  # not above -500
        with pytest.raises(DataError, match=r"case_3: the volume has no voxel above the head's threshold -500.0 \("):
            HeadMaskd("label")({"label": torch.from_numpy(target)[None], "case": "case_3"})
        assert head_mask(target, -501, 2, "a").sum() == 27

    def test_a_target_without_air_is_warned_of(self, caplog):
        grey = np.arange(125.0).reshape(5, 5, 5)
        assert head_mask(grey, -500, axial=2, case="a").all()
        assert caplog.messages == [
            "a: the volume has no air below the head's threshold -500 (its lowest value is 0), and all of it is taken"
            " as head: give a --head_threshold between air and skin, or mask files"
        ]
        caplog.clear()
        head_mask(grey, 10, axial=2, case="a")
        assert not caplog.messages

    def test_cavities_are_filled_in_axial_slices_only(self):
        # a tube along x is open in its own cross-sections' neighbours, but closed in slices across x
        target = np.full((6, 7, 7), 40.0)
        target[:, 3, 3] = -1000
        assert head_mask(target, -500, 0, "a").all()
        assert not head_mask(target, -500, 2, "a")[:, 3, 3].any()

    def test_existing_mask_is_kept_and_none_is_added_without_a_target(self):
        target, _, _ = head_and_table()
        own = torch.zeros(1, 30, 30, 8)
        own[0, 3, 4, 5] = 7
        mask = HeadMaskd("label")({"label": torch.from_numpy(target)[None], "mask": own})["mask"]
        assert (mask.sum(), mask[0, 3, 4, 5]) == (1, 1)
        assert HeadMaskd("label")({"image": 1}) == {"image": 1}
