"""Phantoms of BART and sigpy as fastMRI's files, which are read as the images that their own programs make of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
from mri_dagan.kspace_files import HEADER, SPACE, read_kspace

pytestmark = [pytest.mark.slow, pytest.mark.longest]
HERE = Path(__file__).parent
ENVIRONMENT = Path(os.environ.get("INTEROP_VENV", HERE.parents[1] / "build" / "interop-venv")).absolute()
SIGPY = """
import sys, numpy, sigpy
rows, columns, kspace, image = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
phantom = sigpy.shepp_logan((rows, columns)) * numpy.linspace(1, 2, rows)[:, None]
numpy.save(kspace, sigpy.fft(phantom))
numpy.save(image, phantom)
"""
"""A phantom that has no symmetry, and its centred unitary Fourier transform."""


def kept(path: Path, kspace: np.ndarray) -> Path:
    """A k-space (rows, columns) in fastMRI's layout, with pixels of 1 mm."""
    rows, columns = kspace.shape
    space = SPACE.format(rows, columns, rows, columns, 1)
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace[None].astype(np.complex64)
        file["ismrmrd_header"] = HEADER.format(space=space, last=columns - 1, middle=columns // 2).encode()
    return path


def of_bart(path: Path) -> np.ndarray:
    """An array of BART, whose first axis runs fastest."""
    shape = [int(size) for size in path.with_suffix(".hdr").read_text().split("\n")[1].split()]
    values = np.fromfile(path.with_suffix(".cfl"), np.complex64, int(np.prod(shape)))
    return values.reshape(shape, order="F").squeeze()


@pytest.mark.skipif(not (ENVIRONMENT / "bin").is_dir(), reason="make interop-test makes the environment")
@pytest.mark.parametrize("shape", [(64, 64), (63, 65), (64, 63)])
def test_sigpy_s_transform_is_ours_for_even_and_odd_sizes(shape: tuple[int, int], tmp_path: Path) -> None:
    """sigpy 0.1.27: rows are the second axis of the volume; no half pixel, no factor."""
    kspace, image = tmp_path / "kspace.npy", tmp_path / "image.npy"
    words = [*map(str, shape), str(kspace), str(image)]
    subprocess.run([ENVIRONMENT / "bin" / "python", "-W", "ignore", "-c", SIGPY, *words], check=True)
    made = read_kspace(kept(tmp_path / "scan.h5", np.load(kspace)), "case").zero_filled()
    np.testing.assert_allclose(made[..., 0].T, np.abs(np.load(image)), atol=2e-6)


@pytest.mark.skipif(shutil.which("bart") is None, reason="BART is not installed (Debian: bart)")
@pytest.mark.parametrize("size", [64, 65])
def test_bart_s_analytic_phantom_is_what_its_inverse_transform_makes_of_it(size: int, tmp_path: Path) -> None:
    """BART 0.8: samples of ``phantom -k`` are about those of the image's plain transform over the number of pixels."""
    for words in (f"phantom -k -x {size} kspace", "fft -i -u 3 kspace image", f"phantom -x {size} drawn"):
        subprocess.run(["bart", *words.split()], cwd=tmp_path, check=True)
    kspace = of_bart(tmp_path / "kspace")
    made = read_kspace(kept(tmp_path / "scan.h5", kspace), "case").zero_filled()[..., 0].T
    np.testing.assert_allclose(made, np.abs(of_bart(tmp_path / "image")), atol=1e-7)
    middle = np.abs(of_bart(tmp_path / "drawn")).sum() / size**2
    assert np.abs(kspace[size // 2, size // 2]) == pytest.approx(middle, rel=0.05)
