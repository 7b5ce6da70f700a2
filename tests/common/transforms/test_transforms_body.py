"""Air outside the body: synthetic bodies in noise, padded, cropped, with empty slices and a couch; real templates."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from scipy import ndimage
from skimage.filters import threshold_multiotsu

from common.errors import ConfigError
from common.transforms import AirOutsideBodyd, SubjectBoxd
from common.transforms.body import distance_from, distance_from_body, filled, lower_otsu_threshold

TEMPLATES = Path(__file__).resolve().parents[4] / "shared" / "data" / "spm_templates"
TISSUE = 40.0
"""HU that the network gives everywhere in these tests."""


def ball(shape=(48, 48, 40), centre=(24, 24, 16), radius=12, tissue=300.0, noise=15.0) -> np.ndarray:
    """A ball with a dark shell and a dark cavity, in Rician noise."""
    places = np.stack(np.meshgrid(*(np.arange(side) for side in shape), indexing="ij"), -1)
    away = np.linalg.norm(places - np.array(centre), axis=-1)
    image = tissue * (away <= radius)
    image[(away > radius - 4) & (away <= radius - 2)] = image[away < 3] = 0
    rng = np.random.default_rng(0)
    return np.hypot(image + noise * rng.standard_normal(shape), noise * rng.standard_normal(shape))


def cleared(source, spacing=(2.0, 2.0, 2.0), made=None, scan=None, **options) -> dict:
    """The output of a network that gives tissue everywhere, for a source, on its grid or on that of a scan."""
    affine = np.diag([*spacing, 1.0])
    image = MetaTensor(torch.from_numpy(np.ascontiguousarray(source, dtype=np.float32))[None], affine=affine)
    made = np.full(source.shape, TISSUE, np.float32) if made is None else made
    pred = MetaTensor(torch.from_numpy(made)[None], affine=affine if scan is None else scan)
    return AirOutsideBodyd("pred", **options)({"image": image, "pred": pred})


@pytest.mark.parametrize("spacing", [(0.8, 0.8, 0.8), (4 / 3, 4 / 3, 4 / 3), (1.5, 1.5, 3.0), (1.0, 1.0, 1.0)])
def test_the_rounding_of_voxel_sizes_in_headers_changes_nothing(spacing):
    """2 mm are 2.5 and 1.5 voxels of the first two, 3 and 6 mm whole numbers of the others."""
    source = ball((72, 72, 60), (36, 36, 28), 20, noise=0)
    outputs, boxes = [], []
    for factor in (1 - 1e-6, 1.0, 1 + 1e-6):
        image = MetaTensor(torch.from_numpy(source)[None], affine=np.diag([*np.multiply(spacing, factor), 1.0]))
        outputs.append(np.asarray(cleared(source, np.multiply(spacing, factor))["pred"]))
        boxes.append(SubjectBoxd("image")({"image": image})["image"].shape)
    assert (outputs[0] == -1000).any()
    np.testing.assert_array_equal(outputs[0], outputs[1])
    np.testing.assert_array_equal(outputs[2], outputs[1])
    assert len(set(boxes)) == 1


def kept(item) -> np.ndarray:
    """Where the output is that of the network."""
    return (item["pred"][0] == TISSUE).numpy()


def test_outside_is_air_and_the_inside_with_its_cavity_is_kept():
    item = cleared(ball())
    away = np.linalg.norm(np.indices((48, 48, 40)).transpose(1, 2, 3, 0) - (24, 24, 16), axis=-1) * 2
    assert kept(item)[away <= 26].all()  # a radius of 24 mm; the outline may miss some of the last voxel
    assert not kept(item)[away > 32].any()  # 3 mm further, and two voxels
    assert np.unique(item["pred"].numpy()).tolist() == [-1000, TISSUE]
    assert item["tissue_outside"] == 1.0  # all of the outside was tissue
    assert item["pred"].affine.diagonal().tolist() == [2, 2, 2, 1]


def test_share_of_tissue_outside_is_that_of_the_network():
    made = np.full((48, 48, 40), -1000, np.float32)
    made[:, :, 32:36] = 500  # 4 slices without body
    item = cleared(ball(), made=made)
    outside = (distance_from_body(ball(), np.diag([2.0, 2, 2, 1]), 3)[0] > 3).sum()
    assert item["tissue_outside"] == pytest.approx(4 * 48 * 48 / outside)
    assert (item["pred"] == -1000).sum() >= outside


@pytest.mark.parametrize("change", ["noisy slices", "zero slices", "cropped", "brighter", "bias field"])
def test_outline_of_a_padded_cropped_or_shaded_source_is_the_same(change):
    """At most 3 % of the body's voxels change sides."""
    whole, source = kept(cleared(ball())), ball()
    if change == "noisy slices":
        source = np.concatenate([source, ball(shape=(48, 48, 15), centre=(900, 0, 0))], axis=2)
    elif change == "zero slices":
        source = np.concatenate([source, np.zeros((48, 48, 15))], axis=2)
    elif change == "cropped":
        source, whole = source[:, 8:, :24], whole[:, 8:, :24]
    elif change == "brighter":
        source = 7 * source + 100
    else:
        source = source * np.linspace(0.5, 1.5, 48)[:, None, None]
    found = kept(cleared(source))
    assert (found[tuple(map(slice, whole.shape))] != whole).sum() < 0.03 * whole.sum()
    assert not found[..., 40:].any()


