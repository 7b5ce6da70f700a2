"""Mutations of NIfTI files: fields of the header, bytes, containers, values, types."""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from tests.fuzz.mutation import Mutation, Rule, Target, case_of, damaged, junk

HEADER = 348
INTEGERS = (0, 1, -1, 2, 3, 5, 7, 8, 16, 64, 128, 255, 512, 32767, -32768, 2304)
REALS = (0.0, -1.0, 1.0, 0.5, 352.0, 351.0, 1e6, 1e-6, 1e30, -1e30, float("nan"), float("inf"), float("-inf"))
GEOMETRY = (
    "dim", "pixdim", "datatype", "bitpix", "vox_offset", "scl_slope", "scl_inter", "qform_code", "sform_code",
    "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "srow_x", "srow_y", "srow_z", "xyzt_units", "magic",
    "sizeof_hdr",
)  # fmt: skip
"""Fields that say how the file is read; the others are drawn too, less often."""


def packed(path: Path, raw: bytes) -> bytes:
    return gzip.compress(raw, 1, mtime=0) if path.name.endswith(".gz") else raw


def unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if path.name.endswith(".gz") else content


def mutate(rng: random.Random, target: Target) -> Mutation:
    """Change one of the volumes that the command reads."""
    path = rng.choice(target.volumes())
    before = path.read_bytes()
    how = rng.choices((_field, _bytes, _container, _values, _stored), (9, 5, 3, 4, 4))[0]
    what = f"{path.relative_to(target.inputs)}: {how(path, rng)}"
    return Mutation(f"nifti {how.__name__[1:]}", what, Rule.SOURCE, case_of(path), volume=(path, before))


def _field(path: Path, rng: random.Random) -> str:
    """One or two fields of the header, or one bit of it."""
    raw = bytearray(unpacked(path))
    if rng.random() < 0.15:
        at = rng.randrange(HEADER + 4)
        raw[at] ^= 1 << rng.randrange(8)
        path.write_bytes(packed(path, bytes(raw)))
        return f"bit of header byte {at}"
    changes = []
    for _ in range(rng.choice((1, 1, 2))):
        fields = nib.Nifti1Header(bytes(raw[:HEADER]), check=False).structarr.copy()
        names = GEOMETRY if rng.random() < 0.8 else fields.dtype.names
        changes.append(_change_field(fields, rng.choice(names), rng))
        raw[:HEADER] = fields.tobytes()
    path.write_bytes(packed(path, bytes(raw)))
    return "header, " + ", ".join(changes)


def _change_field(fields: Any, name: str, rng: random.Random) -> str:
    kind = fields.dtype[name]
    base, count = (kind.subdtype[0], int(np.prod(kind.shape))) if kind.subdtype else (kind, 1)
    at = rng.randrange(count)
    value: Any = rng.choice((b"ni1\0", b"n+1\0", b"n+2\0", b"", b"\xff\xff\xff\xff"))
    if base.kind == "f":
        value = rng.choice(REALS)
    elif base.kind in "iu":
        limits = np.iinfo(base)
        value = max(min(rng.choice(INTEGERS), limits.max), limits.min)
    if count > 1:
        fields[name][at] = value
    else:
        fields[name] = value
    return f"{name}[{at}] = {value!r}"


def _bytes(path: Path, rng: random.Random) -> str:
    """Of the file as it is on disk, or of what is packed in it."""
    if rng.random() < 0.6:
        content, what = damaged(path.read_bytes(), rng)
        path.write_bytes(content)
        return f"file, {what}"
    content, what = damaged(unpacked(path), rng)
    path.write_bytes(packed(path, content))
    return f"unpacked, {what}"


def _container(path: Path, rng: random.Random) -> str:
    """What is no file, or another file than its name says."""
    raw = unpacked(path)

    def pipe() -> None:
        os.mkfifo(path)

    ways: Mapping[str, Callable[[], object]] = {
        "removed": lambda: None,
        "a folder": path.mkdir,
        "a pipe": pipe,
        "a link to itself": lambda: path.symlink_to(path.name),
        "a link to nothing": lambda: path.symlink_to("gone"),
        "a link to a device": lambda: path.symlink_to("/dev/zero"),
        "raw named as packed, or packed named as raw": lambda: path.write_bytes(
            raw if path.name.endswith(".gz") else gzip.compress(raw)
        ),
        "packed twice": lambda: path.write_bytes(gzip.compress(packed(path, raw))),
        "two members": lambda: path.write_bytes(packed(path, raw[:500]) + packed(path, raw[500:])),
        "junk": lambda: path.write_bytes(junk(rng)),
        "a text": lambda: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "an array of numpy": lambda: _numpy(path),
    }
    how = rng.choice(list(ways))
    path.unlink()
    ways[how]()
    return how


