"""K-space files in the layouts of fastMRI and ISMRMRD: their images, grids, and files that are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import torch
import yaml
from monai.data import MetaTensor
from mri_dagan import bundle_root
from mri_dagan.reader import DataConsistencyd, KspaceReader

from common.data.identity import content_hash, identify
from common.errors import ConfigError, DataError, VolumeError
from common.simulation.corruptions.kspace import simulated_sensitivities, to_kspace
from common.transforms import LoadVolumed
from medical_image_synthesis.command import main as synthesize

SLICES, ROWS, COLUMNS, COILS = 3, 16, 24, 2
CONFIGS = ("inference", "evaluate")
HEADER = (
    '<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding><encodedSpace><matrixSize><x>32</x><y>24</y>'
    "<z>{z}</z></matrixSize><fieldOfView_mm><x>64</x><y>48</y><z>5</z></fieldOfView_mm></encodedSpace><reconSpace>"
    "<matrixSize><x>16</x><y>24</y><z>1</z></matrixSize><fieldOfView_mm><x>32</x><y>48</y><z>5</z></fieldOfView_mm>"
    "</reconSpace><trajectory>{trajectory}</trajectory><encodingLimits><kspace_encoding_step_1><minimum>0</minimum>"
    "<maximum>23</maximum><center>12</center></kspace_encoding_step_1></encodingLimits></encoding></ismrmrdHeader>"
)
COUNTERS = ["kspace_encode_step_1", "kspace_encode_step_2", "average", "slice", "contrast", "phase", "repetition"]
HEAD = np.dtype(
    [
        ("flags", "<u8"),
        *[(name, "<u2") for name in ("number_of_samples", "active_channels", "discard_pre", "discard_post")],
        *[(name, "<u2") for name in ("center_sample", "encoding_space_ref", "trajectory_dimensions")],
        *[(name, "<f4", (3,)) for name in ("position", "read_dir", "phase_dir", "slice_dir")],
        ("idx", [(name, "<u2") for name in [*COUNTERS, "set", "segment"]]),
    ]
)
"""Of an acquisition, as far as it is read; the standard's has more fields."""


