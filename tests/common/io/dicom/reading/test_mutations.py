"""Files that are damaged at random: refused by our error alone, or read."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from dicom_phantom import PATIENT, Grid, write_enhanced, write_series
from pydicom.uid import RLELossless

from common.errors import VolumeError
from common.io.dicom.reading.series import SeriesOptions, source_headers
from common.io.dicom.reading.volume import load_series

MUTATIONS = 800
GRID = Grid(shape=(6, 5, 3))


def compress(header, number):
    header.compress(RLELossless, generate_instance_uid=False)


def originals(root):
    write_series(root / "ct", GRID)
    write_series(root / "rle", GRID, change=compress)
    write_series(root / "pt", GRID, modality="PT")
    write_enhanced(root / "mr", GRID)
    return [sorted(folder.iterdir()) for folder in sorted(root.iterdir())]


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes changed, cut off, left out or doubled, or a length or VR overwritten by an extreme one."""
    raw, kind = bytearray(data), rng.integers(6)
    at = int(rng.integers(len(raw)))
    if kind == 0:
        for place in rng.integers(128, len(raw), rng.integers(1, 9)):
            raw[place] = rng.integers(256)
    elif kind == 1:
        del raw[at:]
    elif kind == 2:
        del raw[at : at + int(rng.integers(1, 64))]
    elif kind == 3:
        raw[at:at] = raw[at : at + int(rng.integers(1, 64))]
    elif kind == 4:
        raw[at : at + 4] = [b"\xff\xff\xff\xff", b"\xfe\xff\xff\x7f", b"\0\0\0\0", b"\xfe\xff\xdd\xe0"][rng.integers(4)]
    else:
        start = raw.find([b"US", b"DS", b"IS", b"UI", b"SQ", b"CS", b"LO"][rng.integers(7)], at)
        if start >= 0:
            raw[start : start + 2] = [b"SQ", b"OB", b"UN", b"FD", b"AT", b"ZZ", b"US", b"PN"][rng.integers(8)]
    return bytes(raw)


def refusal(read):
    """What our error says, empty where there is none; any other error passes through."""
    try:
        volume = read()
    except VolumeError as error:
        return str(error)
    if not isinstance(volume, list):
        assert np.isfinite(volume.values).all()
        assert np.isfinite(volume.affine).all()
    return ""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # what pydicom and numpy say of the damage
def test_damaged_files_raise_our_error_alone_and_name_no_patient(tmp_path):
    groups = originals(tmp_path / "in")
    rng = np.random.default_rng(0)
    outcomes: Counter[str] = Counter()
    folder = tmp_path / "out"
    folder.mkdir()
    for number in range(MUTATIONS):
        files = groups[number % len(groups)]
        hit = int(rng.integers(len(files)))
        for path in folder.iterdir():
            path.unlink()
        for place, path in enumerate(files):
            data = path.read_bytes()
            (folder / path.name).write_bytes(damaged(data, rng) if place == hit else data)
        options = SeriesOptions(resample_tilt=bool(number % 2))
        message = refusal(lambda options=options: load_series(folder, "case7", options))
        by_headers = refusal(lambda options=options: source_headers(folder, "case7", options))
        outcomes.update({"refused": bool(message), "refused by headers": bool(by_headers)})
        for said in filter(None, (message, by_headers)):
            assert said.startswith("case7 (out): ")
            assert not [secret for secret in PATIENT.values() if secret in said]
    assert 200 < outcomes["refused"] < MUTATIONS - 80, "a byte of a name or of a pixel makes no difference"
    assert outcomes["refused by headers"] < outcomes["refused"], "some damage shows in pixels alone"
