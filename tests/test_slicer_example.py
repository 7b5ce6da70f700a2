"""The model files for SlicerModalityConverter, called as that extension of 3D Slicer calls its models.

With stand-ins of Slicer's nodes, and with its own where ``make slicer-test`` has put them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.eulerangles import euler2mat
from tiny_models import calibrated

import medical_image_synthesis as mis

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "slicer"
METADATA = json.loads((EXAMPLE / "metadata.json").read_text())
CORE = Path(os.environ.get("SLICER_CORE", ROOT / "build" / "slicer-core"))
MR2CT, LDCT = METADATA
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = euler2mat(0.2, 0.1, -0.15) @ np.diag([-4.0, 4.0, 5.0])
OBLIQUE[:3, 3] = 90, -126, -72
"""Turned about all axes, left-handed, with slices of another thickness."""


def drawn(seed: int) -> np.ndarray:
    """An image (X, Y, Z) with axes of three lengths."""
    return np.random.default_rng(seed).integers(0, 100, (20, 22, 18)).astype(np.int16)


class Matrix:
    """A ``vtkMatrix4x4``."""

    def __init__(self) -> None:
        self.values = np.eye(4)

    def SetElement(self, row: int, column: int, value: float) -> None:  # noqa: N802
        self.values[row, column] = value


class CodedEntry:
    """A ``vtkCodedEntry``."""

    def SetValueSchemeMeaning(self, value: str, scheme: str, meaning: str) -> None:  # noqa: N802
        self.text = f'({value}, {scheme}, "{meaning}")'

    def GetAsPrintableString(self) -> str:  # noqa: N802
        return self.text


class ScalarVolumeNode:
    """What the model uses of a ``vtkMRMLScalarVolumeNode``; each ``SetX(value)`` is what ``GetX()`` gives."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {"Name": None, "ImageData": None, "TransformNodeID": None}
        self.attributes: dict[str, str] = {}
        self.matrix = np.eye(4)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("Get"):
            return lambda: self.kept[name[3:]]
        if name.startswith("Set"):
            return lambda value: self.kept.update({name[3:]: value})
        raise AttributeError(name)

    def SetAndObserveTransformNodeID(self, name: str | None) -> None:  # noqa: N802
        self.kept["TransformNodeID"] = name

    def SetAttribute(self, name: str, value: str) -> None:  # noqa: N802
        self.attributes[name] = value

    def GetAttribute(self, name: str) -> str | None:  # noqa: N802
        return self.attributes.get(name)

    def SetIJKToRASMatrix(self, matrix: Matrix) -> None:  # noqa: N802
        self.matrix = matrix.values.copy()

    def GetIJKToRASMatrix(self, matrix: Matrix) -> None:  # noqa: N802
        matrix.values = self.matrix.copy()

    def CopyOrientation(self, other: ScalarVolumeNode) -> None:  # noqa: N802
        self.matrix = other.matrix.copy()


class BaseModel(ABC):
    """The class that models inherit from, without its download."""

    def __init__(self, modelKey: str, device: str = "cpu") -> None:
        self.modelKey, self.device, self.model = modelKey, device.lower(), None

    def loadModel(self) -> None:  # noqa: N802
        pytest.fail("downloads a file")

    @abstractmethod
    def _loadModelFromPath(self, modelPath: str) -> Any: ...  # noqa: N802

    @abstractmethod
    def runInference(self, inputVolume: Any, outputVolume: Any, inputMask: Any, showAllFiles: bool) -> Any: ...  # noqa: N802


def stand_ins() -> tuple[ModuleType, ModuleType]:
    """The modules ``slicer`` and ``vtk``."""
    slicer, vtk = ModuleType("slicer"), ModuleType("vtk")
    slicer.util = SimpleNamespace(
        arrayFromVolume=lambda node: node.kept["ImageData"],
        updateVolumeFromArray=lambda node, array: node.SetImageData(np.array(array, order="C")),
        arrayFromVTKMatrix=lambda matrix: matrix.values,
    )
    slicer.vtkMRMLScalarVolumeNode, slicer.vtkCodedEntry = ScalarVolumeNode, CodedEntry
    vtk.vtkMatrix4x4 = Matrix
    return slicer, vtk


