"""Reads and writes volumes by packages of Python and by programs; runs in an environment of requirements.txt.

python python_tools.py JOBS ANSWERS

JOBS is JSON: [{tool, path, points}] to read, points (3, 3) in LPS mm; [{tool, kind, nifti, series, out}] to write one
volume, given as a NIfTI file and as a series. ANSWERS gets the versions, and for each job {points, values}, the voxels
next to the points; {added}, what the values that were written are more than those given; or {error}.
"""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import numpy as np

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From RAS mm to LPS mm, or back."""


def affine_of(direction, spacing, origin):
    """The affine (4, 4) of ITK's terms."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(direction, (3, 3)) * spacing
    affine[:3, 3] = origin
    return affine


def of_simpleitk(image):
    """Values (X, Y, Z) and the affine (4, 4) to LPS mm, which every reader below returns."""
    import SimpleITK

    affine = affine_of(image.GetDirection(), image.GetSpacing(), image.GetOrigin())
    return SimpleITK.GetArrayFromImage(image).T, affine


def of_nifti(path):
    import nibabel

    image = nibabel.load(path)
    return image.get_fdata(), LPS @ image.affine


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stdout + done.stderr).strip())
    return done.stdout


def simpleitk(path):
    import SimpleITK

    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(path)) if path.is_dir() else str(path)
    return of_simpleitk(SimpleITK.ReadImage(names))


def itk(path):
    import itk

    names = str(path)
    if path.is_dir():
        found = itk.GDCMSeriesFileNames.New(Directory=str(path))
        names = list(found.GetInputFileNames())
    image = itk.imread(names)
    affine = affine_of(itk.array_from_matrix(image.GetDirection()), list(image.GetSpacing()), list(image.GetOrigin()))
    return itk.array_from_image(image).T, affine


def antspy(path):
    import ants

    names = sorted(os.listdir(path), reverse=True) if path.is_dir() else []
    with mock.patch("os.listdir", return_value=names):  # which promises no order: one that a file system may have
        image = ants.dicom_read(str(path)) if names else ants.image_read(str(path))
    return image.numpy(), affine_of(image.direction, image.spacing, image.origin)


def torchio(path):
    import torchio

    image = torchio.ScalarImage(path)
    return np.asarray(image.data)[0], LPS @ np.asarray(image.affine)


def monai(name):
    def read(path):
        import monai.data
        from monai.utils import convert_to_numpy

        reader = getattr(monai.data, name)()
        values, meta = reader.get_data(reader.read(str(path)))
        return np.asarray(values), LPS @ convert_to_numpy(meta["affine"])

    return read


def nnunet_simpleitk(path):
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    values, about = SimpleITKIO().read_images([str(path)])
    own = about["sitk_stuff"]
    return values[0].T, affine_of(own["direction"], own["spacing"], own["origin"])


def nnunet_nibabel(name):
    def read(path):
        from nnunetv2.imageio import nibabel_reader_writer

        values, about = getattr(nibabel_reader_writer, name)().read_images([str(path)])
        own = about["nibabel_stuff"]
        return values[0].T, LPS @ own.get("reoriented_affine", own["original_affine"])

    return read


def dcm2niix(path):
    import dcm2niix

    with tempfile.TemporaryDirectory() as place:
        run(dcm2niix.bin, "-f", "out", "-b", "n", "-z", "n", "-o", place, path)
        (made,) = Path(place).glob("*.nii")
        return of_nifti(made)


def vtk_dicom(path):
    with tempfile.TemporaryDirectory() as place:
        run("dicomtonifti", "-o", f"{place}/out.nii", *sorted(path.iterdir()))
        return of_nifti(f"{place}/out.nii")


def plastimatch(path):
    with tempfile.TemporaryDirectory() as place:
        run("plastimatch", "convert", "--input", path, "--output-img", f"{place}/out.nrrd")
        return simpleitk(Path(place, "out.nrrd"))


def highdicom(path):
    import highdicom
    import pydicom

    volume = highdicom.get_volume_from_series([pydicom.dcmread(each) for each in path.iterdir()])
    return volume.array.transpose(2, 1, 0), volume.get_affine("LPS")[:, [2, 1, 0, 3]]