def _numpy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def _values(path: Path, rng: random.Random) -> str:
    """Voxels of the same type and grid."""
    image: Any = nib.load(path)
    values = np.asarray(image.dataobj, dtype=np.float32)
    spot = tuple(rng.randrange(side) for side in values.shape)
    how = rng.choice(("NaN", "Inf", "-Inf", "all NaN", "constant", "zero", "negated", "huge", "shifted", "HU", "one"))
    if how in ("NaN", "Inf", "-Inf"):
        values[spot] = float(how)
    elif how in ("all NaN", "constant", "zero"):
        values[...] = {"all NaN": np.nan, "constant": 7, "zero": 0}[how]
    elif how == "one":
        values[...], values[spot] = 0, 1
    else:
        with np.errstate(over="ignore"):
            change = {"negated": (-1, 0), "huge": (1e30, 0), "shifted": (1, 1e5), "HU": (1, -1000)}[how]
            values = (values * np.float32(change[0]) + np.float32(change[1])).astype(np.float32)
    _save(nib.Nifti1Image(values, image.affine), path)
    return f"values, {how}"


def _stored(path: Path, rng: random.Random) -> str:
    """The same or other values in another type, shape, byte order or version of the format."""
    image: Any = nib.load(path)
    values, affine = np.asarray(image.dataobj, dtype=np.float64), image.affine.copy()
    rank = values.ndim
    ways: Mapping[str, Callable[[], Any]] = {
        "float64": lambda: nib.Nifti1Image(values, affine),
        "NIfTI-2": lambda: nib.Nifti2Image(values.astype(np.float32), affine),
        "big endian": lambda: nib.Nifti1Image(values, affine, nib.Nifti1Header(endianness=">")),
        "uint8": lambda: nib.Nifti1Image(values.astype(np.uint8), affine),
        "int16": lambda: nib.Nifti1Image(values.astype(np.int16), affine),
        "complex": lambda: nib.Nifti1Image(values.astype(np.complex64), affine),
        "RGB": lambda: nib.Nifti1Image(_colours(values), affine),
        "float64 beyond float32": lambda: nib.Nifti1Image(values * 1e300, affine),
        "a fourth dimension of one": lambda: nib.Nifti1Image(values[..., None], affine),
        "a fourth dimension of two": lambda: nib.Nifti1Image(np.stack([values, values], -1), affine),
        "five dimensions": lambda: nib.Nifti1Image(values[..., None, None, None].repeat(2, -1), affine),
        "two dimensions": lambda: nib.Nifti1Image(values[:, :, values.shape[2] // 2], affine),
        "one slice": lambda: nib.Nifti1Image(values[:, :, 16:17], affine),
        "one voxel": lambda: nib.Nifti1Image(values[:1, :1, :1], affine),
        "cropped": lambda: nib.Nifti1Image(values[2:-3, 1:], affine),
        "an extension": lambda: _extended(values, affine),
        "sheared": lambda: nib.Nifti1Image(values, affine @ _shear(0.2)),
        "mirrored": lambda: nib.Nifti1Image(values[::-1], affine @ np.diag([-1, 1, 1, 1])),
        "axes exchanged": lambda: nib.Nifti1Image(values.transpose(2, 0, 1), affine[:, [2, 0, 1, 3]]),
        "singular": lambda: _with_sform(values, affine @ np.diag([1, 1, 0, 1])),
        "far away": lambda: _with_sform(values, affine + 1e7 * np.eye(4, k=3)),
        "0.01 mm": lambda: nib.Nifti1Image(values, affine @ np.diag([0.01, 0.01, 0.01, 1])),
        "300 mm": lambda: nib.Nifti1Image(values, affine @ np.diag([50, 50, 50, 1])),
    }
    how = rng.choice(list(ways)) if rank == 3 else "float64"
    _save(ways[how](), path)
    return f"stored as {how}"


def _colours(values: np.ndarray) -> np.ndarray:
    return np.zeros(values.shape, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])


def _extended(values: np.ndarray, affine: np.ndarray) -> Any:
    image = nib.Nifti1Image(values, affine)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"a comment"))
    return image


def _shear(amount: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[0, 1] = amount
    return matrix


def _with_sform(values: np.ndarray, affine: np.ndarray) -> Any:
    image = nib.Nifti1Image(values, np.eye(4))
    image.header.set_sform(affine, 2)
    image.header["qform_code"] = 0
    image._affine = affine
    return image


def _save(image: Any, path: Path) -> None:
    """Written by nibabel under another name first, since it takes the format from the ending."""
    temporary = path.with_name("mutated.nii")
    nib.save(image, temporary)
    path.write_bytes(packed(path, temporary.read_bytes()))
    temporary.unlink()
