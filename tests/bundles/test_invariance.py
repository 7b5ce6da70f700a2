"""Invariance of an inference: the same voxels however a source is stored, placed and computed, by random weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import torch
from bundle_commands import Bundle
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from nibabel.spatialimages import SpatialImage
from scipy import ndimage

from common.io.reader import VolumeReader
from common.raw_settings import settings_of
from tools.bench.inference import save_random_weights
from tools.label.inputs import series

SHAPE, SPACING, ORIGIN = (24, 28, 18), (3.1, 2.3, 4.3), (-31.3, 24.7, -58.1)
SMALL = {"depth": 3, "width": 4, "neighbours": 3, "patch_size": [16, 16, 16]}
"""Settings of networks, where a bundle has them, that a CPU computes in a moment."""
STEP = 2.0**-6
"""Of the values of a source, which DICOM and integers with a slope hold exactly."""
ROUNDING, RESAMPLED = 1e-6, 1e-4
"""Largest difference relative to the range of the output: sums in another order; spacings in float32, resampled."""
BATCHES: dict[str, tuple[str, dict[str, Any]]] = {
    "mr2ct_pix2pix": ("inference_batch", {}),
    "mri2pet_sketcher_refiner": (
        "stitching::batch_size", {"stitching::mode": "faithful", "stitching::roi_size": 16, "stitching::stride": 8},
    ),
}  # fmt: skip
"""Slices or patches at a time, and what lets several patches cover a volume."""
SHOWN = ("mr2ct_pix2pix", pytest.param("mri2pet_sketcher_refiner", marks=[pytest.mark.slow, pytest.mark.longest]))


def turned(x: float = 0.0, y: float = 0.0, z: float = 0.0, shift: float = 0.0) -> np.ndarray:
    """A movement (4, 4) by degrees about the axes of the patient, and mm along each."""
    return nib.affines.from_matvec(nib.eulerangles.euler2mat(*np.deg2rad((z, y, x))), [shift] * 3)


AFFINE = (turned(z=6) @ nib.affines.from_matvec(np.diag(SPACING), ORIGIN)).astype(np.float32).astype(float)
PLACES = {"still": np.eye(4), "far": turned(shift=987.25), "oblique": turned(y=18), "doubly oblique": turned(21, -14)}


def head(seed: int, high: float) -> np.ndarray:
    """A head (X, Y, Z) off the centre, of random texture up to ``high``, in a bright shell, with noise around it."""
    x, y, z = np.meshgrid(*[(np.arange(n) + 0.5) / n for n in SHAPE], indexing="ij")
    radius = np.sqrt(((x - 0.46) / 0.41) ** 2 + ((y - 0.53) / 0.42) ** 2 + ((z - 0.48 - 0.1 * x) / 0.4) ** 2)
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    texture = ndimage.gaussian_filter(noise, 2.0)
    tissue = 0.2 + 0.6 * (texture - texture.min()) / np.ptp(texture)
    values = np.where(radius < 0.85, tissue, np.where(radius < 0.95, 0.9, 0.01 * np.abs(noise)))
    return np.asarray(np.rint(values * 2**10) * STEP * high, np.float32)


# ---- the same voxels stored otherwise -------------------------------------------------------------------------------


def _nifti(suffix: str, **header: Any) -> Callable[[SpatialImage, Path, float], None]:
    def write(image: SpatialImage, path: Path, step: float) -> None:
        nib.save(nib.Nifti1Image(image.get_fdata(), image.affine, nib.Nifti1Header(**header)), f"{path}{suffix}")

    return write


def _integers(image: SpatialImage, path: Path, step: float) -> None:
    stored = nib.Nifti1Image(np.rint(image.get_fdata() / step + 256).astype(np.int16), image.affine)
    stored.header.set_slope_inter(step, -256 * step)
    nib.save(stored, f"{path}.nii.gz")


def _qform(image: SpatialImage, path: Path, step: float) -> None:
    stored = nib.Nifti1Image(image.get_fdata(dtype=np.float32), None)
    stored.header.set_qform(image.affine, code=1)
    nib.save(stored, f"{path}.nii.gz")


def _dicom(image: SpatialImage, path: Path, step: float) -> None:
    nib.save(image, f"{path}.temporary.nii")
    series(Path(f"{path}.temporary.nii"), path, "MR", step)
    Path(f"{path}.temporary.nii").unlink()


def _itk(suffix: str) -> Callable[[SpatialImage, Path, float], None]:
    def write(image: SpatialImage, path: Path, step: float) -> None:
        """From what ITK itself reads of a NIfTI file."""
        nib.save(image, f"{path}.temporary.nii")
        read = sitk.ReadImage(f"{path}.temporary.nii")
        for key in read.GetMetaDataKeys():
            read.EraseMetaData(key)
        sitk.WriteImage(read, f"{path}{suffix}")
        Path(f"{path}.temporary.nii").unlink()

    return write


FORMATS = {
    "nii.gz": _nifti(".nii.gz"), "nii": _nifti(".nii"), "big-endian": _nifti(".nii", endianness=">"), "dicom": _dicom,
    "slope": _integers, "qform": _qform, "nrrd": _itk(".nrrd"), "mha": _itk(".mha"),
}  # fmt: skip
CODES = ["".join(code) for axes in permutations(("LR", "PA", "IS")) for code in product(*axes)]
BASE = ("RAS", "nii.gz", "still")
STORED = [("RAS", name, "still") for name in FORMATS if name != "nii.gz"]
ORIENTED = [(code, "nii.gz", "still") for code in CODES[::5]]
PLACED = [("RAS", "nii.gz", place) for place in PLACES if place != "still"]
PLACED += [("PIR", "nii.gz", "doubly oblique"), ("LAS", "dicom", "doubly oblique"), ("ASL", "mha", "oblique")]
Copy = tuple[str, str, str]
"""Orientation, format and place."""


def named(copy: Copy) -> str:
    return "_".join(copy).replace(" ", "_")


class Source:
    """A bundle with weights of a small network drawn from a seed, and the channels of one made-up head."""

    def __init__(self, name: str, root: Path) -> None:
        self.bundle, self.root = Bundle(name), root
        config = self.bundle.raw("train")
        parser = self.bundle.parser("train", **{key: value for key, value in SMALL.items() if key in config})
        save_random_weights(parser, name, root / "model.pt")
        settings = settings_of(parser)
        names = str(settings["source"]).split(",")
        highs = [2.0 ** np.floor(np.log2(high / 16)) for _, high in settings.get("source_window") or [(0, 1000)]]
        self.channels = {each: (head(seed, highs[seed]), STEP * highs[seed]) for seed, each in enumerate(names)}

    def write(self, name: str, copies: Mapping[str, Copy]) -> Path:
        """Each copy as a case, as training data lie."""
        for case, (code, kind, place) in copies.items():
            (self.root / name / case).mkdir(parents=True)
            turn = ornt_transform(io_orientation(AFFINE), axcodes2ornt(tuple(code)))
            for channel, (values, step) in self.channels.items():
                copy: Any = nib.Nifti1Image(values, AFFINE).as_reoriented(turn)
                moved = nib.Nifti1Image(np.asarray(copy.dataobj), PLACES[place] @ copy.affine)
                FORMATS[kind](moved, self.root / name / case / channel, step)
        return self.root / name

    def infer(self, data: Path, **settings: Any) -> dict[str, Any]:
        """The outputs of all cases, by their names, in the order of axes closest to RAS."""
        out = self.latest = self.root / f"out_{len(list(self.root.glob('out_*')))}"
        places = {"dataset_dir": str(data), "weights": str(self.root / "model.pt"), "predictions_dir": str(out)}
        given = {"output_dtype": "float32", **places, **settings}
        parser = self.bundle.parser("inference", device=torch.device("cpu"), **given)
        parser.get_parsed_content("evaluator").run()
        entries = json.loads((out / "manifest.json").read_text())
        assert [entry["status"] for entry in entries] == ["done"] * len(list(data.iterdir()))
        return {entry["case"]: read(out / entry["file"]) for entry in entries}


def read(path: Path) -> Any:
    """NIfTI by nibabel, other formats by the project's reader."""
    if path.name.endswith(".nii.gz"):
        return nib.as_closest_canonical(nib.load(path))
    scan = VolumeReader().check(path, "a")
    return nib.as_closest_canonical(nib.Nifti1Image(scan.values, scan.affine))