def test_a_volume_without_air_is_all_body():
    item = cleared(ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((40, 40, 40)), 3))
    assert kept(item).all()
    assert item["tissue_outside"] == 0


def test_one_slice_thinner_than_a_coarse_voxel_is_cleared_like_a_thick_one():
    slice_ = ball(noise=0)[:, :, 16:17]
    for thickness in (3.0, 0.5):
        item = cleared(slice_, (2.0, 2.0, thickness))
        assert kept(item)[24, 24, 0]
        assert item["pred"][0, 0, 0, 0] == -1000, thickness


def test_output_on_the_grid_of_the_scan():
    """The source was resampled from 1 x 1 x 4 mm, turned and moved."""
    scan = np.array([[0.0, 1, 0, 0], [-1, 0, 0, 94], [0, 0, 4, 0], [0, 0, 0, 1]])
    item = cleared(ball(), made=np.full((95, 95, 20), TISSUE, np.float32), scan=scan)
    centre = np.linalg.inv(scan) @ (48, 48, 32, 1)
    found = np.argwhere(kept(item))
    np.testing.assert_allclose(found.mean(axis=0), centre[:3], atol=0.6)
    np.testing.assert_allclose(np.ptp(found, axis=0) * (1, 1, 4), 2 * (24 + 3), atol=6)


def test_a_couch_is_kept_if_it_is_asked_for():
    ct = np.where(ball(noise=0) > 0, 0.0, -1.0) + 0.01 * np.random.default_rng(0).standard_normal((48, 48, 40))
    ct[4:44, 44:46] = -0.4
    couch = np.zeros(ct.shape, bool)
    couch[6:42, 44:46] = True
    assert not kept(cleared(ct)).any(where=couch)
    assert kept(cleared(ct, largest=False)).all(where=couch)


def test_the_air_around_the_body_of_a_ct_stays_as_it_is():
    made = np.full((48, 48, 40), -995, np.float32)
    made[0, 0, 0] = TISSUE
    item = cleared(ball(), made=made.copy(), largest=False)
    made[0, 0, 0] = -1000
    assert np.array_equal(item["pred"][0], made)
    assert item["tissue_outside"] > 0


def test_no_other_unit_is_touched():
    item = cleared(ball(), unit="a.u.")
    assert kept(item).all()
    assert "tissue_outside" not in item
    with pytest.raises(ConfigError, match="margin_mm"):
        AirOutsideBodyd("pred", margin_mm=-1)


@pytest.mark.real
@pytest.mark.parametrize("name", ["t1", "t2", "pd"])
def test_real_templates_padded_with_noise_and_zeros(name):
    """No voxel of the top of the padded volume is tissue, and the outline inside is that of the whole template."""
    path = TEMPLATES / f"{name}.nii"
    if not path.is_file():
        pytest.skip("the templates are not at hand")
    template = np.asarray(nib.load(path).dataobj, np.float32)
    rng, shape = np.random.default_rng(0), (*template.shape[:2], 15)
    noise = 0.03 * np.hypot(rng.standard_normal(shape), rng.standard_normal(shape))
    whole = kept(cleared(template))
    assert 0.5 < whole.mean() < 0.7
    assert ndimage.label(whole)[1] == 1
    for pad in (noise, np.zeros(shape)):
        found = kept(cleared(np.concatenate([template, pad], axis=2)))
        assert not found[..., 93:].any()  # 3 mm above the last slice are 1.5 slices
        assert (found[..., :91] != whole).sum() < 0.03 * whole.sum()
    middle = (slice(4, 86), slice(4, 104), slice(20, 70))
    assert (kept(cleared(template[middle])) != whole[middle]).sum() < 0.03 * whole[middle].sum()
    assert kept(cleared(template[25:65, 30:80, 25:65])).all()  # nothing but brain


@pytest.mark.parametrize("seed", range(6))
def test_the_lower_threshold_is_that_of_scikit_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(rng.uniform(0, 1000), rng.uniform(1, 120), 5000) for _ in range(4)])
    expected = threshold_multiotsu(values, 3, nbins=128)[0]
    assert lower_otsu_threshold(values) == pytest.approx(expected, rel=0, abs=1e-6 * np.ptp(values))


@pytest.mark.parametrize("shape", [(24, 30, 18), (1, 20, 9)])
def test_distances_and_filled_planes_are_those_of_scipy(shape):
    mask = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape), 1.5) > 0.05
    sides, most = np.array([2.0, 1.7, 3.3]), 6.0
    distance, expected = distance_from(mask, sides, most), ndimage.distance_transform_edt(~mask, sampling=sides)
    np.testing.assert_allclose(distance[expected <= most], expected[expected <= most], rtol=1e-6)
    assert (distance[expected > most] > most).all()
    for axis in range(3):
        planes = [ndimage.binary_fill_holes(plane) for plane in np.moveaxis(mask, axis, 0)]
        assert (filled(mask, axis) == np.moveaxis(np.stack(planes), 0, axis)).all()