def numbers(text, tag, default=None):
    """Those of an element in the text of dcmdump."""
    found = re.search(rf"^\({tag}\) \w\w \[?([^]#]+?)\]? *#", text, re.MULTILINE)
    return np.array(found[1].split("\\"), float) if found else default


def dcmtk(path):
    """dcmdump's text for the geometry, its files of pixels for the values (PS3.3, C.7.6.2.1.1)."""
    slices = []
    for each in path.iterdir():
        with tempfile.TemporaryDirectory() as place:
            text = run("dcmdump", "--load-short", "--print-all", "--write-pixel", place, each)
            (pixels,) = Path(place).glob("*.raw")
            stored = np.frombuffer(pixels.read_bytes(), "<i2" if numbers(text, "0028,0103")[0] else "<u2")
        stored = stored.reshape([int(numbers(text, tag)[0]) for tag in ("0028,0010", "0028,0011")])
        plane = stored * numbers(text, "0028,1053", [1.0])[0] + numbers(text, "0028,1052", [0.0])[0]
        rows, columns = numbers(text, "0028,0030")
        across, down = numbers(text, "0020,0037").reshape(2, 3)
        slices.append((numbers(text, "0020,0032"), across * columns, down * rows, plane.T))
    normal = np.cross(slices[0][1], slices[0][2])
    slices.sort(key=lambda each: each[0] @ normal)
    (first, across, down, _), last = slices[0], slices[-1][0]
    affine = np.eye(4)
    affine[:3] = np.column_stack([across, down, (last - first) / (len(slices) - 1), first])
    return np.stack([each[3] for each in slices], axis=2), affine


def pyradplan(path):
    from pyRadPlan.ct import create_ct
    from pyRadPlan.io import load_patient

    return of_simpleitk((load_patient(path)[0] if path.is_dir() else create_ct(path)).cube_hu)


READERS = {
    "SimpleITK": simpleitk,
    "ITK": itk,
    "ANTsPy": antspy,
    "TorchIO": torchio,
    "MONAI ITKReader": monai("ITKReader"),
    "MONAI NibabelReader": monai("NibabelReader"),
    "MONAI NrrdReader": monai("NrrdReader"),
    "MONAI PydicomReader": monai("PydicomReader"),
    "nnU-Net SimpleITKIO": nnunet_simpleitk,
    "nnU-Net NibabelIO": nnunet_nibabel("NibabelIO"),
    "nnU-Net NibabelIOWithReorient": nnunet_nibabel("NibabelIOWithReorient"),
    "dcm2niix": dcm2niix,
    "dcmtk": dcmtk,
    "highdicom": highdicom,
    "plastimatch": plastimatch,
    "pyRadPlan": pyradplan,
    "vtk-dicom": vtk_dicom,
}


def parts(affine):
    """ITK's terms of an affine (4, 4) to LPS mm: direction, spacing, origin."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return (affine[:3, :3] / spacing), spacing, affine[:3, 3]


def as_simpleitk(source):
    import SimpleITK

    values, affine = of_nifti(source["nifti"])
    direction, spacing, origin = parts(affine)
    image = SimpleITK.GetImageFromArray(values.T.astype(np.int16))
    image.SetDirection(direction.ravel().tolist())
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(origin.tolist())
    return image


def write_simpleitk(source, path):
    import SimpleITK

    SimpleITK.WriteImage(as_simpleitk(source), path)


def write_simpleitk_series(source, path):
    """As the example DicomSeriesFromArray of SimpleITK's documentation."""
    import SimpleITK

    image = as_simpleitk(source)
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    cosines = np.reshape(image.GetDirection(), (3, 3))
    about = {"0008|0060": "CT", "0008|0008": "DERIVED\\SECONDARY", "0020|000e": "1.2.3.4", "0020|000d": "1.2.3"}
    about["0020|0037"] = "\\".join(f"{each:.12g}" for each in (*cosines[:, 0], *cosines[:, 1]))
    path.mkdir()
    for number in range(image.GetDepth()):
        plane = image[:, :, number]
        place = image.TransformIndexToPhysicalPoint((0, 0, number))
        own = {"0020|0032": "\\".join(f"{each:.12g}" for each in place), "0020|0013": str(number)}
        for tag, value in (about | own).items():
            plane.SetMetaData(tag, value)
        writer.SetFileName(str(path / f"{number}.dcm"))
        writer.Execute(plane)


