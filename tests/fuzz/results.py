"""What a command gave: volumes, series, weights, tables and texts by their names, to be compared exactly."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import torch

MOST_VALUES = 10**7
"""Of a mutated volume that is looked at; a header that claims more is not followed."""
TIME = re.compile(r"^(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d(,\d+)? (- )?")
WARNING = re.compile(r"^(WARNING|ERROR)\b|^- (WARNING|ERROR) -|^(warning|error): ")
Results = dict[str, Any]


def results(out: Path, stdout: str, texts: bool) -> Results:
    """Arrays and texts by name; those of the volume ``a.nii.gz`` are ``a.nii.gz`` and ``a.nii.gz affine``.

    Args:
        out: the output folder.
        stdout: of the command, with the places of its folder replaced.
        texts: whether what it prints is its result.
    """
    found: Results = {"stdout": stdout.strip()} if texts else {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if not path.is_file() or name.startswith("models/previous"):
            continue
        if name.endswith((".nii.gz", ".nii")):
            image: Any = nib.load(path)
            found |= {name: np.asarray(image.dataobj), f"{name} affine": image.affine}
        elif name.endswith((".mha", ".nrrd")):
            found[name] = np.frombuffer(path.read_bytes(), np.uint8)
        elif path.name == "model.pt":
            content: Mapping[str, torch.Tensor] = torch.load(path, weights_only=True)
            found |= {f"{name} {key}": value.numpy() for key, value in content.items()}
        elif path.name == "metrics.csv" or (texts and path.suffix == ".json"):
            found[name] = path.read_text().replace(str(out.parent), "{box}")
    return found | _series(out)


def _series(out: Path) -> Results:
    """The slices of the series below a folder, in the order of their positions."""
    found: Results = {}
    for folder in {path.parent for path in out.rglob("*.dcm")}:
        slices = sorted(map(pydicom.dcmread, folder.glob("*.dcm")), key=lambda each: int(each.InstanceNumber))
        name = str(folder.relative_to(out))
        found[name] = np.stack([each.pixel_array * float(each.get("RescaleSlope", 1)) for each in slices])
        found[f"{name} affine"] = np.array([each.ImagePositionPatient for each in slices], dtype=float)
    return found


def manifest(out: Path) -> list[dict[str, Any]]:
    """The outcomes of the cases of an inference; empty where it wrote none."""
    path = out / "manifest.json"
    try:
        entries = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def new_warnings(text: str, baseline: str) -> list[str]:
    """The warnings and errors of a command that its unmutated form does not have."""
    known = set(map(_plain, baseline.splitlines()))
    return [line for line in map(_plain, text.splitlines()) if WARNING.match(line) and line not in known]


def _plain(line: str) -> str:
    return TIME.sub("", line.strip())


def renamed(found: Results, names: Mapping[str, str]) -> Results:
    """Results by the names that the unmutated command has for them, in their texts as well."""

    def plain(text: str) -> str:
        for new, old in names.items():
            text = text.replace(new, old).replace(json.dumps(new)[1:-1], old)
        return text

    return {plain(name): plain(value) if isinstance(value, str) else value for name, value in found.items()}


def same(one: Any, other: Any, tolerance: float = 0.0) -> bool:
    """Whether two results are equal, or close relative to the largest value."""
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
        return bool(one == other)
    if one.shape != other.shape:
        return False
    if tolerance and one.size and one.dtype.kind == "f":
        reach = float(np.abs(other).max()) or 1.0
        return bool(np.allclose(one, other, rtol=0, atol=tolerance * reach))
    return bool(np.array_equal(one, other))


def not_finite(found: Results) -> list[str]:
    arrays = {name: value for name, value in found.items() if isinstance(value, np.ndarray)}
    return [name for name, value in arrays.items() if value.dtype.kind == "f" and not np.isfinite(value).all()]


def as_nibabel_reads(content: bytes, folder: Path, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Values and affine of a NIfTI file by its bytes; None where nibabel does not read it, or it claims too much."""
    path = folder / f"assessed{''.join(Path(name).suffixes[-2:])}"
    path.write_bytes(content)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            image: Any = nib.load(path)
            if np.prod(image.shape, dtype=float) > MOST_VALUES:
                return None
            return np.asarray(image.dataobj), image.affine
    except Exception:  # nibabel has many types of errors for a file that is none
        return None
    finally:
        path.unlink()
