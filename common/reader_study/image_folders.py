"""Images of a folder: volumes by case, patches by class, stacks of synthetic patches."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, some
from ..files import parse_json
from ..io.dicom.reading.headers import holds_series
from ..io.reader import VOLUMES, volume_path, volume_stem

REAL, SYNTHETIC = "real", "synthetic"
PNG = ".png"
SYNTHETIC_NAME = re.compile(r"(.+)_synthetic(_[A-Za-z0-9]+)*")
LAYOUT = (
    "DIR/<case>.nii.gz, DIR/<case> with a DICOM series, DIR/<class>/<patch>.nii.gz or .png, or DIR/<class>.nii.gz with "
    "the JSON file of samples"
)


@dataclass(frozen=True)
class StudyImage:
    """Image on disk.

    Args:
        kind: ``real`` or ``synthetic``.
        case: name without the suffix of synthetic images; unique for each kind and class.
        label: class; empty without classes.
        path: file, or folder of a DICOM series.
        place: of a patch in a stack (H, W, N), from 0; None for an image of its own.
        stacked: number of patches that the stack must have; 0 for an image of its own.
    """

    kind: str
    case: str
    label: str
    path: Path
    place: int | None = None
    stacked: int = 0

    @property
    def is_picture(self) -> bool:
        """Whether it is a PNG."""
        return self.path.suffix.lower() == PNG


def find_images(folder: Path, kind: str, name: str | None = None) -> list[StudyImage]:
    """The images of a folder, by class and case.

    Folders below it are DICOM series (cases) or hold the patches of a class; with ``name`` each is a case that holds a
    volume of that name. A NIfTI file with the JSON file of drawn samples next to it (``Class``, ``Seeds``) is a stack
    of patches. The image grid of a stack, a PNG of the same name, is skipped.

    Args:
        folder: of the images.
        kind: ``real`` or ``synthetic``.
        name: of the volume in each case's folder, without its ending.

    Raises:
        DataError: for no folder, no images, an image grid alone, or a case that occurs twice.
    """
    if not folder.is_dir():
        raise DataError(f"no folder {folder} (from --{kind})", "check the path")
    what = f"--{kind} {folder}"
    found = _in_case_folders(folder, kind, name, what) if name else list(_in_folder(folder, kind))
    if not found:
        names = some([path.name for path in sorted(folder.iterdir())])
        remedy = (
            f"arrange it as {LAYOUT}; draw samples with --format nifti, or name the cases' volumes by --{kind}_name"
        )
        raise DataError(f"{what} {f'holds no images, only {names}' if names else 'is an empty folder'}", remedy)
    counts = Counter((each.label, each.case) for each in found)
    if twice := [f"{label}/{case}" if label else case for (label, case), count in counts.items() if count > 1]:
        raise DataError(f"{what} holds {some(twice)} twice", "remove or rename one of them")
    return sorted(found, key=lambda each: (each.label, each.case))


def case_of(stem: str) -> str:
    """Name of the case of a file or folder: without ``_synthetic`` and what follows it, such as ``_synthetic_ct``."""
    match = SYNTHETIC_NAME.fullmatch(stem)
    return match[1] if match else stem


def _in_case_folders(folder: Path, kind: str, name: str, what: str) -> list[StudyImage]:
    folders = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    volumes = {each: volume_path(each, name, VOLUMES) for each in folders}
    if lacking := [each.name for each, paths in volumes.items() if len(paths) != 1]:
        fault = f"{what} has no volume {name}, or several, in {some(lacking)}"
        raise DataError(fault, f"leave one in each folder, or change --{kind}_name")
    return [StudyImage(kind, each.name, "", paths[0]) for each, paths in volumes.items()]


def _in_folder(folder: Path, kind: str) -> Iterator[StudyImage]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not holds_series(path):
            files = [file for file in sorted(path.iterdir()) if _is_image(file)]
            yield from (StudyImage(kind, case_of(_stem(file)), path.name, file) for file in files)
        elif path.is_dir() or _is_image(path):
            yield from _alone_or_stack(path, kind)


def _alone_or_stack(path: Path, kind: str) -> Iterator[StudyImage]:
    stem = path.name if path.is_dir() else _stem(path)
    if path.suffix.lower() == PNG and stem != case_of(stem):
        raise DataError(f"{path} is the image grid of samples", "draw the samples again with --format nifti")
    label, count = _samples_of(path.with_name(f"{stem}.json")) if path.is_file() else ("", 0)
    if count:
        yield from (StudyImage(kind, f"sample_{i:05d}", label, path, i, count) for i in range(count))
    else:
        yield StudyImage(kind, case_of(stem), "", path)


def _samples_of(sidecar: Path) -> tuple[str, int]:
    """Class and number of the samples that a JSON file describes; none if it is about something else."""
    try:
        about = parse_json(sidecar.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "", 0
    except ValueError as error:
        raise DataError(f"cannot read {sidecar} ({error})", "restore or remove it") from error
    if not isinstance(about, dict) or not isinstance(about.get("Seeds"), list):
        return "", 0
    return str(about.get("Class", "")), len(about["Seeds"])


def _is_image(path: Path) -> bool:
    """Whether a file is read: a volume, or a PNG that is not the grid of a stack next to it."""
    name = path.name.lower()
    if name.startswith(".") or not path.is_file():
        return False
    if not name.endswith(PNG):
        return name.endswith(VOLUMES)
    return not any(path.with_name(_stem(path) + ending).exists() for ending in VOLUMES)


def _stem(path: Path) -> str:
    return path.stem if path.suffix.lower() == PNG else volume_stem(path)


def classes_of(images: Sequence[StudyImage]) -> list[str]:
    """Names of the classes, sorted; empty where images have none."""
    return sorted({image.label for image in images} - {""})
