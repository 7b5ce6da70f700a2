"""Bundles that ship weights as models of SlicerModalityConverter, an extension of 3D Slicer; see README.md.

The extension imports this file from its folder ``ModelsImpl``, and wants it named as its class. Voxels and geometry go
through the Python interface, so that values, verdicts and refusals are those of the bundle anywhere else.
"""  # noqa: N999

from __future__ import annotations

import json
import threading
from functools import lru_cache
from typing import Any

import slicer
import vtk
from ModalityConverterLib.ModelBase import BaseModel, register_model

import medical_image_synthesis as mis

BUNDLES = {"medical_image_synthesis_mr2ct": "mr2ct", "medical_image_synthesis_ldct": "ldct"}
"""The bundle of each key of ``metadata.json``."""
CODES = {"HU": (("112031", "DCM", "Attenuation Coefficient"), ("[hnsf'U]", "UCUM", "Hounsfield unit"))}
"""Quantity and unit in DICOM's codes, by which Slicer's statistics name the values."""
PREFIX = "Synthesis."
"""Of the attributes of a synthetic volume: ``Verdict``, ``Reasons``, ``Unit`` and ``Record``, which is JSON."""


class MedicalImageSynthesisModel(BaseModel):
    """A bundle as a model of the extension, which makes one for each run.

    Args:
        modelKey: of :data:`BUNDLES`.
        device: ``cpu``, or ``cuda:0``; on a Mac the extension also offers ``coreml``, which is refused.
    """

    def loadModel(self) -> None:  # noqa: N802
        """Take the weights that the package ships, where the extension would download a file."""
        self.model = self._loadModelFromPath(None)

    def _loadModelFromPath(self, modelPath: str | None) -> mis.SynthesisModel:  # noqa: N802
        """The bundle with these weights, with its own for None.

        Raises:
            UserError: the device is not there, or the weights are damaged or of another network.
        """
        return loaded(BUNDLES[self.modelKey], self.device, modelPath)

    def runInference(  # noqa: N802
        self, inputVolume: Any, outputVolume: Any, inputMask: Any = None, showAllFiles: bool = True
    ) -> mis.SyntheticVolume:
        """Fill the output, a ``vtkMRMLScalarVolumeNode`` as the input, on the grid of the input.

        Raises:
            Refused: by the verdict, or since the volume does not suit the weights; the output stays as it was.
            UserError: the volume cannot be read or inferred, would be replaced, or has a mask.
        """
        if inputMask is not None:
            raise mis.UserError("this model translates whole volumes and takes no ROI mask", "select none")
        if outputVolume is inputVolume:
            raise mis.UserError(f"{inputVolume.GetName()} is input and output", "select another output volume")
        source = array_and_affine(inputVolume)
        try:
            made = self.model(source, progress=show_progress)
        except mis.Refused as error:
            reasons = "; ".join(error.reasons)
            raise mis.Refused(f"{inputVolume.GetName()} is refused: {reasons}", error.reasons) from error
        slicer.util.updateVolumeFromArray(outputVolume, made.array.T)
        outputVolume.CopyOrientation(inputVolume)
        outputVolume.SetAndObserveTransformNodeID(inputVolume.GetTransformNodeID())
        describe(outputVolume, inputVolume.GetName(), made)
        slicer.util.setSliceViewerLayers(background=outputVolume, foreground=None)
        slicer.util.resetSliceViews()
        return made


for each in BUNDLES:
    register_model(each)(MedicalImageSynthesisModel)


@lru_cache
def loaded(bundle: str, device: str, weights: str | None) -> mis.SynthesisModel:
    """The model of a bundle, which stays in memory for the next run."""
    return mis.load(bundle, device=device, weights=weights)


def array_and_affine(volume: Any) -> tuple[Any, Any]:
    """The voxels (X, Y, Z) of a node, and its affine (4, 4) to RAS mm, before transforms of the scene.

    Raises:
        UserError: the node is empty, or has no geometry, as in versions that run models in a process of their own.
    """
    if not hasattr(volume, "GetIJKToRASMatrix"):
        fault = "this SlicerModalityConverter hands models voxels without their size and orientation"
        raise mis.UserError(fault, "use version 1.4.6")
    if volume.GetImageData() is None:
        raise mis.UserError(f"{volume.GetName()} has no voxels", "select another input volume")
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVolume(volume).T, slicer.util.arrayFromVTKMatrix(matrix)


def show_progress(stage: str, share: float | None) -> None:
    """Say in the status bar what is done."""
    if threading.current_thread() is threading.main_thread():  # Qt knows no other
        slicer.util.showStatusMessage(stage if share is None else f"{stage} ({share:.0%})")
        slicer.app.processEvents()


def describe(volume: Any, source: str, made: mis.SyntheticVolume) -> None:
    """Write verdict and unit into a node: its name, its attributes, a line in the console, a window for a review."""
    verdict, reasons = (made.verdict, made.verdict.reasons) if made.verdict else ("no verdict", ())
    volume.SetName(f"{source} {made.record['Content']} ({made.unit}, {verdict})")
    about = {"Verdict": str(verdict), "Reasons": "; ".join(reasons), "Unit": made.unit}
    for name, value in {**about, "Record": json.dumps(made.record)}.items():
        volume.SetAttribute(PREFIX + name, value)
    quantity, unit = slicer.vtkCodedEntry(), slicer.vtkCodedEntry()
    for entry, code in zip((quantity, unit), CODES[made.unit], strict=True):
        entry.SetValueSchemeMeaning(*code)
    volume.SetVoxelValueQuantity(quantity)
    volume.SetVoxelValueUnits(unit)
    said = "; ".join([f"{volume.GetName()}, not for clinical use", *reasons, *made.warnings])
    print(said)
    if verdict == "review":
        slicer.util.warningDisplay(said)
