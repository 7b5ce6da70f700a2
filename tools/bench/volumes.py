"""Source volumes of benchmarks."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from tools.repository import own_settings


def write_source(path: Path, shape: Sequence[int], highest: float, step: float = 1.0, air: float = 0.0) -> None:
    """Write a ball in air as int16 of one step, plane by plane; values vary inside."""
    x, y = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]  # type: ignore[misc]
    grain = np.random.default_rng(0).random((shape[0], shape[1]))
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape(shape)
    header.set_sform(np.diag([-1.0, -1.0, 1.0, 1.0]), 1)
    header["magic"], header["vox_offset"], header["scl_slope"], header["scl_inter"] = b"n+1", 352, step, 0
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header.binaryblock + bytes(4))
        for z in np.linspace(-1, 1, shape[2]):
            values = highest * (0.3 + 0.4 * grain + 0.3 * np.abs(np.sin(7 * x + 5 * y + 9 * z)))
            plane = np.where(x**2 + y**2 + z**2 < 0.8, values, air)
            file.write(np.round(plane / step).astype(np.int16).tobytes(order="F"))


def sources_of(bundle: str) -> list[str]:
    """Names of the sources of a bundle."""
    return str(own_settings(bundle, "inference")["source"]).split(",")
