"""Real scans of known contrast, where they are at hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np

from tools.recogniser.contrasts import Scan


def real(data: Path) -> Iterator[Scan]:
    """Three patients without skull and the templates of SPM, with names that tell their contrast."""
    for path in [*sorted((data / "open_ms").glob("*/[tf]*.nii.gz")), *sorted((data / "spm_templates").glob("*.nii"))]:
        image = nib.as_closest_canonical(nib.nifti1.Nifti1Image.from_filename(path))
        spacing = np.asarray(image.header.get_zooms()[:3], float)
        yield path.name.split(".")[0].upper(), np.asarray(image.dataobj, np.float32), spacing
