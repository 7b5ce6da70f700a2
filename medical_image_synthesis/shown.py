"""A synthetic volume as a notebook shows it: three planes with its verdict, or a viewer."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.errors import ConfigError
from common.units import HU

if TYPE_CHECKING:
    import nibabel as nib

CT_WINDOW = (-300.0, 1200.0)
"""In HU, from fat to compact bone."""
HEIGHT, DPI, MOST_PIXELS = 3.2, 80, 400
"""Of the picture, in inches; and the longest side of a plane in pixels, beyond which voxels are left out."""


def three_planes_png(array: np.ndarray, affine: np.ndarray, unit: str, title: str) -> bytes:
    """The axial, coronal and sagittal planes through the middle, the patient's left on the right.

    Args:
        array: (X, Y, Z).
        affine: (4, 4), from voxel indices to RAS mm.
        unit: of the values, which names the window.
        title: above them.
    """
    import nibabel as nib
    from matplotlib.figure import Figure

    from common.evaluation.report.planes import EDGES, PLANES, three_planes

    turn = nib.orientations.io_orientation(affine)
    volume = nib.orientations.apply_orientation(array, turn)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)[np.argsort(turn[:, 0])]
    low, high = CT_WINDOW if unit == HU else np.percentile(volume, (0.5, 99.5))
    x, y, z = (size * step for size, step in zip(volume.shape, spacing, strict=True))
    sizes = [(x, y), (x, z), (y, z)]
    centre = tuple(side // 2 for side in volume.shape)
    figure = Figure(figsize=(HEIGHT * sum(width / height for width, height in sizes) + 0.9, HEIGHT + 0.5), dpi=DPI)
    axes = figure.subplots(1, 3, width_ratios=[width / height for width, height in sizes])
    for axis, name, plane, (width, height) in zip(axes, PLANES, three_planes(volume, centre), sizes, strict=True):
        step = max(1, max(plane.shape) // MOST_PIXELS)
        shown = axis.imshow(
            plane[::step, ::step], cmap="gray", vmin=low, vmax=high, extent=(0, width, 0, height), aspect="equal"
        )
        left, right, top, bottom = EDGES[name]
        axis.set_title(f"{name}: {left}-{right}, {top}-{bottom}", fontsize=8)
        axis.set_axis_off()
    figure.colorbar(shown, ax=axes, label=unit, fraction=0.02, pad=0.01)
    figure.suptitle(title, fontsize=9)
    picture = io.BytesIO()
    figure.savefig(picture, bbox_inches="tight")
    return picture.getvalue()


def viewer(made: nib.Nifti1Image, source: Path | None = None) -> Any:
    """A widget of ipyniivue with a volume, half transparent over a NIfTI file where one is given.

    Raises:
        ConfigError: ipyniivue is not installed.
    """
    try:
        from ipyniivue import NiiVue
    except ModuleNotFoundError as error:
        remedy = 'pip install "medical-image-synthesis-bundles[notebook]"'
        raise ConfigError("ipyniivue is not installed", remedy) from error
    shown, own = (
        NiiVue(height=400),
        {"name": "synthetic.nii", "data": made.to_bytes()},
    )  # it reads paths when it is seen
    if source is None:
        shown.load_volumes([own])
    else:
        shown.load_volumes([{"path": str(source)}, {**own, "colormap": "warm", "opacity": 0.5}])
    return shown