def require_same(made: Any, base: Any, tolerance: float, place: str = "still", step: float = 0.0) -> None:
    """Within a tolerance relative to the range of the base, or half a stored step; places within 0.001 mm."""
    expected = base.get_fdata()
    np.testing.assert_allclose(made.affine, PLACES[place] @ base.affine, atol=1e-3)
    atol = max(tolerance * np.ptp(expected), 0.501 * step)
    np.testing.assert_allclose(made.get_fdata(), expected, rtol=0, atol=atol)


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture(scope="module", params=SHOWN)
def source(request, tmp_path_factory) -> Source:
    return Source(request.param, tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def base(source: Source) -> Any:
    """The output for the source as it is, alone."""
    return source.infer(source.write("base", {named(BASE): BASE}))[named(BASE)]


@pytest.fixture(scope="module")
def few(source: Source) -> Path:
    """Three cases, the first and the last of which are the source as it is."""
    return source.write("few", {"a": BASE, "b": ("PIR", "dicom", "oblique"), "c": BASE})


def test_weights_and_source_tell_left_from_right_and_structure_from_none(source: Source, base: Any) -> None:
    """Otherwise what follows would say nothing."""
    (values, _), made = next(iter(source.channels.values())), base.get_fdata()
    inside = values > np.median(values)
    assert made[inside].std() > 0.1 * np.ptp(made)
    assert np.abs(made[::-1] - made)[inside].mean() > 0.05 * made[inside].std()
    assert abs(np.corrcoef(made[inside], values[inside])[0, 1]) < 0.99, "not the source itself"


@pytest.mark.parametrize("changed", ["storage", "orientation", "place", "batch", "order", "threads"])
def test_no_voxel_changes(source: Source, base: Any, few: Path, changed: str) -> None:
    expected, made = base, {}
    if copies := {"storage": STORED, "orientation": ORIENTED, "place": PLACED}.get(changed):
        data = source.write(changed, {named(copy): copy for copy in (BASE, *copies)})
        outputs, resampled = source.infer(data), source.infer(data, spacing=[3.3, 2.9, 3.7])
        for copy in copies:
            require_same(outputs[named(copy)], base, ROUNDING, copy[2])
            require_same(resampled[named(copy)], resampled[named(BASE)], RESAMPLED, copy[2])
    elif changed == "batch":
        name, others = BATCHES[source.bundle.name]
        expected, *made = (source.infer(few, **others, **{name: number})["a"] for number in (4, 1, 5))
    elif changed == "order":  # the base is alone
        outputs = source.infer(few)
        made = [outputs["a"], outputs["c"]]
    else:
        for number in (1, 3):
            with threads(number):
                made = [*made, source.infer(few)["a"]]
    for each in made:
        require_same(each, expected, ROUNDING)


@pytest.mark.parametrize("output_format", ["dicom", "nrrd", "mha"])
def test_other_formats_of_the_output_hold_the_same(source: Source, base: Any, few: Path, output_format: str) -> None:
    """Activity is never stored below 0."""
    outputs = source.infer(few, output_format=output_format)
    sidecars = source.latest.glob("b_*.json") if output_format == "dicom" else ()
    step = max((float(json.loads(path.read_text())["UnitPerStoredStep"]) for path in sidecars), default=0.0)
    if step and source.bundle.name.startswith("mri2pet"):
        base = nib.Nifti1Image(base.get_fdata().clip(min=0), base.affine)
    require_same(outputs["b"], base, ROUNDING, "oblique", step)
