"""SynthRAD algorithm container: the images of ``/input`` through ``synthesize mr2ct`` to ``/output``.

Files and ``results.json`` are those of the organisers' interface, which docs/how-to/deployment.md describes. Needs
``synthesize`` and SimpleITK alone: the container holds this file, not the repository. Not for clinical use.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import SimpleITK

from medical_image_synthesis.command import main as synthesize

FORMATS = {".mha": "mha", ".nii.gz": "nifti"}
"""Endings of 2025 and 2023, with the command's name of the format."""
TASKS = ("mri", "cbct")
REGIONS = ("Head and Neck", "Brain")
"""Of Task 1: what the shipped weights are for."""
AIR = -1000  # HU, as synthesize has outside the body
GRID_TOLERANCE = 1e-3
"""Largest difference of origins and spacings, in voxels, and of directions, on one grid: headers are rounded."""


class SynthradError(Exception):
    """An input or output that cannot be used; the message is one sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 where every image has a synthetic CT, 1 where one has none, 2 for a mistake."""
    parser = argparse.ArgumentParser(prog="synthrad", description="A synthetic CT of each image, as SynthRAD reads it.")
    parser.add_argument("--input", type=Path, default="/input", help="folder with images and region.json")
    parser.add_argument("--output", type=Path, default="/output", help="folder of the results")
    parser.add_argument("--model", type=Path, default="/opt/ml/model", help="folder with your model.pt and model.json")
    options = parser.parse_args(arguments)
    try:
        return run(options.input, options.output, options.model)
    except SynthradError as error:
        message = str(error)
    except OSError as error:
        message = f"cannot read or write {error.filename} ({error.strerror}): check the path and its permissions"
    print(f"error: {message}", file=sys.stderr)
    return 2


def run(source: Path, output: Path, model: Path) -> int:
    """Synthesise all images of ``source/images/mri``, or else ``cbct``; see :func:`main`.

    Raises:
        SynthradError: for no images, images that the shipped weights are not for, or results that exist.
    """
    task = next((name for name in TASKS if (source / "images" / name).is_dir()), TASKS[0])
    folder, region = source / "images" / task, source / "region.json"
    images, made_in = volumes(folder), output / "images" / "synthetic-ct"
    endings = {_ending(image) for image in images}
    if len(endings) != 1:
        raise SynthradError(f"{folder} has no images of one format: pass {' or '.join(FORMATS)}")
    weights = _weights(model, task, region)
    if (results := output / "results.json").exists():
        raise SynthradError(f"{results} exists: pass another --output")
    made_in.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as made:
        words = ["mr2ct", str(folder), "--output", made, "--output_format", FORMATS[endings.pop()], *weights]
        with contextlib.redirect_stdout(io.StringIO()):  # names of temporary files
            code = synthesize([*words, "--accept_modality", "true", "--refuse", "false"])
        if not (manifest := Path(made, "manifest.json")).is_file():
            return code
        outcomes = {each["case"]: each for each in json.loads(manifest.read_text())}
        for image, (mask, errors) in zip(images, _masks(source / "images" / "body", len(images)), strict=True):
            case = outcomes[image.name.removesuffix(_ending(image))]
            is_made, path = "file" in case, made_in / image.name
            errors = [*errors, *_reasons(case), *(_write(Path(made, case["file"]), mask, path) if is_made else [])]
            inputs = [*(_entry(file) for file in (image, mask) if file), _entry(region, "String")]
            rows.append({"outputs": [_entry(path)] * is_made, "inputs": inputs, "error_messages": errors})
    results.write_text(json.dumps(rows, indent=2))
    return int(not all(row["outputs"] for row in rows))


def volumes(folder: Path) -> list[Path]:
    """The volumes of a folder, sorted by name; none where it does not exist."""
    return sorted(path for path in folder.glob("[!.]*") if path.name.endswith(tuple(FORMATS)))


def _ending(path: Path) -> str:
    return next(ending for ending in FORMATS if path.name.endswith(ending))


def _entry(path: Path, kind: str = "metaio_image") -> dict[str, str]:
    return {"type": kind, "filename": str(path)}


def _weights(model: Path, task: str, region: Path) -> list[str]:
    """The option that names the user's weights; none where the shipped ones are for this task and region."""
    if (weights := model / "model.pt").is_file():
        return ["--weights", str(weights)]
    if any(model.glob("[!.]*")):
        raise SynthradError(f"no model.pt in {model}: pack model.pt and model.json without a folder around them")
    try:
        part = json.loads(region.read_text())
    except ValueError as error:
        raise SynthradError(f'{region} is not JSON: write a region, such as "Brain"') from error
    if task != TASKS[0] or part not in REGIONS:
        raise SynthradError(f"the shipped weights are for MR of heads, not {task} of {part}: put yours into {model}")
    return []


def _masks(folder: Path, images: int) -> list[tuple[Path | None, list[str]]]:
    """The mask of each image by the order of names, which differ, or why it has none."""
    masks = volumes(folder)
    if len(masks) == images:
        return [(mask, []) for mask in masks]
    return [(None, [f"masks are not used: {folder} has {len(masks)} for {images} images"])] * images


def _reasons(case: Mapping[str, Any]) -> list[str]:
    """Why a case failed, or has a volume that ``synthesize`` would not have written by default."""
    if "file" not in case:
        return [case["reason"]]
    quality = case.get("quality", {})
    return [f"verdict refuse: {'; '.join(quality['reasons'])}"] if quality.get("verdict") == "refuse" else []


def _write(made: Path, mask: Path | None, path: Path) -> list[str]:
    """Write a volume, compressed, with air outside the mask; why the mask could not be used."""
    whole = volume = SimpleITK.ReadImage(str(made))
    errors: list[str] = []
    SimpleITK.ProcessObject.SetGlobalDefaultCoordinateTolerance(GRID_TOLERANCE)
    SimpleITK.ProcessObject.SetGlobalDefaultDirectionTolerance(GRID_TOLERANCE)
    try:
        if mask:
            inside = SimpleITK.ReadImage(str(mask)) > 0
            if SimpleITK.GetArrayViewFromImage(inside).any():
                volume = SimpleITK.Mask(whole, inside, AIR)
            else:
                errors.append(f"the mask is not used: {mask} is empty")
    except RuntimeError:  # of many lines
        errors.append(f"the mask is not used: {mask} cannot be read, or has another grid than the image")
    for key in whole.GetMetaDataKeys():  # mark it as synthetic
        volume.SetMetaData(key, whole.GetMetaData(key))
    SimpleITK.WriteImage(volume, str(path), True)
    return errors


if __name__ == "__main__":
    sys.exit(main())
