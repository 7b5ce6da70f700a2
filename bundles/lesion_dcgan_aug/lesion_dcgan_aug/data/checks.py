"""Checks of patches before training: shape, constant values, copies under another patient."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from common.data.datalist import Item
from common.data.identity import content_hash, remember
from common.errors import Finding, VolumeError
from common.io.nifti.reading import is_constant, read_volume
from lesion_dcgan_aug.data.rois import SIZE


def check_patches(items: Sequence[Item]) -> list[Finding]:
    """Read every patch and report wrong shapes, constant patches, and patches that two patients share.

    The latter could leak between the sections of a split and between folds; for other copies see
    :func:`common.data.checks.duplicates.copies`.
    """
    findings: list[Finding] = []
    seen: dict[str, Item] = {}
    for item in items:
        where = partial(Finding, item["case"], Path(item["image"]).name)
        try:
            values, _ = read_volume(item["image"], item["case"])
        except VolumeError as error:
            findings.append(error.finding)
            continue
        if values.shape != (SIZE, SIZE, 1):
            fault, shape = f"not {SIZE} x {SIZE} x 1 voxels", " x ".join(map(str, values.shape))
            remedy = f"cut all patches to one size by synthesize datalist --layout rois --size {SIZE}"
            findings.append(where(fault, shape, remedy))
        if is_constant(values):
            findings.append(where("the patch is constant", f"{values.flat[0]:g} everywhere", "exclude it"))
            continue
        remember(item["image"], values)
        other = seen.setdefault(content_hash(values), item)
        if other["patient"] != item["patient"]:
            copied = f"that of {other['case']} of patient {other['patient']}"
            findings.append(where("the same patch of two patients", copied, "remove one, or give both one patient"))
    return findings
