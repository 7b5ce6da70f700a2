"""Slices of volumes, patches and pictures; their window and PNG."""

import zlib
from io import BytesIO

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from reading_folders import head, save, write_patches

from common.errors import DataError
from common.io.reader import VolumeReader
from common.reader_study.image_folders import StudyImage, find_images
from common.reader_study.slices import SliceMaker, StudySlice, png_of, window_of


def maker(plane="axial", count=1, seed=0):
    return SliceMaker(plane, count, seed, VolumeReader())


def found(path, kind="real", case="case"):
    return StudyImage(kind, case, "", path)


@pytest.mark.parametrize(
    ("plane", "across", "down", "aspect"),
    [("axial", 0, 1, 1.5), ("coronal", 0, 2, 2.5), ("sagittal", 1, 2, 5 / 3)],
)  # fmt: skip
def test_planes_are_radiological_and_keep_their_aspect(tmp_path, plane, across, down, aspect):
    values = head(1)
    path = save(tmp_path / "a.nii.gz", values, np.diag([2.0, 3, 5, 1]))
    (slide,) = maker(plane).slides(found(path))
    along = 3 - across - down
    wanted = np.take(values, slide.place, axis=along)  # (across, down): left and bottom first in RAS
    wanted = wanted[::-1, ::-1].T
    assert np.array_equal(slide.pixels, wanted)
    assert slide.aspect == pytest.approx(aspect)
    assert slide.size == (values.shape[down], values.shape[across], round(aspect, 2))


def test_another_orientation_on_disk_gives_the_same_slice(tmp_path):
    image = nib.Nifti1Image(head(1).astype(np.float32), np.diag([2.0, 2, 2, 1]))
    lps = image.as_reoriented(nib.orientations.axcodes2ornt(("L", "P", "S")))
    nib.save(image, tmp_path / "ras.nii.gz")
    nib.save(lps, tmp_path / "lps.nii.gz")
    one, other = (maker(count=3).slides(found(tmp_path / f"{name}.nii.gz")) for name in ("ras", "lps"))
    assert [slide.place for slide in one] == [slide.place for slide in other]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(one, other, strict=True))


def test_slices_are_inside_the_head_and_differ(tmp_path):
    path = save(tmp_path / "a.nii.gz", head(1))  # the head is in slices 2 to 9
    assert [slide.place for slide in maker(count=8).slides(found(path))] == list(range(2, 10))
    drawn = {tuple(slide.place for slide in maker(count=2, seed=seed).slides(found(path))) for seed in range(8)}
    assert len(drawn) > 3
    with pytest.raises(DataError, match=r"has 8 axial slices with enough of the head, --slices is 9: lower --slices"):
        maker(count=9).slides(found(path))


def test_both_images_of_a_case_show_the_same_slices(tmp_path):
    real, synthetic = save(tmp_path / "a.nii.gz", head(1)), save(tmp_path / "b.nii.gz", head(1) + 5)
    pairs = maker(count=3).pairs(found(real), found(synthetic, "synthetic"))
    assert [(a.place, a.kind) for a, _ in pairs] == [(b.place, "real") for _, b in pairs]
    assert all(np.array_equal(a.pixels + 5, b.pixels) for a, b in pairs)


def test_pairs_on_two_grids_are_refused(tmp_path):
    real = save(tmp_path / "a.nii.gz", head(1))
    for name, values, affine in (("shape", head(1)[:-1], None), ("affine", head(1), np.diag([2.0, 2, 3, 1]))):
        other = save(tmp_path / f"{name}.nii.gz", values, affine)
        with pytest.raises(DataError, match=r"case: synthetic image has shape .*, the real one shape"):
            maker().pairs(found(real), found(other, "synthetic"))


