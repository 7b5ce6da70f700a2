from __future__ import annotations

import torch
from monai.data import MetaTensor

from common.transforms.pictures import Greyd, WholeMaskd


def test_colour_becomes_luminance_and_keeps_its_place():
    affine = torch.diag(torch.tensor([-0.5, -0.5, 1.0, 1.0], dtype=torch.float64))
    picture = MetaTensor(torch.tensor([10.0, 20.0, 30.0])[:, None, None, None].repeat(1, 2, 2, 1), affine=affine)
    made = Greyd("image")({"image": picture, "case": "a"})["image"]
    assert made.shape == (1, 2, 2, 1)
    torch.testing.assert_close(made.as_tensor(), torch.full((1, 2, 2, 1), 0.299 * 10 + 0.587 * 20 + 0.114 * 30))
    assert torch.equal(made.affine, affine)
    assert Greyd("image")({"image": made})["image"] is made
    assert Greyd("label")({"image": picture})["image"] is picture
    assert [Greyd("image").channels_after(channels) for channels in (1, 2, 3)] == [1, 2, 1]


def test_every_pixel_counts_unless_there_is_a_mask():
    picture = torch.rand(3, 2, 4, 1)
    assert torch.equal(WholeMaskd(["label", "image"])({"label": picture})["mask"], torch.ones(1, 2, 4, 1))
    mask = torch.tensor([0.0, 255.0])[None, :, None, None]
    assert WholeMaskd("label")({"label": picture, "mask": mask})["mask"].flatten().tolist() == [0, 1]
    assert "mask" not in WholeMaskd("label")({"image": picture})