def images() -> np.ndarray:
    """Magnitudes (slices, rows, columns), another one in each slice."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    disc = ((rows - 8) / 6) ** 2 + ((columns - 12) / 9) ** 2 < 1
    spot = (rows > 9) & (rows < 12) & (columns > 14) & (columns < 18)
    return np.stack([100.0 * disc * (1 + number) + 50 * spot for number in range(SLICES)])


def oversampled() -> np.ndarray:
    """K-space (slices, coils, 32, 24) of these images with twice the field of view along the rows."""
    wide = np.pad(images(), ((0, 0), (8, 8), (0, 0)))
    coils = simulated_sensitivities((2 * ROWS, COLUMNS), COILS, np.random.default_rng(0))
    return to_kspace(wide[:, None] * coils).astype(np.complex64)


def fastmri(
    path: Path,
    kspace: np.ndarray,
    mask: np.ndarray | None = None,
    trajectory: str = "cartesian",
    header: str = HEADER,
    **attributes: np.ndarray | int,
) -> Path:
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace
        file["ismrmrd_header"] = header.format(z=1, trajectory=trajectory)
        if mask is not None:
            file["mask"] = mask
        file.attrs.update(attributes)
    return path


def ismrmrd(
    path: Path,
    z: int = 1,
    uneven: float = 0.0,
    change: Callable[[np.ndarray], np.ndarray | None] = lambda acquisitions: None,
    header: str = HEADER,
    **counters: int,
) -> Path:
    """Acquisitions of the slices in the order 2, 0, 1, after one of noise; counters are those of a second image.

    ``change`` alters, or replaces, the acquisitions before they are written.
    """
    kinds = [("head", HEAD), ("data", h5py.vlen_dtype(np.float32))]
    lines = [(place, column) for place in (2, 0, 1) for column in range(COLUMNS)]
    repeats = [{}, counters] if counters else [{}]
    acquisitions = np.zeros(1 + len(repeats) * len(lines), dtype=kinds)
    acquisitions["head"][0]["flags"] = 1 << 18
    acquisitions["data"][0] = np.ones(10, np.float32)
    samples = oversampled()
    for number, (place, column) in enumerate(lines * len(repeats)):
        head = acquisitions["head"][number + 1 : number + 2]
        head["number_of_samples"], head["active_channels"], head["center_sample"] = 2 * ROWS, COILS, ROWS
        head["position"] = (10, 20, 30 + 5 * place + uneven * (place == 2))
        head["read_dir"], head["phase_dir"], head["slice_dir"] = (0, 1, 0), (1, 0, 0), (0, 0, 1)
        head["idx"]["kspace_encode_step_1"], head["idx"]["slice"] = column, place
        for name, value in repeats[number // len(lines)].items():
            head["idx"][name] = value
        line = np.ascontiguousarray(samples[place, :, :, column]) * (1 + number // len(lines))
        acquisitions["data"][number + 1] = line.view(np.float32).ravel()
    with h5py.File(path, "w") as file:
        file.create_dataset("dataset/xml", (1,), h5py.string_dtype())[0] = header.format(z=z, trajectory="cartesian")
        changed = change(acquisitions)
        file["dataset/data"] = acquisitions if changed is None else changed
    return path


def expected() -> np.ndarray:
    """The volume: columns, rows and slices are X, Y and Z."""
    return images().transpose(2, 1, 0)


def test_an_ismrmrd_file_gives_its_images_on_the_patients_grid(tmp_path):
    scan = KspaceReader().read(ismrmrd(tmp_path / "scan.h5"), "one")
    np.testing.assert_allclose(scan.values, expected(), atol=1e-3)
    assert scan.values.dtype == np.float32
    assert (scan.warnings, scan.modality) == ((), "MR")
    # The middle, column 12 and row 8, lies at (10, 20, 30) mm in LPS; pixels of 2 mm, slices 5 mm apart.
    np.testing.assert_allclose(scan.affine @ [12, 8, 0, 1], [-10, -20, 30, 1], atol=1e-5)
    np.testing.assert_allclose(np.diag(scan.affine), [-2, -2, 5, 1], atol=1e-5)


REVERSE, NAVIGATION, PHASECORR = (1 << (flag - 1) for flag in (22, 23, 24))
"""Flags as numbered in ismrmrd.h of ISMRMRD 1.15."""


def samples_of(line: np.ndarray) -> np.ndarray:
    return line["data"].view(np.complex64).reshape(COILS, -1)


def stored(line: np.ndarray, samples: np.ndarray) -> None:
    line["data"] = np.ascontiguousarray(samples).view(np.float32).ravel()
    line["head"]["number_of_samples"] = samples.shape[1]


def reversed_lines(centre: int) -> Callable[[np.ndarray], None]:
    def change(acquisitions: np.ndarray) -> None:
        for line in acquisitions[2::2]:
            stored(line, samples_of(line)[:, ::-1])
            line["head"]["flags"], line["head"]["center_sample"] = REVERSE, centre

    return change


def discarded(flags: int) -> Callable[[np.ndarray], None]:
    """Four samples of 1000 before each line and two after it; in the order of time, which ``REVERSE`` turns."""

    def change(acquisitions: np.ndarray) -> None:
        for line in acquisitions[1:]:
            samples = samples_of(line)[:, ::-1] if flags else samples_of(line)
            stored(line, np.pad(samples, ((0, 0), (4, 2)), constant_values=1000))
            line["head"]["discard_pre"], line["head"]["discard_post"], line["head"]["flags"] = 4, 2, flags
            line["head"]["center_sample"] = 4 + (ROWS - 1 if flags else ROWS)

    return change


@pytest.mark.parametrize(
    "change",
    [reversed_lines(ROWS), reversed_lines(ROWS - 1), discarded(0), discarded(REVERSE)],
    ids=["reversed", "reversed with its own middle", "discarded", "discarded and reversed"],
)
def test_reversed_lines_are_turned_and_samples_to_be_discarded_are(tmp_path, change):
    """By ismrmrd.h (1.15): stored backwards under ACQ_IS_REVERSE; discard_pre and _post count from the beginning."""
    scan = KspaceReader().read(ismrmrd(tmp_path / "scan.h5", change=change), "one")
    np.testing.assert_allclose(scan.values, expected(), atol=1e-3)
    assert scan.warnings == ()


def flagged(number: int, name: str, value: int) -> Callable[[np.ndarray], None]:
    def change(acquisitions: np.ndarray) -> None:
        acquisitions["head"][name][number] = value

    return change


def to_and_fro(acquisitions: np.ndarray) -> None:
    reversed_lines(ROWS)(acquisitions)
    acquisitions["head"]["flags"][0] = PHASECORR


def half_echo(acquisitions: np.ndarray) -> None:
    acquisitions["head"]["discard_pre"][1:] = 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            flagged(5, "trajectory_dimensions", 2),
            "samples have a trajectory, such as on the ramps of a gradient .*grid",
        ),
        (flagged(5, "encoding_space_ref", 1), r"k-space has several encodings \(encoding_space_ref \[0, 1\]\); write"),
        (flagged(5, "flags", 1 << 52), "samples are compressed; write them as plain numbers"),
        (to_and_fro, "lines read to and fro need their phase correction .*; apply it"),
        (half_echo, r"the readout is oversampled and partial \(22 of 32 samples\); fill its lines"),
        (flagged(slice(1, None), "encoding_space_ref", 1), "the header is not ISMRMRD's XML"),
    ],
)
def test_acquisitions_that_are_no_plain_lines_are_refused_by_name(tmp_path, change, message):
    with pytest.raises(VolumeError, match=rf"^one \(scan.h5\): {message}"):
        KspaceReader().read(ismrmrd(tmp_path / "scan.h5", change=change), "one")


def test_the_encoding_is_that_of_the_lines_and_corrections_left_out_are_named(tmp_path):
    """The first encoding of this header has four times the field of view along the phase encoding."""
    one = HEADER[HEADER.index("<encoding>") : HEADER.index("</ismrmrdHeader>")]
    two = HEADER.replace(one, one.replace("<y>48</y>", "<y>192</y>") + one)
    scan = KspaceReader().read(ismrmrd(tmp_path / "a.h5", header=two), "one")
    np.testing.assert_allclose(np.diag(scan.affine), [-8, -2, 5, 1], atol=1e-5)
    second = flagged(slice(1, None), "encoding_space_ref", 1)
    scan = KspaceReader().read(ismrmrd(tmp_path / "b.h5", header=two, change=second), "one")
    np.testing.assert_allclose(np.diag(scan.affine), [-2, -2, 5, 1], atol=1e-5)
    scan = KspaceReader().read(ismrmrd(tmp_path / "c.h5", change=flagged(0, "flags", NAVIGATION)), "one")
    np.testing.assert_allclose(scan.values, expected(), atol=1e-3)
    assert [str(each) for each in scan.warnings] == [
        "one (c.h5): acquisitions of corrections (navigators); they are left out, so that what they correct may show"
    ]


def test_what_partial_fourier_left_out_is_0_and_not_in_the_mask(tmp_path):
    """Lines 0 to 4 and, without oversampling, the first 5 of 16 samples, whose middle is then sample 3."""
    kspace = to_kspace(images()).astype(np.complex64)

    def change(acquisitions: np.ndarray) -> np.ndarray:
        for line in acquisitions[1:]:
            idx = line["head"]["idx"]
            stored(line, np.repeat(kspace[idx["slice"], None, 5:, idx["kspace_encode_step_1"]], COILS, 0))
            line["head"]["center_sample"] = 3
        return acquisitions[acquisitions["head"]["idx"]["kspace_encode_step_1"] > 4]

    header = HEADER.replace("<x>32</x><y>24</y>", "<x>16</x><y>24</y>").replace("<x>64</x>", "<x>32</x>")
    scan = KspaceReader().kspace(ismrmrd(tmp_path / "scan.h5", header=header, change=change), "one")
    measured = np.outer(np.arange(ROWS) > 4, np.arange(COLUMNS) > 4)
    np.testing.assert_array_equal(scan.mask, measured)
    turn = np.exp(2j * np.pi * np.outer(np.arange(ROWS) - 8, np.arange(ROWS) - 8) / ROWS) / np.sqrt(ROWS)
    other = np.exp(2j * np.pi * np.outer(np.arange(COLUMNS) - 12, np.arange(COLUMNS) - 12) / COLUMNS)
    by_hand = np.sqrt(COILS) * np.abs(turn @ (kspace * measured) @ other / np.sqrt(COLUMNS))
    np.testing.assert_allclose(scan.zero_filled(), by_hand.transpose(2, 1, 0), atol=2e-3)


@pytest.mark.parametrize(("rows", "columns"), [(16, 24), (17, 23)])
def test_the_transform_is_the_exact_one_with_its_middle_at_half_the_size(tmp_path, rows, columns):
    """A point of 5 at row 4, column 20 of even and odd sizes, by the sum of the DFT itself, unitary.

    So are sigpy 0.1.27 (``fft``) and BART 0.8 (``fft -u``); k-space of BART's ``phantom -k`` is the plain FFT over the
    number of pixels, so that its image is that much darker by the root of this number.
    """
    r, c = np.arange(rows) - rows // 2, np.arange(columns) - columns // 2
    wave = np.exp(-2j * np.pi * np.add.outer(r * r[4] / rows, c * c[20] / columns))
    kspace = np.repeat(5 * wave[None] / np.sqrt(wave.size), 2, 0).astype(np.complex64)
    path = fastmri(tmp_path / "scan.h5", kspace, header=HEADER.replace("<x>64</x>", "<x>32</x>"))  # not oversampled
    point = np.zeros((columns, rows, 2))
    point[20, 4] = 5
    np.testing.assert_allclose(KspaceReader().read(path, "one").values, point, atol=1e-5)


@pytest.mark.parametrize(("name", "kind"), [("scan.cfl", "BART"), ("meas.dat", "a Siemens scanner")])
def test_raw_data_in_other_formats_are_refused_by_name(tmp_path, name, kind):
    (tmp_path / name).write_bytes(b"\0" * 64)
    with pytest.raises(VolumeError, match=f"raw data of {kind}.*; convert it to HDF5 in the layout of ISMRMRD"):
        KspaceReader().read(tmp_path / name, "one")


def test_of_several_contrasts_one_is_chosen_and_averages_are_averaged(tmp_path):
    path = ismrmrd(tmp_path / "scan.h5", contrast=1)
    with pytest.raises(
        VolumeError, match=r"one \(scan.h5\): k-space has more than one contrast\W.*\[0, 1.*pass --reader::contrast"
    ):
        KspaceReader().read(path, "one")
    np.testing.assert_allclose(KspaceReader(contrast=1).read(path, "one").values, 2 * expected(), atol=2e-3)
    with pytest.raises(VolumeError, match="no contrast 5 in the file"):
        KspaceReader(contrast=5).read(path, "one")
    with pytest.raises(ConfigError, match="--reader::repetition is .*, not a whole number of 0 or more"):
        KspaceReader(repetition=-1)
    averaged = KspaceReader().read(ismrmrd(tmp_path / "averaged.h5", average=1), "one")
    np.testing.assert_allclose(averaged.values, 1.5 * expected(), atol=2e-3)
    with pytest.raises(VolumeError, match=r"k-space is not of 2-D slices\W.*8 partitions"):
        KspaceReader().read(ismrmrd(tmp_path / "volume.h5", z=8), "one")
    with pytest.raises(VolumeError, match=r"slices are unevenly spaced\W.*distances from 5 to 8 mm"):
        KspaceReader().read(ismrmrd(tmp_path / "uneven.h5", uneven=3), "one")


def test_a_fastmri_file_gives_its_images_and_a_warning(tmp_path):
    scan = KspaceReader().read(fastmri(tmp_path / "scan.h5", oversampled()), "one")
    np.testing.assert_allclose(scan.values, expected(), atol=1e-3)
    np.testing.assert_allclose(np.diag(scan.affine), [2, 2, 5, 1])
    assert "k-space lacks the patient's orientation" in str(scan.warnings[0])
    single = to_kspace(np.pad(images(), ((0, 0), (8, 8), (0, 0)))).astype(np.complex64)
    alone = KspaceReader().read(fastmri(tmp_path / "single.h5", single), "one")
    np.testing.assert_allclose(alone.values, expected(), atol=1e-3)


KSPACE, EVERY_SECOND = oversampled(), np.arange(COLUMNS) % 2 == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kspace": np.abs(KSPACE)}, r"k-space is not complex\W.*float32"),
        ({"kspace": np.where(KSPACE.max() == KSPACE, np.nan, KSPACE)}, r"k-space is not finite\W.*1 NaN or infinite"),
        ({"kspace": 0 * KSPACE}, "k-space is 0 everywhere; export"),
        ({"kspace": KSPACE[None]}, "kspace lacks one of slices, coils, rows and columns"),
        ({"kspace": KSPACE[:, 0], "coils": COILS}, r".*shape \(3, 32, 24\), 2 coils.*; add the missing axis"),
        ({"kspace": KSPACE, "trajectory": "spiral"}, r"k-space is not Cartesian\W.*trajectory spiral"),
        ({"kspace": KSPACE, "mask": EVERY_SECOND}, r"k-space is not 0 outside its mask\W.*384 samples"),
        ({"kspace": KSPACE, "mask": EVERY_SECOND[1:]}, r"the mask has another shape\W.*, of the k-space \(32, 24\)"),
        (
            {"kspace": KSPACE, "header": HEADER.replace("48", "nan")},
            r".*encodedSpace/fieldOfView_mm \(64.0, nan, 5.0\)",
        ),
        (
            {"kspace": KSPACE, "header": HEADER.replace("<x>32</x><y>24", "<x>inf</x><y>24")},
            r".*encodedSpace/matrixSize \(inf, 24.0, 1.0\)",
        ),
        (
            {"kspace": KSPACE, "header": HEADER.replace("<x>32</x><y>24", "<x>32.5</x><y>24")},
            r".*matrixSize \(32.5, 24.0, 1.0\), no whole numbers",
        ),
        (
            {"kspace": KSPACE, "header": HEADER.replace("<x>32</x><y>24", "<x>65536</x><y>24")},
            r".*matrixSize \(65536, 24, 1\), center 12, beyond 65535",
        ),
        ({"kspace": KSPACE, "coils": np.inf}, r"unknown datasets or attributes \(OverflowError"),
        (
            {"kspace": KSPACE * (1e16 / abs(KSPACE).max())},
            r"samples of k-space do not fit float32 \(.* 1e\+16\); rescale",
        ),
        ({"kspace": KSPACE, "affine": np.eye(4), "axis": 3}, r"the axis of the slices is not 0, 1 or 2 \(axis 3\)"),
    ],
)
def test_files_that_are_refused(tmp_path, content, message):
    path = fastmri(tmp_path / "scan.h5", **content)
    with pytest.raises(VolumeError, match=rf"one \(scan.h5\): {message}"):
        KspaceReader().read(path, "one")


def test_files_of_other_kinds_are_refused(tmp_path):
    path = tmp_path / "scan.h5"
    path.write_text("version https://git-lfs.github.com/spec/v1\nsize 9\n")
    with pytest.raises(VolumeError, match="a link to content that is not here.*get its content"):
        KspaceReader().read(path, "one")
    path.write_text("no HDF5")
    with pytest.raises(VolumeError, match="cannot read the file as HDF5"):
        KspaceReader().read(path, "one")
    damaged = bytearray(fastmri(tmp_path / "whole.h5", np.ones((1, 8, 8), np.complex64)).read_bytes())
    damaged[damaged.find(b"HEAP") + 16] ^= 1  # the place of free room among its names
    path.write_bytes(damaged)
    with pytest.raises(VolumeError, match="cannot read the file as HDF5"):
        KspaceReader().read(path, "one")
    with h5py.File(path, "w") as file:
        file["reconstruction_rss"] = images()
    with pytest.raises(VolumeError, match=r"neither kspace \(fastMRI\) nor a group .*\['reconstruction_rss'\]"):
        KspaceReader().read(path, "one")
    with h5py.File(path, "w") as file:
        file["kspace"] = oversampled()
    with pytest.raises(VolumeError, match="no ismrmrd_header in the file"):
        KspaceReader().read(path, "one")


@pytest.mark.parametrize("chunks", [None, (1, 1, 8, 8)])
def test_no_room_is_made_for_what_a_file_cannot_hold(tmp_path, chunks):
    path = fastmri(tmp_path / "scan.h5", np.ones((1, 1, 8, 8), np.complex64))
    with h5py.File(path, "a") as file:
        del file["kspace"]
        file.create_dataset("kspace", (500, 2, 64, 64), np.complex64, chunks=chunks)  # 32 MiB, none of them written
    with pytest.raises(VolumeError, match=r"holds less than it claims \(/kspace .* needs 32768000 bytes, the file has"):
        KspaceReader().read(path, "one")


def test_an_encoded_matrix_that_is_hardly_measured_is_refused(tmp_path):
    header = HEADER.replace("<y>24</y>", "<y>4096</y>")
    with pytest.raises(VolumeError, match="2304 samples in 3 matrices of 32 x 4096"):
        KspaceReader().read(ismrmrd(tmp_path / "scan.h5", header=header), "one")


def test_a_position_that_is_no_number_is_refused_and_pixels_are_those_encoded(tmp_path):
    def lost(acquisitions: np.ndarray) -> np.ndarray:
        acquisitions["head"]["position"] = np.nan
        return acquisitions[acquisitions["head"]["idx"]["slice"] == 0]

    with pytest.raises(VolumeError, match=r"the affine is not finite and invertible \(.*nan"):
        KspaceReader().read(ismrmrd(tmp_path / "lost.h5", change=lost), "one")
    wider = HEADER.replace("<fieldOfView_mm><x>32</x>", "<fieldOfView_mm><x>128</x>")  # of the image: 64 mm are encoded
    scan = KspaceReader().read(ismrmrd(tmp_path / "wider.h5", header=wider), "one")
    assert scan.values.shape == (24, 32, 3)
    np.testing.assert_allclose(np.diag(scan.affine), [-2, -2, 5, 1], atol=1e-5)


@pytest.mark.parametrize("name", ["kspace/a", "dataset/xml and dataset/data"])
def test_files_whose_entries_are_of_another_kind_are_refused(tmp_path, name):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        for each in name.split(" and "):
            file[each] = np.zeros(3)
    with pytest.raises(VolumeError, match=r"one \(scan.h5\): (unknown datasets or|the header is not ISMRMRD)"):
        KspaceReader().read(tmp_path / "scan.h5", "one")
    assert KspaceReader().extent(tmp_path / "scan.h5", "one") is None


@pytest.mark.parametrize(("plane", "mask"), [("axial", "equispaced"), ("coronal", "radial")])
def test_the_commands_k_space_gives_its_zero_filled_volume_on_the_grid_of_the_mr(tmp_path, plane, mask):
    volume = gradient((14, 18, 16))
    affine = np.array([[0, 0, 2.0, -9], [-3, 0, 0, 30], [0, 4, 0, -20], [0, 0, 0, 1]])  # axes P, S, R
    (tmp_path / "data" / "one").mkdir(parents=True)
    nib.save(nib.Nifti1Image(volume, affine), tmp_path / "data" / "one" / "mr.nii.gz")
    options = ["--kspace", "--coils", "2", "--plane", plane, "--mask", mask, "--acceleration", "2.5", "--noise", "0.01"]
    folders = ["--dataset_dir", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    assert synthesize(["simulate", "undersample", *folders, *options]) == 0
    case = tmp_path / "out" / "one"
    zero_filled = nib.load(case / "zero_filled.nii.gz").get_fdata(dtype=np.float32)
    scan = KspaceReader().read(case / "kspace.h5", "one")
    np.testing.assert_allclose(scan.values, zero_filled, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(scan.affine, affine)
    assert scan.warnings == ()
    with h5py.File(case / "kspace.h5") as file:
        assert file.attrs["acquisition"] == "SIMULATED"
        assert file["kspace"].shape[1] == 2
        assert file["mask"].ndim == (1 if mask == "equispaced" else 2)

    item = {"case": "one", "image": str(case / "kspace.h5")}
    loaded = LoadVolumed("image", KspaceReader())(item)
    pred = MetaTensor(torch.from_numpy(volume)[None], affine=loaded["image"].affine)
    blurred = pred + 20
    restored = DataConsistencyd("pred", KspaceReader())({**loaded, "case": "one", "pred": blurred})["pred"]
    assert isinstance(restored, MetaTensor)
    error = [float((each[0] - torch.from_numpy(volume)).abs().mean()) for each in (blurred, restored)]
    assert error[1] < 0.7 * error[0]
    with pytest.raises(DataError, match="the image has slices, rows and columns .*: do not resample"):
        DataConsistencyd("pred")({**loaded, "pred": pred[..., 1:]})


def gradient(shape: tuple[int, int, int]) -> np.ndarray:
    places = np.mgrid[tuple(slice(-1, 1, n * 1j) for n in shape)]
    inside = (places**2).sum(0) < 0.8
    return np.where(inside, 200 + 100 * places[0] + 50 * places[1], 0).astype(np.float32)


def test_k_space_is_known_by_its_zero_filled_magnitude(tmp_path):
    path = fastmri(tmp_path / "scan.h5", oversampled())
    reader = KspaceReader(nan_fill=1.0)
    (identity,) = identify([{"case": "c", "image": str(path)}], reader).values()
    assert identity.sha256 == content_hash(reader.read(path, "c").values)
    assert reader.nan_fill == 1.0


def test_an_evaluation_is_of_what_inference_writes():
    """Data consistency is in both, and in the validation of a training, where it is no option."""
    configs = {name: yaml.safe_load((Path(bundle_root()) / f"configs/{name}.yaml").read_text()) for name in CONFIGS}
    *others, consistency = configs["inference"]["postprocessing"]["transforms"][:-1]  # the last is for a server
    train = yaml.safe_load((Path(bundle_root()) / "configs/train.yaml").read_text())
    enabled = configs["evaluate"]["restore::transforms::2::enabled"]
    *validated, last = train["restore"]["transforms"]
    validated[-1]["_target_"] = "common.transforms.InvertInPlaced"  # the same, in less memory
    assert (others, consistency) == (validated, {**last, "enabled": enabled})
    assert all(config["data_consistency"] is True for config in configs.values())


def test_cases_that_are_no_k_space_are_left_as_they_are(tmp_path):
    nib.save(nib.Nifti1Image(gradient((8, 8, 8)), np.eye(4)), tmp_path / "mr.nii.gz")
    loaded = LoadVolumed("image", KspaceReader())({"case": "one", "image": str(tmp_path / "mr.nii.gz")})
    pred = loaded["image"] * 2
    assert DataConsistencyd("pred")({**loaded, "pred": pred})["pred"] is pred
    path = fastmri(tmp_path / "scan.h5", oversampled())
    loaded = LoadVolumed("image", KspaceReader())({"case": "one", "image": str(path)})
    assert DataConsistencyd("pred", enabled=False)({**loaded, "pred": pred})["pred"] is pred
    with pytest.raises(DataError, match="one: pred has . channels, not the magnitude alone"):
        DataConsistencyd("pred")({**loaded, "case": "one", "pred": torch.cat([loaded["image"]] * 2)})


def test_a_fully_sampled_scan_is_undersampled_with_its_own_phase(tmp_path, capsys):
    kspace = to_kspace(np.pad(images() * np.exp(0.7j), ((0, 0), (8, 8), (0, 0)))).astype(np.complex64)
    kspace[..., :2] = 0  # lines that the scanner left out
    (tmp_path / "data").mkdir()
    fastmri(tmp_path / "data" / "file1.h5", kspace)
    words = [
        "simulate",
        "undersample",
        "--dataset_dir",
        str(tmp_path / "data"),
        "--out",
        str(tmp_path / "pairs"),
        "--kspace",
    ]
    assert synthesize([*words, "--acceleration", "3"]) == 0
    folder = tmp_path / "pairs" / "file1"
    with h5py.File(folder / "kspace.h5") as file:
        mask, samples = file["mask"][()] > 0, file["kspace"][()]
        assert (file.attrs["acquisition"], bool(file.attrs["simulated"])) == ("UNDERSAMPLED", False)
    record = json.loads((folder / "degraded.json").read_text())
    assert record.keys() == {"description", "case", "seed", "mask", "acceleration", "centre_fraction"}
    # a third of the 24 columns, less what was not measured
    assert 6 <= mask.sum() <= 8
    assert not mask[:2].any()
    assert not samples[..., ~mask].any()
    cut = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(kspace, axes=1), axis=1), axes=1)[:, 8:24]
    for name, kept in (("mr", np.ones(COLUMNS, bool)), ("zero_filled", mask)):
        image = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(cut * kept, axes=2), axis=2), axes=2)
        magnitude = np.abs(image).transpose(2, 1, 0)
        made = nib.load(folder / f"{name}.nii.gz").get_fdata()
        np.testing.assert_allclose(made / made.max(), magnitude / magnitude.max(), atol=1e-5)
    again = KspaceReader().read(folder / "kspace.h5", "file1")
    np.testing.assert_allclose(again.values, nib.load(folder / "zero_filled.nii.gz").get_fdata(), atol=1e-3)
    refused = {
        "noise and coils of its own; omit --noise and --coils": ["--noise", "0.1"],
        "undersampled already": ["--dataset_dir", str(folder)],
    }
    for message, other in refused.items():
        assert synthesize([*words[:-1], "--out", str(tmp_path / "others"), *other]) == 2
        assert message in " ".join(capsys.readouterr().err.split())
    fastmri(tmp_path / "data" / "file1.hdf5", kspace)
    assert synthesize([*words[:-1], "--out", str(tmp_path / "others")]) == 2
    assert "have one name but for its ending: rename or remove one" in capsys.readouterr().err
    (tmp_path / "data" / "file1.hdf5").rename(tmp_path / "data" / "._file1.h5")
    thick = ["simulate", "thicken", "--dataset_dir", str(tmp_path / "data"), "--out", str(tmp_path / "others")]
    assert synthesize(thick) == 2
    assert "k-space cannot be degraded so; reconstruct it first, or pass undersample" in capsys.readouterr().err