def real_modules(patch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    """The same of Slicer's core, whose other packages give way to those that are installed here."""
    if not CORE.is_dir():
        pytest.skip(f"no Slicer core in {CORE}: make slicer-test puts it there")
    patch.setattr(sys, "path", [*sys.path, str(CORE)])
    return importlib.import_module("slicer"), importlib.import_module("vtk")


@pytest.fixture(params=["stand-ins", "Slicer's core"])
def slicer(request, monkeypatch) -> ModuleType:
    """Slicer's modules without its window; what it would show is kept in ``slicer.shown``."""
    module, vtk = stand_ins() if request.param == "stand-ins" else real_modules(monkeypatch)
    shown: list[str] = []
    screen = {name: lambda *_, **__: None for name in ("setSliceViewerLayers", "resetSliceViews", "showStatusMessage")}
    for name, function in {**screen, "warningDisplay": shown.append}.items():
        monkeypatch.setattr(module.util, name, function, raising=False)
    monkeypatch.setattr(module, "app", SimpleNamespace(processEvents=lambda: None), raising=False)
    monkeypatch.setattr(module, "shown", shown, raising=False)
    registry: dict[str, type[BaseModel]] = {}
    base = ModuleType("ModalityConverterLib.ModelBase")
    vars(base).update(
        BaseModel=BaseModel, MODEL_REGISTRY=registry, register_model=lambda key: lambda of: registry.setdefault(key, of)
    )
    modules = {"slicer": module, "vtk": vtk, base.__name__.partition(".")[0]: ModuleType("ModalityConverterLib")}
    for name, each in {**modules, base.__name__: base}.items():
        monkeypatch.setitem(sys.modules, name, each)
    return module


@pytest.fixture
def node(slicer) -> Callable[..., Any]:
    """Makes a node of the scene, with voxels or empty."""

    def make(array: np.ndarray | None = None, affine: np.ndarray = OBLIQUE, name: str = "T1") -> Any:
        made, matrix = slicer.vtkMRMLScalarVolumeNode(), sys.modules["vtk"].vtkMatrix4x4()
        made.SetName(name)
        if array is not None:
            slicer.util.updateVolumeFromArray(made, array.T)
            for row, column in np.ndindex(4, 4):
                matrix.SetElement(row, column, affine[row, column])
            made.SetIJKToRASMatrix(matrix)
        return made

    return make


@pytest.fixture
def convert(slicer, node, monkeypatch) -> Callable[..., Any]:
    """Runs a model as the extension's button does, with the shipped weights or others, and gives the output."""
    path = EXAMPLE / f"{METADATA[MR2CT]['module_name']}.py"
    spec: Any = importlib.util.spec_from_file_location(f"ModalityConverterLib.ModelsImpl.{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    load = mis.load

    def run(key: str, source: Any, weights: Path | None = None, output: Any = None, **given: Any) -> Any:
        monkeypatch.setattr(mis, "load", lambda bundle, device, weights: load(bundle, device=device, weights=own))
        own, device = weights, given.pop("device", "cpu")
        output = node(name="Volume") if output is None else output
        model = sys.modules["ModalityConverterLib.ModelBase"].MODEL_REGISTRY[key](key, device)
        model.loadModel()
        given = {"inputMask": None, "showAllFiles": True, **given}
        model.runInference(inputVolume=source, outputVolume=output, **given)
        return output

    return run


def geometry(node: Any) -> np.ndarray:
    """The matrix from voxel indices to RAS mm."""
    matrix = sys.modules["vtk"].vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return np.array(sys.modules["slicer"].util.arrayFromVTKMatrix(matrix))


def empty(node: Any) -> bool:
    return node.GetImageData() is None and node.GetName() == "Volume" and node.GetAttribute("Synthesis.Verdict") is None


def test_the_output_has_the_grid_of_the_input_and_says_its_verdict_and_unit(
    slicer, node, convert, tiny_weights, tmp_path, capsys
) -> None:
    weights = calibrated(tiny_weights, tmp_path, refuse=1e6)
    source = node(drawn(0))
    output = convert(MR2CT, source, weights)
    ct = mis.load("mr2ct", weights=weights, device="cpu")((drawn(0), OBLIQUE))
    made = slicer.util.arrayFromVolume(output)
    assert (made.shape, made.dtype) == ((18, 22, 20), np.float32)
    np.testing.assert_array_equal(made.T, ct.array)
    assert np.ptp(made) > 10
    np.testing.assert_array_equal(geometry(output), OBLIQUE)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(source).T, drawn(0))

    assert output.GetName() == "T1 synthetic ct (HU, review)"
    said = {name: output.GetAttribute(f"Synthesis.{name}") for name in ("Verdict", "Reasons", "Unit", "Record")}
    assert (said["Verdict"], said["Unit"]) == ("review", "HU")
    assert "the synthetic CT is denser" in said["Reasons"]
    assert json.loads(said["Record"])["Quality"]["calibration_mae"] == 100
    assert output.GetVoxelValueUnits().GetAsPrintableString() == '([hnsf\'U], UCUM, "Hounsfield unit")'
    (window,) = slicer.shown
    assert window == f"T1 synthetic ct (HU, review), not for clinical use; {said['Reasons']}"
    assert window in capsys.readouterr().out


def test_the_output_follows_the_transform_of_the_input(node, convert, tiny_weights, slicer) -> None:
    if isinstance(node(), ScalarVolumeNode):
        source, moved = node(drawn(0)), "vtkMRMLLinearTransformNode1"
    else:
        scene, source, transform = slicer.vtkMRMLScene(), node(drawn(0)), slicer.vtkMRMLLinearTransformNode()
        for each in (source, transform):
            scene.AddNode(each)
        moved = transform.GetID()
    source.SetAndObserveTransformNodeID(moved)
    output = convert(MR2CT, source, tiny_weights("mr2ct"))
    assert output.GetTransformNodeID() == moved
    np.testing.assert_array_equal(geometry(output), OBLIQUE)


def test_a_refused_volume_leaves_the_output_as_it_was_and_says_why(node, convert, tiny_weights, tmp_path) -> None:
    output = node(name="Volume")
    with pytest.raises(mis.Refused, match="^T1 is refused: .*the synthetic CT is denser"):
        convert(MR2CT, node(drawn(0)), calibrated(tiny_weights, tmp_path, refuse=2.0), output)
    assert empty(output)


def test_what_no_model_can_take_is_said_in_words(node, convert, tiny_weights) -> None:
    source, output, weights = node(drawn(0)), node(name="Volume"), tiny_weights("mr2ct")
    with pytest.raises(mis.UserError, match="^this model .* takes no ROI mask: select none$"):
        convert(MR2CT, source, weights, output, inputMask=node(drawn(1)))
    with pytest.raises(mis.UserError, match="^Volume has no voxels: select another input volume$"):
        convert(MR2CT, output, weights, node())
    with pytest.raises(mis.UserError, match="^T1 is input and output: select another output volume$"):
        convert(MR2CT, source, weights, source)
    with pytest.raises(mis.UserError, match="^device is 'coreml': choose cpu or cuda:0"):
        convert(MR2CT, source, weights, output, device="coreml")
    in_a_worker = SimpleNamespace(array=drawn(0).T, GetID=lambda: "InputVolume")
    with pytest.raises(mis.UserError, match="^this SlicerModalityConverter hands models voxels without their size"):
        convert(MR2CT, in_a_worker, weights, output)
    assert empty(output)


def test_runs_of_several_threads_are_those_of_one(slicer, node, convert, tiny_weights) -> None:
    def values(seed: int) -> np.ndarray:
        return np.array(slicer.util.arrayFromVolume(convert(MR2CT, node(drawn(seed)), tiny_weights("mr2ct"))))

    alone = [values(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(values, range(4)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(alone[0], alone[1])


def test_the_shipped_weights_refuse_noise_and_change_a_noisy_ct(slicer, node, convert, scans) -> None:
    noise = np.random.default_rng(0).uniform(0, 9, (40, 42, 38)).astype(np.float32)
    with pytest.raises(mis.Refused, match="^noise is refused: looks skull-stripped"):
        convert(MR2CT, node(noise, np.diag([4.0, 4, 4, 1]), "noise"))
    head = nib.load(scans / "ct.nii.gz")
    noisy = (head.get_fdata() + np.random.default_rng(0).normal(0, 60, head.shape)).astype(np.int16)
    output = convert(LDCT, node(noisy, head.affine, "CT"))
    assert (output.GetName(), slicer.shown) == ("CT synthetic ct (HU, no verdict)", [])
    ct = mis.load("ldct", device="cpu", weights=None)((noisy, head.affine))
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(output).T, ct.array)
    assert 5 < np.abs(ct.array - noisy).mean() < 100


def test_the_entries_have_what_the_extension_reads(convert) -> None:
    registered = sys.modules["ModalityConverterLib.ModelBase"].MODEL_REGISTRY
    assert registered.keys() == METADATA.keys()
    for key, entry in METADATA.items():
        assert entry.keys() == {"url", "display_name", "description", "module_name", "mask_required"}
        assert registered[key].__name__ == entry["module_name"]
        assert (EXAMPLE / f"{entry['module_name']}.py").is_file()
        assert entry["mask_required"] is False
        assert "not for clinical use" in entry["description"]