def write_itk(source, path):
    import itk

    values, affine = of_nifti(source["nifti"])
    image = itk.image_from_array(np.ascontiguousarray(values.T.astype(np.int16)))
    direction, spacing, origin = parts(affine)
    image.SetDirection(itk.matrix_from_array(direction))
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    itk.imwrite(image, str(path))


def write_antspy(source, path):
    import ants

    values, affine = of_nifti(source["nifti"])
    direction, spacing, origin = parts(affine)
    image = ants.from_numpy(values.astype(np.float32), origin.tolist(), spacing.tolist(), direction)
    ants.image_write(image, str(path))


def write_torchio(source, path):
    import torch
    import torchio

    values, affine = of_nifti(source["nifti"])
    torchio.ScalarImage(tensor=torch.from_numpy(values.astype(np.int16))[None], affine=LPS @ affine).save(path)


def write_monai(writer):
    def write(source, path):
        from monai.data import MetaTensor
        from monai.transforms import SaveImage

        values, affine = of_nifti(source["nifti"])
        ending = "".join(path.suffixes)
        image = MetaTensor(values[None].astype(np.int16), affine=LPS @ affine)
        save = SaveImage(output_ext=ending, resample=False, writer=writer, output_dtype=np.int16, print_log=False)
        save(image, filename=str(path).removesuffix(ending))

    return write


def write_nnunet(module, name):
    def write(source, path):
        own = getattr(importlib.import_module(f"nnunetv2.imageio.{module}"), name)()
        values, about = own.read_images([str(source["nifti"])])
        own.write_seg((values[0] + 1000).astype(np.uint16), str(path), about)  # labels are not negative
        return 1000

    return write


def write_dcm2niix(source, path):
    import dcm2niix

    as_nrrd = ["-e", "y"] if path.suffix == ".nrrd" else ["-z", "y"]
    run(dcm2niix.bin, "-f", path.name.split(".")[0], "-b", "n", *as_nrrd, "-o", path.parent, source["series"])


def write_by(program, *options):
    """A program of dcmtk that changes the encoding of each slice."""

    def write(source, path):
        path.mkdir()
        for each in Path(source["series"]).iterdir():
            run(program, *options, each, path / each.name)

    return write


def write_plastimatch(source, path):
    to = ["--output-img", path] if path.suffix else ["--output-dicom", path]
    run("plastimatch", "convert", "--input", source["nifti"], *to)


def write_vtk_dicom(source, path):
    run("niftitodicom", "--silent", "--modality", source["kind"], "-o", path, source["nifti"])


def write_pyradplan(source, path):
    from pyRadPlan.ct import create_ct
    from pyRadPlan.io import save_data

    path.mkdir()
    save_data(ct=create_ct(str(source["nifti"])), file_name=path, format="dcm")


def write_highdicom_enhanced(source, path):
    import highdicom
    import pydicom

    slices = [pydicom.dcmread(each) for each in sorted(Path(source["series"]).iterdir())]
    uid = pydicom.uid.generate_uid
    made = highdicom.legacy.LegacyConvertedEnhancedCTImage(slices, uid(), 5, uid(), 1)
    path.mkdir()
    made.save_as(path / "enhanced.dcm", enforce_file_format=True)


def write_highdicom_map(source, path):
    import highdicom
    import pydicom
    from pydicom.sr.codedict import codes

    slices = [pydicom.dcmread(each) for each in sorted(Path(source["series"]).iterdir())]
    volume = highdicom.get_volume_from_series(slices)
    uid = pydicom.uid.generate_uid
    mapping = highdicom.pm.RealWorldValueMapping(
        "HU", "CT", codes.UCUM.HounsfieldUnit, value_range=(-5000.0, 5000.0), slope=1.0, intercept=0.0
    )
    made = highdicom.pm.ParametricMap(
        slices,
        volume.with_array(volume.array.astype(np.float32)),
        uid(),
        6,
        uid(),
        1,
        "maker",
        "model",
        "1",
        "1",
        False,
        [mapping],
        0.0,
        100.0,
    )
    path.mkdir()
    made.save_as(path / "map.dcm", enforce_file_format=True)


