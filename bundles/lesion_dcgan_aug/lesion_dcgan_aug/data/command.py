"""Layout ``rois`` of ``synthesize datalist`` and ``check``: patches extracted from volumes with lesion masks."""

from __future__ import annotations

import argparse

from common.data.datalist import Item, write_datalist
from common.errors import ConfigError, Finding
from common.io import VolumeReader
from lesion_dcgan_aug.data.rois import cut_cases
from lesion_dcgan_aug.data.selection import check_patches, split_lesions


def make_datalist(options: argparse.Namespace, reader: VolumeReader) -> int:
    """Extract the patches next to the datalist, split them by patient and write the datalist.

    Raises:
        ConfigError: no classes are given.
    """
    if not options.classes:
        raise ConfigError("no --classes, the names of the lesion masks", "pass --classes cyst,metastasis,...")
    out, source = options.out, options.source or "ct"
    classes = [name.strip() for name in options.classes.split(",")]
    items = cut_cases(
        options.root, out.parent, classes, source, options.margin, options.patient_separator,
        options.one_patient_per_file, reader,
    )  # fmt: skip
    lists = split_lesions(items, options.fractions, options.seed)
    about = {key: getattr(options, key) for key in ("layout", "root", "seed", "fractions", "margin")}
    window = "none applied: patches keep the volume's unit, target_window of the training scales them"
    write_datalist(lists, out, **about, source=source, classes=classes, interpolation="cubic spline", window=window)
    for key, own in lists.items():
        counts = ", ".join(f"{name} {sum(item['class'] == name for item in own)}" for name in classes)
        print(f"{key}: {len(own)} patches of {len({item['patient'] for item in own})} patients ({counts})")
    print(f"written to {out}")
    return 0


def check(items: list[Item]) -> list[Finding]:
    """Findings about patches of 64 x 64 pixels."""
    return check_patches([item for item in items if "class" in item])
