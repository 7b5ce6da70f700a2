"""Where volumes are read and written by ``synthesize``: the endings of files, and what is refused at once."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from common.errors import DataError, OutputError
from common.files import GET_CONTENT, NOT_HERE, is_broken_link

FILES = {".nii.gz": "nifti", ".nrrd": "nrrd", ".mha": "mha", ".png": "png", ".ome.tif": "ome-tiff", ".tif": "tiff"}
"""Endings of an output that is one file, with its format; another is a folder."""
VOLUMES = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".nhdr", ".mgz", ".mgh")
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
"""Files of bundles of pictures."""
SLICES = (".dcm", ".ima")
HDF5 = ".h5"
"""Of k-space, which one bundle takes."""
OTHER_FILES = (*VOLUMES, *SLICES, *PICTURES, ".hdr", ".img", ".zip", ".json")
"""Endings that are no name of a folder of outputs."""
SIDECAR = ".json"
MAP = "_uncertainty.nii.gz"
"""Ending of the map of half-widths next to a volume, with ``--uncertainty true``."""
REFUSED = b'"Refused": true'
"""In the JSON of a refused case; without a volume next to it, it may be replaced."""


def require_source(source: Path | None, formats: tuple[str, ...] = VOLUMES) -> bool:
    """Whether a source is a folder with one volume for each case; ``formats`` are the endings of files.

    Raises:
        DataError: for what cannot be one or more volumes.
    """
    remedy = f"pass a {'picture' if formats == PICTURES else 'volume, a DICOM series'} or a folder of them"
    if source is None:
        raise DataError("SOURCE is missing", remedy)
    if not source.is_file() and not source.is_dir():
        if source.exists():
            raise DataError(f"SOURCE {source} is a pipe, socket or device", remedy)
        if is_broken_link(source):
            raise DataError(f"SOURCE {source} is {NOT_HERE}", GET_CONTENT)
        raise DataError(f"no file or folder {source} (SOURCE)", "check the path")
    if source.is_file():
        if source.name.lower().endswith(SLICES):
            raise DataError(f"SOURCE {source} is one slice of a series", "pass its folder")
        if not source.name.lower().endswith(formats):
            if HDF5 in formats:
                remedy += f", or raw data of BART or twix as {HDF5} (ISMRMRD or fastMRI)"
            raise DataError(f"SOURCE {source} is not a folder and does not end in {', '.join(formats)}", remedy)
        return False
    held = [path for path in source.iterdir() if not path.name.startswith(".")]
    if not held:
        raise DataError(f"SOURCE {source} is an empty folder", remedy)
    return any(path.is_dir() or path.name.lower().endswith((*VOLUMES, *formats)) for path in held)


def require_output(options: argparse.Namespace, many: bool) -> None:
    """Refuse an output that cannot be written, or must not; ``many`` where the source may hold several volumes.

    Raises:
        OutputError: with the path.
    """
    output: Path = options.output
    require_writable(output, "--output")
    if not ending(output):
        if output.name.lower().endswith(OTHER_FILES):
            own = "NAME.png" if options.bundle.makes_pictures else "NAME.nii.gz"
            raise OutputError(
                f"--output {output} is not a folder and does not end in {', '.join(FILES)}", f"pass {own}"
            )
        if output.is_file():
            raise OutputError(f"--output {output} is a file", "pass a folder, or NAME.nii.gz")
        return
    if many:
        raise OutputError(f"--output {output} is one file, SOURCE holds several volumes", "pass a folder")
    if options.output_format or options.resume:
        option = "--resume" if options.resume else f"--output_format {options.output_format}"
        raise OutputError(f"--output {output} is one file, {option} needs a folder", "pass a folder")
    if options.source is not None and output.resolve() == options.source.resolve():
        raise OutputError("--output must differ from SOURCE")
    sidecar = beside(output, SIDECAR)
    may_replace = options.overwrite or (not output.exists() and is_refusal(sidecar))
    for path in (output, sidecar, beside(output, MAP)):
        if path.is_dir():
            raise OutputError(f"{path} is a folder (from --output)", "choose another name")
        if path.exists() and not may_replace:
            raise OutputError(f"{path} exists (from --output)", "add --overwrite, or choose another name")


def require_writable(output: Path, option: str) -> None:
    """Refuse a new file or folder where none can be made.

    Raises:
        OutputError: with the folder above it that there is.
    """
    there = next(path for path in (output.absolute(), *output.absolute().parents) if path.exists())
    if there != output.absolute() and not (there.is_dir() and os.access(there, os.W_OK)):
        raise OutputError(f"cannot write to {there} (from {option})", "choose another folder")


def is_refusal(sidecar: Path) -> bool:
    """Whether a file is the JSON of a refused case, or of the volume of one."""
    return sidecar.is_file() and REFUSED in sidecar.read_bytes()


def beside(output: Path, other: str) -> Path:
    """The path next to an output file that has its name with another ending."""
    return output.with_name(output.name.removesuffix(ending(output)) + other)


def ending(output: Path) -> str:
    """The ending of a file; empty for a folder."""
    return next((each for each in FILES if output.name.endswith(each)), "")
