"""What the parts of the simulation are worth: MR to CT learnt briefly without each, judged on heads of no training."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import yaml

from tools.real.heads import SLICES_MM, Judged, judged
from tools.real.trainings import OVERLAYS, TO_CT, pretrained

NARROW = OVERLAYS / "narrow.yaml"
"""Schedule and network of a short pretraining."""
WITHOUT = OVERLAYS / "without"
"""An overlay for every part of the simulation that is left out; its name says which."""
JUDGED_MM = SLICES_MM[1:]
"""Slices of the scans that are inferred: those of 0.7 mm take longer than all others."""


def samples(steps: int) -> int:
    """Of an epoch, for so many steps in all."""
    batch_size = yaml.safe_load((TO_CT.configs / "pretrain.yaml").read_text())["batch_size"]
    return int(steps * batch_size // yaml.safe_load(NARROW.read_text())["max_epochs"])


def rows() -> dict[str, list[Path]]:
    """Overlays of each row of the table, the first of the whole simulation."""
    parts = {f"without {path.stem.replace('_', ' ')}": [NARROW, path] for path in sorted(WITHOUT.glob("*.yaml"))}
    return {"whole simulation": [NARROW], **parts}


def means(found: Iterable[Judged]) -> dict[str, float]:
    """Means of all scores over the scans, and of MAE over those of each contrast and thickness."""
    scores = pd.DataFrame(
        [{**one.scores, "contrast": one.scan.contrast, "slices": f"{one.scan.spacing[2]:g} mm"} for one in found]
    )
    apart = {
        f"mae of {name}": value
        for by in ("contrast", "slices")
        for name, value in scores.groupby(by)["mae"].mean().items()
    }
    return {**scores.drop(columns=["contrast", "slices"]).mean().to_dict(), **apart}


def table(label_maps: Path, steps: int, seed: int) -> str:
    """Pretrain every row for so many steps and infer the held-out heads: a line a row, printed as they come."""
    lines = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, overlays in rows().items():
            out = Path(folder, name.replace(" ", "_"))
            further = [str(path.with_suffix("")) for path in overlays]
            weights = pretrained(TO_CT, out, label_maps, further, samples_per_epoch=samples(steps), seed=seed)
            lines[name] = means(judged(label_maps, JUDGED_MM, out / "heads", weights))
            print(f"{name}: {lines[name]}", flush=True)
    said = pd.DataFrame(lines).T.round(3).to_string()
    return f"MR to CT, pretrained for {steps} steps by simulations that lack a part, seed {seed}\n{said}"
