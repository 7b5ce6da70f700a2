"""Phantoms of 6 mm divided into sections, and a run that is trained on them: for what is learnt on held-out cases."""

from __future__ import annotations

import json
from pathlib import Path

from bundle_commands import TINY, Bundle, ok

from common.simulation.mr_ct_pairs import write_mr2ct

ONE = Bundle("mr2ct_pix2pix")
NAMES = {"image": "mr.nii.gz", "label": "ct.nii.gz", "mask": "mask.nii.gz"}


def split_phantoms(root: Path, **sections: int) -> Path:
    """The folder with phantoms, ``run.json`` with so many a section, and each section as the ``test`` of a file."""
    write_mr2ct(root / "cases", sum(sections.values()), 6, 0)
    items = iter(
        {"case": folder.name, **{key: str(folder / name) for key, name in NAMES.items()}}
        for folder in sorted((root / "cases").glob("phantom_*"))
    )
    lists = {section: [next(items) for _ in range(count)] for section, count in sections.items()}
    (root / "run.json").write_text(json.dumps(lists))
    for section, cases in lists.items():
        (root / f"{section}.json").write_text(json.dumps({"test": cases}))
    return root


def trained_on(data: Path) -> Path:
    """The folder of a short training on :func:`split_phantoms`."""
    settings = {**TINY, "pad_size": 64, "crop_size": 32, "max_epochs": 2, "samples_per_epoch": 40}
    ok(ONE.run("training", ["train", "demo"], datalist=data / "run.json", output_dir=data / "run", **settings))
    return data / "run"
