"""Files that are damaged at random: refused by our error alone, or read."""

from __future__ import annotations

import numpy as np
import pytest
from dicom_phantom import PATIENT, Grid, write_enhanced, write_series
from pydicom.uid import RLELossless

from common.errors import VolumeError
from common.io.dicom.reading.series import SeriesOptions, source_headers
from common.io.dicom.reading.volume import load_series

MUTATIONS = 800
GRID = Grid(shape=(6, 5, 3))


def originals(root):
    write_series(root / "ct", GRID)
    write_series(root / "rle", GRID, change=lambda header, _: header.compress(RLELossless, generate_instance_uid=False))
    write_series(root / "pt", GRID, modality="PT")
    write_enhanced(root / "mr", GRID)
    return [sorted(folder.iterdir()) for folder in sorted(root.iterdir())]


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes changed, cut off, left out or doubled, or a length or VR overwritten by an extreme one."""
    at, more = int(rng.integers(len(data))), int(rng.integers(1, 64))
    vr = data.find([b"US", b"DS", b"IS", b"UI", b"SQ", b"CS", b"LO"][rng.integers(7)], at)
    start, stop, new = [
        (at, at + more % 8 + 1, rng.bytes(more % 8 + 1)),
        (at, len(data), b""),
        (at, at + more, b""),
        (at, at, data[at : at + more]),
        (at, at + 4, [b"\xff\xff\xff\xff", b"\xfe\xff\xff\x7f", b"\0\0\0\0", b"\xfe\xff\xdd\xe0"][rng.integers(4)]),
        (max(vr, 0), vr + 2, [b"SQ", b"OB", b"UN", b"FD", b"AT", b"ZZ", b"US", b"PN"][rng.integers(8)]),
    ][rng.integers(6)]
    return data[:start] + new + data[stop:]


def refusal(read, *given):
    """What our error says, empty where there is none; any other error passes through."""
    try:
        volume = read(*given)
    except VolumeError as error:
        return str(error)
    if not isinstance(volume, list):
        assert np.isfinite(volume.values).all()
        assert np.isfinite(volume.affine).all()
    return ""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # what pydicom and numpy say of the damage
def test_damaged_files_raise_our_error_alone_and_name_no_patient(tmp_path):
    groups, folder = originals(tmp_path / "in"), tmp_path / "out"
    folder.mkdir()
    rng, counts = np.random.default_rng(0), [0, 0]
    for number in range(MUTATIONS):
        files = groups[number % len(groups)]
        hit = int(rng.integers(len(files)))
        for path in folder.iterdir():
            path.unlink()
        for place, path in enumerate(files):
            data = path.read_bytes()
            (folder / path.name).write_bytes(damaged(data, rng) if place == hit else data)
        options = SeriesOptions(resample_tilt=bool(number % 2))
        for place, read in enumerate((load_series, source_headers)):
            if message := refusal(read, folder, "case7", options):
                counts[place] += 1
                assert message.startswith("case7 (out): ")
                assert not [secret for secret in PATIENT.values() if secret in message]
    assert 200 < counts[0] < MUTATIONS - 80, "a byte of a name or of a pixel makes no difference"
    assert counts[1] < counts[0], "some damage shows in pixels alone"
