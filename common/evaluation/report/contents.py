"""Contents of a report: metrics, volumes to show, settings and versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ConfigError, DataError
from ...runs.versions import software_versions
from .tables import Summary


@dataclass(frozen=True)
class ExtraImage:
    """Additional column of a panel, such as the residual r(x) of a residual generator.

    Args:
        name: the column's heading.
        values: (X, Y, Z) on the panel's grid.
        unit: the unit of ``values``.
        signed: whether to show a diverging colour map, symmetric about zero, instead of grey over the 0.5-99.5
            percentiles.
    """

    name: str
    values: np.ndarray
    unit: str
    signed: bool = True


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Volumes of one case and method, all (X, Y, Z) on one grid in RAS orientation.

    Args:
        case: the case's name.
        method: the method's name, such as ``model`` or ``linear_fit``.
        source: the source image (its first channel), in ``source_unit``.
        synthetic: the synthetic image, in ``unit``.
        truth: the true image, in ``unit``; None for unpaired data.
        mask: non-zero where the metrics are measured; the planes go through its centre.
        extras: further columns.
        spacing: voxel size in mm along X, Y, Z.
        source_unit: unit of ``source``.
        unit: unit of ``synthetic`` and ``truth``.
        window: (low, high) shown as black and white, for ``synthetic`` and ``truth``.
        source_window: (low, high) for ``source``; None for its 0.5-99.5 percentiles.
        affine: (4, 4), of the voxels to the patient's RAS coordinates in mm; None where it is unknown.

    Raises:
        DataError: a volume is not 3-D or not of the shape of ``synthetic``.
        ConfigError: a window is empty, or a spacing is not positive.
    """

    case: str
    method: str
    source: np.ndarray
    synthetic: np.ndarray
    truth: np.ndarray | None
    spacing: tuple[float, float, float]
    source_unit: str
    unit: str
    window: tuple[float, float]
    mask: np.ndarray | None = None
    extras: Sequence[ExtraImage] = ()
    source_window: tuple[float, float] | None = None
    affine: np.ndarray | None = None

    def __post_init__(self) -> None:
        volumes = {"synthetic": self.synthetic, "source": self.source, "truth": self.truth, "mask": self.mask}
        volumes |= {extra.name: extra.values for extra in self.extras}
        for name, volume in volumes.items():
            if volume is not None and (volume.ndim != 3 or volume.shape != self.synthetic.shape):
                shapes = f"{tuple(volume.shape)}, not the 3-D shape {tuple(self.synthetic.shape)} of synthetic"
                raise DataError(f"panel of {self.case}: {name} has shape {shapes}", "bring it to the source's grid")
        for window in filter(None, (self.window, self.source_window)):
            if not window[0] < window[1]:
                raise ConfigError(f"panel of {self.case}: window is {window}, not low < high", "write the lower first")
        if len(self.spacing) != 3 or not min(self.spacing) > 0:
            fault = f"panel of {self.case}: spacing is {self.spacing}, not three sizes above 0"
            raise ConfigError(fault, "give the voxel size in mm along X, Y and Z")


@dataclass(frozen=True)
class Picture:
    """Further figure of a report: heading, PNG file and caption."""

    title: str
    png: bytes
    caption: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """Contents of the HTML page.

    Args:
        title: the page's heading.
        bundle: the bundle's name.
        version: the bundle's version.
        unit: unit of the target, such as ``HU``.
        value_range: (low, high) in ``unit`` that the metrics with a range (PSNR, SSIM) clip to; None where each case
            has its own.
        mask_description: the mask of the metrics, such as ``head, from the CT``.
        rows: one mapping per case and method, ``{"case", "method", <metric>: value, ...}``.
        summary: ``summarise(rows)``.
        panels: the volumes to show, at most one per case and method.
        pictures: further figures, shown after the summary.
        log_csv: training log, one row per epoch with an ``epoch`` column, named losses and validation metrics.
        settings: the settings of the run; nested mappings are shown with dotted names.
        versions: versions of the software.
        notes: sentences at the top, such as the hash of the weights.
        reference: the method that the others are compared with in the paired tests, and by which cases are ordered.
        errors: distribution of the errors of ``reference``, by tissue.
        warnings: about a method, the input of a case, or why it failed, by its name.
        groups: ``by_group(rows, items)``.
    """

    title: str
    bundle: str
    version: str
    unit: str
    value_range: tuple[float, float] | None
    mask_description: str
    rows: Sequence[Mapping[str, Any]]
    summary: Summary
    panels: Sequence[Panel] = ()
    pictures: Sequence[Picture] = ()
    log_csv: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=software_versions)
    notes: Sequence[str] = ()
    reference: str = "model"
    errors: Picture | None = None
    warnings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    groups: Mapping[str, Summary] = field(default_factory=dict)


def plain_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a configuration: values, not components."""
    return {
        key: value
        for key, value in config.items()
        if not isinstance(value, Mapping) or all(not isinstance(part, dict) for part in value.values())
    }
