"""Checks of patches before training: shape, constant values, duplicates."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from common.data.datalist import Item
from common.errors import Finding, VolumeError
from common.io.nifti.reading import is_constant, read_volume


def check_patches(items: Sequence[Item], size: int) -> list[Finding]:
    """Read every patch and report wrong shapes, constant patches and duplicates.

    A duplicate under another patient is an error, since it can leak between the sections of a split; within a patient
    it is a warning.
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
        if values.shape != (size, size, 1):
            rule, remedy = f"a patch has {size} x {size} x 1 voxels", "cut all alike: make-datalist --layout rois"
            findings.append(where(rule, " x ".join(map(str, values.shape)), remedy))
        if is_constant(values):
            findings.append(where("a patch must not be constant", f"{values.flat[0]:g} everywhere", "exclude it"))
            continue
        other = seen.setdefault(hashlib.sha256(values.tobytes()).hexdigest(), item)
        if other is not item:
            across = other["patient"] != item["patient"]
            value = f"a copy of {other['case']}" + (f" of patient {other['patient']}" if across else "")
            remedy = "remove one, or give both the same patient" if across else "remove one"
            findings.append(where("every patch is another", value, remedy, "error" if across else "warning"))
    return findings