FILES = ("NIfTI", "MetaImage", "NRRD")
WRITERS = {
    "SimpleITK": dict.fromkeys(FILES, write_simpleitk) | {"CT": write_simpleitk_series},
    "ITK": dict.fromkeys(FILES, write_itk),
    "ANTsPy": dict.fromkeys(FILES, write_antspy),
    "TorchIO": dict.fromkeys(FILES, write_torchio),
    "MONAI ITKReader": dict.fromkeys(("MetaImage", "NRRD"), write_monai("ITKWriter")),
    "MONAI NibabelReader": {"NIfTI": write_monai("NibabelWriter")},
    "nnU-Net SimpleITKIO": {"NIfTI": write_nnunet("simpleitk_reader_writer", "SimpleITKIO")},
    "nnU-Net NibabelIO": {"NIfTI": write_nnunet("nibabel_reader_writer", "NibabelIO")},
    "nnU-Net NibabelIOWithReorient": {"NIfTI": write_nnunet("nibabel_reader_writer", "NibabelIOWithReorient")},
    "dcm2niix": dict.fromkeys(("NIfTI", "NRRD"), write_dcm2niix),
    "dcmtk": {
        "RLE": write_by("dcmcrle"),
        "JPEG lossless": write_by("dcmcjpeg", "--encode-lossless"),
        "JPEG-LS": write_by("dcmcjpls"),
        "big-endian": write_by("dcmconv", "--write-xfer-big"),
        "deflated": write_by("dcmconv", "--write-xfer-deflated"),
        "no meta header": write_by("dcmconv", "--write-xfer-implicit", "--write-dataset"),
    },
    "highdicom": {"enhanced CT": write_highdicom_enhanced, "parametric map": write_highdicom_map},
    "plastimatch": dict.fromkeys((*FILES, "CT"), write_plastimatch),
    "pyRadPlan": {"CT": write_pyradplan},
    "vtk-dicom": dict.fromkeys(("CT", "MR", "SC"), write_vtk_dicom),
}
PACKAGES = {
    **{name: name for name in ("SimpleITK", "ITK", "TorchIO", "MONAI", "dcm2niix", "highdicom", "pyRadPlan")},
    "ANTsPy": "antspyx",
    "nnU-Net": "nnunetv2",
}
PROGRAMS = {"dcmtk": "dcmdump", "plastimatch": "plastimatch", "vtk-dicom": "dicomtonifti"}


def sampled(values, affine, points):
    """The voxels next to points (N, 3): their places in LPS mm, and their values; none outside the volume."""
    voxels = np.rint((np.asarray(points) - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T).astype(int)
    found = []
    for voxel in voxels:
        inside = (voxel >= 0).all() and (voxel < values.shape).all()
        place = affine[:3, :3] @ voxel + affine[:3, 3]
        found.append((place.tolist(), float(values[tuple(voxel)]) if inside else None))
    return {"points": [each[0] for each in found], "values": [each[1] for each in found]}


def answer(job):
    try:
        if "out" in job:
            return {"added": WRITERS[job["tool"]][job["kind"]](job, Path(job["out"])) or 0}
        return sampled(*READERS[job["tool"]](Path(job["path"])), job["points"])
    except Exception as error:  # what a tool says of a volume is the result
        return {"error": f"{type(error).__name__}: {error}"}


def versions():
    """Those of the packages, and of the programs that are there."""
    there = {tool: program for tool, program in PROGRAMS.items() if shutil.which(program)}
    programs = {tool: re.search(r"\d+(\.\d+)+", run(program, "--version"))[0] for tool, program in there.items()}
    return {tool: version(package) for tool, package in PACKAGES.items()} | programs


if __name__ == "__main__":
    answers = [answer(job) for job in json.loads(Path(sys.argv[1]).read_text())]
    Path(sys.argv[2]).write_text(json.dumps({"versions": versions(), "answers": answers}))
