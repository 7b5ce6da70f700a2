"""What lies outside the subject, and how much of it there is, changes nothing inside, in every bundle."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from bundle_commands import Bundle
from monai.transforms import Compose

from common.data.datalist import Item
from common.simulation.head import head_anatomy
from common.simulation.mr import render_t1

AROUND = ((6, 9), (0, 11), (3, 4))
"""Voxels added before and behind along each axis."""
SHIPPED = {"mr2ct_pix2pix": 2.0, "pd2t2_dcgan_acm": 0.002, "ldct_wgan_vgg": 2.0}
"""Largest mean difference inside the subject by the shipped weights: 2 HU, or .2 % of the range of the output."""


def padded(path: str, folder: Path) -> str:
    """A copy of a volume with more air around it, at the same places of the world."""
    image = nib.nifti1.load(path)
    values = np.asarray(image.dataobj)
    affine = image.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ [before for before, _ in AROUND]
    wide = np.pad(values, AROUND, constant_values=values.min())
    name = folder / Path(path).parent.name / Path(path).name
    name.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.nifti1.Nifti1Image(wide, affine), name)
    return str(name)


def shown(bundle: Bundle, item: Item) -> tuple[np.ndarray, np.ndarray]:
    """The network's input of a case (C, X, Y, Z) and its affine."""
    steps: Compose = bundle.parser("train").get_parsed_content("preprocessing")
    image = steps(item)["image"]
    return image.numpy(), np.asarray(image.affine)


@pytest.mark.translation
@pytest.mark.volumes
def test_more_air_changes_no_input_of_the_network(bundle: Bundle, tiny_data: Path, tmp_path: Path) -> None:
    item = bundle.parser("inference", dataset_dir=str(tiny_data)).get_parsed_content("data")[0]
    paths = item["image"] if isinstance(item["image"], list) else [item["image"]]
    (values, affine), (wide, moved) = (
        shown(bundle, {"case": "a", "image": images}) for images in (paths, [padded(each, tmp_path) for each in paths])
    )
    start = np.round(np.linalg.solve(affine[:3, :3], affine[:3, 3] - moved[:3, 3])).astype(int)
    assert (start >= 0).all()
    inside = tuple(slice(first, first + side) for first, side in zip(start, values.shape[1:], strict=True))
    assert np.ptp(values) > 0.3
    np.testing.assert_allclose(wide[(slice(None), *inside)], values, rtol=0, atol=0.002 * np.ptp(values))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.longest) if name == "pd2t2_dcgan_acm" else name for name in SHIPPED]
)
def test_more_air_changes_no_output_of_shipped_weights(name: str, tmp_path: Path) -> None:
    anatomy = head_anatomy(3, 3.0)
    values = render_t1(anatomy, np.random.default_rng(1))
    if name == "ldct_wgan_vgg":
        values = 0.5 * values - 1000
    (tmp_path / "scans").mkdir()
    nib.save(nib.nifti1.Nifti1Image(values.astype(np.float32), anatomy.affine), tmp_path / "scans" / "head.nii.gz")
    padded(str(tmp_path / "scans" / "head.nii.gz"), tmp_path / "wide")
    made = []
    for folder in ("scans", "wide/scans"):
        out = tmp_path / "out" / folder
        options = {"dataset_dir": str(tmp_path / folder), "predictions_dir": str(out), "refuse": False}
        Bundle(name).parser("inference", **options, output_dtype="float32").get_parsed_content("inference")
        made.append(np.asarray(nib.nifti1.load(next(out.glob("*.nii.gz"))).dataobj))
    plain, wide = made[0], made[1][tuple(slice(before, -after) for before, after in AROUND)]
    inside = anatomy.head
    assert np.ptp(plain[inside]) > 100 * SHIPPED[name]
    assert np.abs(plain - wide)[inside].mean() < SHIPPED[name] * (1 if SHIPPED[name] > 1 else np.ptp(plain[inside]))
