"""Images of a folder: volumes by case, patches by class, stacks of synthetic patches."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, some
from ..files import parse_json
from ..io.dicom.reading.headers import holds_series
from ..io.reader import VOLUMES, volume_path, volume_stem

REAL, SYNTHETIC = "real", "synthetic"
SYNTHETIC_NAME = re.compile(r"^(.+)_synthetic(_[A-Za-z0-9]+)*$")
"""Of the image of a case, such as ``case_1_synthetic_ct``."""


@dataclass(frozen=True)
class StudyImage:
    """Image on disk.

    Args:
        kind: ``real`` or ``synthetic``.
        case: name without the suffix of synthetic images; unique for each kind and class.
        label: class; empty without classes.
        path: file, or folder of a DICOM series.
        stack: whether it is a stack of patches (H, W, N), not one (H, W, 1) or the volume of a case.
    """

    kind: str
    case: str
    label: str
    path: Path
    stack: bool = False

    @property
    def patches(self) -> bool:
        """Whether it is a patch or a stack of them."""
        return self.stack or bool(self.label)


def find_images(folder: Path, kind: str, name: str | None = None) -> list[StudyImage]:
    """The images of a folder, by class and case.

    Folders below it are DICOM series (cases) or hold the patches of a class; with ``name`` each is a case that holds a
    volume of that name. A file with the JSON file of drawn samples next to it (``Class``, ``Seeds``) is a stack of
    patches.

    Args:
        folder: of the images.
        kind: ``real`` or ``synthetic``.
        name: of the volume in each case's folder, without its ending.

    Raises:
        DataError: for no folder, no images, or a case that occurs twice.
    """
    if not folder.is_dir():
        raise DataError(f"no folder {folder} (from --{kind})", "check the path")
    paths = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    found = [image for path in paths for image in (_of_case(path, kind, name) if name else _images(path, kind))]
    if not found:
        remedy = "arrange it as DIR/<case>.nii.gz, DIR/<case> with a DICOM series or DIR/<class>/<patch>.nii.gz, draw "
        remedy += f"samples with --format nifti, or name the cases' volumes by --{kind}_name"
        raise DataError(
            f"--{kind} {folder} holds {some([path.name for path in paths]) or 'nothing'}, no images", remedy
        )
    counts = Counter((image.label, image.case) for image in found)
    if twice := [case for (_, case), count in counts.items() if count > 1]:
        raise DataError(f"--{kind} {folder} holds {some(twice)} twice", "remove or rename one of them")
    return sorted(found, key=lambda image: (image.label, image.case))


def _of_case(path: Path, kind: str, name: str) -> Iterator[StudyImage]:
    if path.is_dir():
        volumes = volume_path(path, name, VOLUMES)
        if len(volumes) != 1:
            fault = f"--{kind} {path.parent} has no volume {name}, or several, in {path.name}"
            raise DataError(fault, f"leave one in each folder, or change --{kind}_name")
        yield StudyImage(kind, path.name, "", volumes[0])


def _images(path: Path, kind: str) -> Iterator[StudyImage]:
    if path.is_dir() and not holds_series(path):
        files = [file for file in sorted(path.iterdir()) if _is_volume(file)]
        yield from (StudyImage(kind, _case_of(file), path.name, file) for file in files)
    elif path.is_dir() or _is_volume(path):
        about = _samples_of(path.with_name(f"{volume_stem(path)}.json"))
        yield StudyImage(kind, _case_of(path), str(about.get("Class", "")), path, bool(about))


def _case_of(path: Path) -> str:
    return SYNTHETIC_NAME.sub(r"\1", volume_stem(path))


def _is_volume(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(VOLUMES) and not path.name.startswith(".")


def _samples_of(sidecar: Path) -> dict[str, object]:
    """Content of the JSON file of drawn samples; empty if there is none or it is about something else."""
    try:
        about = parse_json(sidecar.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise DataError(f"cannot read {sidecar} ({error})", "restore or remove it") from error
    return about if isinstance(about, dict) and isinstance(about.get("Seeds"), list) else {}
