"""Headers of MetaImage and NRRD: what ITK would guess or pass over is honoured, warned of or refused.

ITK leaves out units, the slope of stored values, and an orientation in letters; the table of all fields is in
docs/reference/data-formats.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

import numpy as np

from ..errors import Finding, VolumeError, Where
from .file_checks import first_bytes
from .voxel_bytes import GZIP, RAW, ZLIB, VoxelBytes

METAIMAGE = (".mha", ".mhd")
NRRD = (".nrrd", ".nhdr")
HEADER_BYTES = 2**16
THREE_DIMENSIONS = re.compile(r"\s*NDims\s*=\s*3\s*")
"""The line of a MetaImage with its number of dimensions."""
PATIENT_SPACES = (
    "left-posterior-superior", "lps", "right-anterior-superior", "ras", "left-anterior-superior", "las",
)  # fmt: skip
"""Of NRRD; ITK turns the coordinates of all three into LPS, and leaves those of others as they are."""
MM_OF_UNIT = {"mm": 1.0, "um": 1e-3, "\u00b5m": 1e-3, "cm": 10.0, "m": 1000.0, "?": 1.0, "": 1.0}
"""Sizes of the units of lengths; mm where it is unknown."""
QUANTISED = ("oldmin", "oldmax")
"""Fields of NRRD with the range that the stored values stand for."""
AWAY = 1e-3
"""Largest deviation of an axis from the length 1, and of its direction from letters."""
CORRECT = "correct the file if that is wrong"
EXPORT = "export it with its geometry"


@dataclass(frozen=True)
class ItkHeader:
    """What ITK does not apply: the unit of lengths in mm, slope and offset of the values; and warnings.

    ``voxels`` is where they lie, of which ITK compares no checksum and passes over the rest; None where they are text,
    or the header leaves their beginning to ITK.
    """

    mm: float = 1.0
    slope: float = 1.0
    offset: float = 0.0
    warnings: tuple[Finding, ...] = ()
    voxels: VoxelBytes | None = None


def read_itk_header(path: Path, where: Where) -> ItkHeader:
    """Read the fields that ITK guesses or passes over.

    Raises:
        VolumeError: the file cannot be read, or a field leaves the place, the direction or the values of voxels open.
    """
    start = first_bytes(path, HEADER_BYTES, where)
    lines = start.decode("latin-1").splitlines()
    if path.suffix.lower() in NRRD:
        fields = _fields(lines, ":", "")  # by names that ITK reads in any case, and with or without the space
        fields = {"".join(name.lower().split()): value for name, value in fields.items()}
        return replace(_nrrd(fields, where), voxels=_nrrd_voxels(path, start, fields, where))
    _require_three_dimensions(lines, where)
    fields = _fields(lines, "=", "ElementDataFile")
    return replace(_metaimage(fields, where), voxels=_metaimage_voxels(path, start, fields, where))


def _require_three_dimensions(lines: Iterable[str], where: Where) -> None:
    """Refuse a MetaImage of another number of dimensions, for which ITK makes room before it checks it.

    Raises:
        VolumeError: ``NDims`` is absent, or another one wherever it is named.
    """
    header = takewhile(lambda line: not line.startswith("ElementDataFile"), lines)
    named = [line for line in header if "NDims" in line]
    if not named or not all(THREE_DIMENSIONS.fullmatch(line) for line in named):
        raise VolumeError(where("not a 3-D volume", "NDims is not 3", "export it again"))


def _fields(lines: Iterable[str], separator: str, last: str) -> dict[str, str]:
    """The fields of a header up to the line that begins with ``last``, or is empty; ``key:=value`` is no field."""
    fields = {}
    for line in lines:
        name, _, value = line.partition(separator)
        if separator in line and not value.startswith("="):
            fields[name.strip()] = value.strip()
        if not line.strip() or last and line.startswith(last):
            break
    return fields


def _nrrd(fields: dict[str, str], where: Where) -> ItkHeader:
    space = fields.get("space", "none")
    if space.lower() not in PATIENT_SPACES:
        fault = f"the space is not one of {', '.join(PATIENT_SPACES[::2])}"
        raise VolumeError(where(fault, space, "export it in the patient's space"))
    if "spacedirections" not in fields:
        raise VolumeError(where("no space directions in the header", "", EXPORT))
    if "time" in fields.get("kinds", "").lower().split():
        raise VolumeError(where("an axis is not one of space", f"kinds: {fields['kinds']}", "export 3-D volumes"))
    if name := next((name for name in QUANTISED if name in fields), None):
        value = f"{name}: {fields[name]}"
        raise VolumeError(where("the values were quantised", value, "export them in their unit"))
    _require_next_to(fields.get("datafile", ""), where)
    notes = [] if "spaceorigin" in fields else [_assumed("no space origin in the header", "the origin at 0", where)]
    if unit := fields.get("sampleunits", "").strip('" '):
        notes.append(where("sample units are given", unit, "values are read as they are stored", "warning"))
    units = set(fields.get("spaceunits", "").replace('"', " ").split())
    if len(units) > 1:
        raise VolumeError(where("axes have different units", ", ".join(sorted(units)), "export it in mm"))
    mm = _unit(units.pop() if units else "", notes, where)
    return ItkHeader(mm, warnings=tuple(notes))


def _metaimage(fields: dict[str, str], where: Where) -> ItkHeader:
    if not {"ElementSpacing", "ElementSize"} & fields.keys():
        raise VolumeError(where("no ElementSpacing in the header", "", EXPORT))
    _require_next_to(fields.get("ElementDataFile", ""), where)
    notes: list[Finding] = []
    _check_direction(fields, notes, where)
    if not {"Offset", "Position", "Origin"} & fields.keys():
        notes.append(_assumed("no Offset in the header", "the origin at 0", where))
    slope, offset = (
        _numbers(fields, f"ElementToIntensityFunction{name}", default, where)[0]
        for name, default in (("Slope", "1"), ("Offset", "0"))
    )
    if not slope:
        raise VolumeError(where("ElementToIntensityFunctionSlope is 0", "", "export the file again"))
    if (slope, offset) != (1, 0):
        line = f"{slope:g} x stored value + {offset:g}"
        notes.append(where("ElementToIntensityFunction is given", line, "applied, which ITK does not", "warning"))
    return ItkHeader(_unit(fields.get("DistanceUnits", ""), notes, where), slope, offset, tuple(notes))


def _nrrd_voxels(path: Path, start: bytes, fields: dict[str, str], where: Where) -> VoxelBytes | None:
    """Where the voxels of an NRRD file lie: after the empty line, or in a file of their own."""
    form = {"raw": RAW, "gzip": GZIP, "gz": GZIP}.get(fields.get("encoding", "").lower())
    skipped = int(_numbers(fields, "byteskip", "0", where)[0])
    if form is None or "lineskip" in fields or skipped < 0:
        return None
    if (data := fields.get("datafile")) is not None:
        return VoxelBytes(path.parent / data, form, skipped=skipped)
    ends = [match.end() for match in re.finditer(rb"\r?\n\r?\n", start)]
    return VoxelBytes(path, form, ends[0], skipped=skipped) if ends else None


def _metaimage_voxels(path: Path, start: bytes, fields: dict[str, str], where: Where) -> VoxelBytes | None:
    """Where the voxels of a MetaImage lie: after the last line of its header, or in a file of their own."""
    data = fields.get("ElementDataFile", "")
    file, begin = path.parent / data, 0
    if data.upper() == "LOCAL":
        last = re.search(rb"^[ \t]*ElementDataFile[^\n]*\n", start, re.MULTILINE)
        file, begin = path, last.end() if last else len(start)
    if _is_true(fields, "CompressedData"):
        size = int(_numbers(fields, "CompressedDataSize", "0", where)[0]) or None
        if begin and size is None:
            raise VolumeError(where("no CompressedDataSize in the header", "", "export the file again"))
        return VoxelBytes(file, ZLIB, begin, size)
    skipped = int(_numbers(fields, "HeaderSize", "0", where)[0])  # from the beginning of the file
    is_text = not _is_true({"BinaryData": "True", **fields}, "BinaryData")
    if is_text or skipped < 0 or "%" in data:  # a pattern of names is for files of one slice each
        return None
    return VoxelBytes(file, RAW, skipped or begin)


def _is_true(fields: dict[str, str], name: str) -> bool:
    return fields.get(name, "").lower().startswith(("t", "1"))


def _check_direction(fields: dict[str, str], notes: list[Finding], where: Where) -> None:
    """Refuse, or note, what leaves the direction of the axes open.

    Raises:
        VolumeError: for axes of another length than 1, or given in letters alone.
    """
    names = [name for name in ("TransformMatrix", "Rotation", "Orientation") if name in fields]
    matrix = _numbers(fields, names[0] if names else "", "1 0 0 0 1 0 0 0 1", where).reshape(3, 3)
    if np.abs(np.linalg.norm(matrix, axis=1) - 1).max() > AWAY:
        raise VolumeError(where(f"axes of {names[0]} have not the length 1", fields[names[0]], EXPORT))
    letters = fields.get("AnatomicalOrientation", "???").upper()
    told = _direction(letters)
    if not names and told is not None and (told != np.eye(3)).any():
        fault = "no TransformMatrix in the header, but AnatomicalOrientation"
        raise VolumeError(where(fault, letters, EXPORT))
    if not names:
        notes.append(_assumed("no TransformMatrix in the header", "axes along left, posterior, superior", where))
    elif told is not None and (told != _nearest(matrix)).any():
        remedy = f"the matrix is used: {CORRECT}"
        notes.append(where("AnatomicalOrientation and TransformMatrix differ", letters, remedy, "warning"))
    centre = _numbers(fields, "CenterOfRotation", "0 0 0", where)
    if centre.any() and np.abs(matrix - np.eye(3)).max() > AWAY:
        shown = fields["CenterOfRotation"]
        notes.append(where("CenterOfRotation is not 0", shown, f"Offset is the first voxel: {CORRECT}", "warning"))


def _nearest(matrix: np.ndarray) -> np.ndarray:
    """The axes (3, 3), a row each, along which those of a matrix lie closest."""
    main = np.abs(matrix).argmax(axis=1)
    axes: np.ndarray = np.eye(3)[main] * np.sign(matrix[range(3), main])[:, None]
    return axes


def _direction(letters: str) -> np.ndarray | None:
    """The axes (3, 3) in LPS, a row each, that begin at the sides named, R to L for R; None for no such letters."""
    places = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "I": (2, 1), "S": (2, -1)}
    known = [places[letter] for letter in letters if letter in places]
    if len(letters) != 3 or sorted(axis for axis, _ in known) != [0, 1, 2]:
        return None
    return np.array([np.eye(3)[axis] * sign for axis, sign in known])


def _unit(name: str, notes: list[Finding], where: Where) -> float:
    """The size of a unit in mm, with a note on one that is not mm."""
    size = MM_OF_UNIT.get(name.lower())
    if size is None:
        raise VolumeError(where("the unit of lengths is unknown", name, "export it in mm"))
    if size != 1:
        notes.append(where("the unit of lengths is not mm", name, "converted to mm, which ITK does not", "warning"))
    return size


def _numbers(fields: dict[str, str], name: str, default: str, where: Where) -> np.ndarray:
    """The numbers of a field, as many as its default has."""
    count = len(default.split())
    try:
        numbers = np.array([float(part) for part in fields.get(name, default).split()])
    except ValueError:
        numbers = np.empty(0)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise VolumeError(where(f"{name} is not {count} finite numbers", fields[name], "export the file again"))
    return numbers


def _assumed(fault: str, what: str, where: Where) -> Finding:
    return where(fault, "", f"{what} is assumed: {CORRECT}", "warning")


def _require_next_to(data: str, where: Where) -> None:
    """Refuse data in another folder, which a moved or forged header may name, and lists of files."""
    if Path(data) != Path(Path(data).name) or data.upper().startswith("LIST"):
        raise VolumeError(where("the voxels are not in one file next to the header", data, "put both into one folder"))