def test_volumes_that_cannot_be_shown_are_refused(tmp_path):
    values = head(1)
    values[5, 5, 5] = np.nan
    with pytest.raises(DataError, match=r"case \(a.nii.gz\).*NaN"):
        maker().slides(found(save(tmp_path / "a.nii.gz", values)))
    with pytest.raises(DataError, match="no voxel above the head's threshold 0"):
        maker().slides(found(save(tmp_path / "b.nii.gz", np.zeros((4, 4, 4)))))


def test_patches_of_files_and_stacks_are_shown_alike(tmp_path):
    real, synthetic = write_patches(tmp_path, 1, 4, ("cyst",))
    ramp = np.add.outer(np.arange(8), 10 * np.arange(8)).astype(float)
    (one,) = find_images(real, "real")
    save(one.path, ramp[:, :, None], np.diag([-1.0, -1, 1, 1]))  # a patch is shown as it is stored
    stacks = find_images(synthetic, "synthetic")
    save(stacks[0].path, np.stack([ramp - 1, ramp, ramp + 1, ramp + 2], axis=2))
    shown = [maker().slides(each)[0] for each in (one, *stacks)]
    assert [slide.place for slide in shown] == [0, 0, 1, 2, 3]
    assert np.array_equal(shown[0].pixels, shown[2].pixels)
    assert shown[0].pixels[0, 0] == ramp[7, 7]
    save(stacks[0].path, np.stack([ramp] * 3, axis=2))
    with pytest.raises(DataError, match=r"has shape \(8, 8, 3\), its JSON file 4 seeds, one a patch"):
        maker().slides(stacks[0])
    with pytest.raises(DataError, match="is one patch, --slices is 2"):
        maker(count=2).slides(one)


def test_pictures_are_shown_as_they_are(tmp_path):
    levels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    Image.fromarray(levels).save(tmp_path / "grey.png")
    Image.fromarray(np.stack([levels] * 3, -1)).save(tmp_path / "rgb.png")
    for name in ("grey", "rgb"):
        assert np.array_equal(maker().slides(found(tmp_path / f"{name}.png"))[0].pixels, levels)
    Image.fromarray(np.stack([levels, levels, levels.T.reshape(4, 6)], -1)).save(tmp_path / "colour.png")
    with pytest.raises(DataError, match="colour.png has 3 channels, not one"):
        maker().slides(found(tmp_path / "colour.png"))
    (tmp_path / "cut.png").write_bytes((tmp_path / "grey.png").read_bytes()[:50])
    with pytest.raises(DataError, match="cannot read .*cut.png"):
        maker().slides(found(tmp_path / "cut.png"))


def slide(pixels):
    return StudySlice("real", "a", "", 0, np.asarray(pixels, np.float32), 1.0)


def test_the_window_is_that_of_percentiles():
    assert window_of([slide(np.arange(500)), slide(np.arange(500, 1001))]) == (5.0, 995.0)
    with pytest.raises(DataError, match="percentiles 0.5 and 99.5 of the real images are 3 and 3"):
        window_of([slide(np.full((2, 2), 3))])


def test_png_has_the_levels_of_the_window_and_nothing_else():
    png = png_of(np.array([[-5.0, 0, 50], [100, 105, 20]]), (0, 100))
    assert np.asarray(Image.open(BytesIO(png))).tolist() == [[0, 0, 128], [255, 255, 51]]
    chunks, place = [], 8
    while place < len(png):
        chunks.append(png[place + 4 : place + 8])
        place += 12 + int.from_bytes(png[place : place + 4], "big")
    assert set(chunks) == {b"IHDR", b"IDAT", b"IEND"}


def test_smooth_and_noisy_images_have_as_many_bytes():
    rng = np.random.default_rng(0)
    noisy, smooth = rng.normal(50, 20, (60, 70)), np.full((60, 70), 50.0)
    assert len(zlib.compress(noisy.tobytes())) > 10 * len(zlib.compress(smooth.tobytes()))
    assert len(png_of(noisy, (0, 100))) == len(png_of(smooth, (0, 100)))
