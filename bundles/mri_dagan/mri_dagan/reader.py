"""K-space files as volumes of a case, and agreement of synthetic volumes with their samples."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type

from common.errors import ConfigError, DataError, Finding, VolumeError
from common.io import Scan, VolumeReader
from common.io.modality import COMPLEX
from common.io.reader import KSPACE
from common.transforms import LoadVolumed
from mri_dagan.kspace_files import read_kspace
from mri_dagan.kspace_scan import KspaceScan

RAW = {".cfl": "BART", ".dat": "a Siemens scanner (twix)"}
HDF5 = "convert it to HDF5 in the layout of ISMRMRD (siemens_to_ismrmrd) or fastMRI"


class KspaceReader(VolumeReader):
    """Reads ``.h5`` files of k-space as their zero-filled magnitude, and all others as its parent.

    Args:
        contrast: to read of an ISMRMRD file with several, as the file numbers them.
        repetition: likewise.
        **reader: of :class:`common.io.VolumeReader`.

    Raises:
        ConfigError: ``contrast`` or ``repetition`` is no whole number of at least 0; see also the parent.
    """

    def __init__(self, contrast: int | None = None, repetition: int | None = None, **reader: Any) -> None:
        super().__init__(**reader)
        for name, value in (("contrast", contrast), ("repetition", repetition)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
                fault = f"--reader::{name} is {value!r}, not a whole number of 0 or more"
                raise ConfigError(fault, "give the number that the file uses, or null")
        self.contrast = contrast
        self.repetition = repetition

    def kspace(self, path: str | Path, case: str) -> KspaceScan:
        """The k-space of a file; see :func:`~mri_dagan.kspace_files.read_kspace`."""
        return read_kspace(Path(path), case, self.contrast, self.repetition)

    def _read(self, path: Path, case: str, channels: int | None, modality: str | None = None) -> Scan:
        if kind := RAW.get(path.suffix.lower()):
            raise VolumeError(Finding(case, path.name, f"raw data of {kind}", "", HDF5))
        if not is_kspace(path):
            return super()._read(path, case, channels, modality)
        scan = self.kspace(path, case)
        return Scan(scan.zero_filled(), scan.affine, scan.warnings, modality="MR")


def is_kspace(path: str | Path) -> bool:
    """Whether a path names a file of k-space."""
    return Path(path).suffix.lower() in KSPACE and not Path(path).is_dir()


class LoadKspaced(LoadVolumed):
    """Loads volumes as its parent, of ``image`` also phase and mask of its k-space.

    Args:
        keys: items that hold a path or a list of paths.
        reader: of the volumes.
        complex_input: whether ``image`` becomes channels as of :func:`mri_dagan.kspace_scan.channels_of`.

    Raises:
        DataError: see the parent.
        VolumeError: by a call with ``complex_input``, for a magnitude image, which has neither phase nor mask.
    """

    def __init__(self, keys: KeysCollection, reader: VolumeReader | None = None, complex_input: bool = False) -> None:
        super().__init__(keys, reader)
        self.complex_input = complex_input

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace paths by volumes."""
        loaded = super().__call__(data)
        if self.complex_input:
            image = loaded["image"]
            path = image.meta["filename_or_obj"]
            case = str(data.get("case", Path(path).name))
            if not isinstance(self.reader, KspaceReader) or not is_kspace(path):
                fault, remedy = "the network takes k-space, not a magnitude image", "give the .h5 file of the scan"
                raise VolumeError(Finding(case, Path(path).name, fault, "", remedy))
            channels = self.reader.kspace(path, case).channels()
            loaded["image"] = convert_to_dst_type(torch.from_numpy(channels), image)[0]
            loaded["image"].meta[COMPLEX] = True
        return loaded


class DataConsistencyd(MapTransform):
    """Puts the measured samples of a case's k-space into its synthetic magnitude; other cases are left as they are.

    So are cases whose image has the k-space itself, which a network of complex input keeps.

    See :func:`~mri_dagan.consistency.data_consistency`. Volumes are on the grid and in the grey scale of the k-space's
    zero-filled image, as after ``Invertd``.

    Args:
        keys: synthetic volumes (1, X, Y, Z).
        reader: of the k-space; by default without choices.
        enabled: false leaves all cases as they are.

    Raises:
        DataError: by a call, for a volume of several channels or another shape than that of the k-space.
    """

    def __init__(self, keys: KeysCollection, reader: VolumeReader | None = None, enabled: bool = True) -> None:
        super().__init__(keys)
        self.reader = reader if isinstance(reader, KspaceReader) else KspaceReader()
        self.enabled = enabled

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the volumes of a case of k-space."""
        done = dict(data)
        image: Any = data.get("image")
        path = str(getattr(image, "meta", {}).get("filename_or_obj", ""))
        if not self.enabled or not is_kspace(path) or len(image) > 1:
            return done
        case = str(data.get("case", Path(path).name))
        scan = self.reader.kspace(path, case)
        for key in self.key_iterator(done):
            if len(done[key]) != 1:
                fault = f"{case}: {key} has {len(done[key])} channels, not the magnitude alone"
                raise DataError(fault, "apply the data consistency before other channels are added")
            made = scan.consistent(np.asarray(done[key][0].detach().cpu()))
            done[key] = convert_to_dst_type(torch.from_numpy(made)[None], done[key])[0]
        return done
