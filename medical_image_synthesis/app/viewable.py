"""``python -m medical_image_synthesis.app.viewable SCAN OUT.nii.gz [SCAN OUT.nii.gz ...]``: NIfTI for a viewer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from common.errors import exit_code_of_user_errors
from common.io import VolumeReader


@exit_code_of_user_errors
def main(words: Sequence[str]) -> int:
    """Write each volume as NIfTI on its own grid; tilted or unevenly spaced slices are resampled."""
    for scan, out in zip(words[::2], words[1::2], strict=True):
        read = VolumeReader().lenient().check(scan, Path(scan).name)
        nib.save(nib.Nifti1Image(np.asarray(read.values, np.float32), read.affine), out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
