"""How often the contrast of a scan is told: simulated heads of fresh seeds, and real scans where they are available."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from common.phantoms.head import partial_volume
from common.phantoms.physics import AnyEcho, InvertedEcho, PulseSequence, Range, SpinEcho, SpoiledEcho, Tissues, drawn
from common.phantoms.scanner import Scanner, blurred
from common.phantoms.simulate import AverageHeads, Sampling
from common.phantoms.tissues import Relaxation, inversion_recovery
from common.phantoms.variety import Variety
from common.trained.weighting import ORDERS, weighting_seen

FLUID_T1_MS = 4300.0
"""T1 of cerebrospinal fluid (Rooney et al. 2007). With that of BrainWeb, 2569 ms, no inversion time leaves fluid dark
and grey matter brighter than white, as scanners' FLAIR does."""

FIRST_SEED = 7012
SCANS_PER_HEAD = 4
"""Of each contrast, each with its own tissues, atrophy, lesions, skull stripping, sequence and scanner."""

Scan = tuple[str, np.ndarray, np.ndarray]
"""True contrast, image (X, Y, Z) and spacing (3,) in mm."""


@dataclass(frozen=True)
class NulledFluid:
    """FLAIR: inversion recovery near the null of fluid, ``TI = T1 ln(2 / (1 + exp(-TR / T1)))``.

    Args:
        tr_ms: repetition time.
        te_ms: echo time.
        null: inversion time over that of the null.
    """

    tr_ms: Range = (8000.0, 11000.0)
    te_ms: Range = (90.0, 140.0)
    null: Range = (0.95, 1.03)

    def signals(self, tissues: Mapping[str, Relaxation], places: Sequence[float]) -> dict[str, float]:
        """Signal of each tissue relative to fully relaxed water; TE falls with TR."""
        tr, te = drawn(self.tr_ms, places[0], "tr_ms"), drawn(self.te_ms, 1 - places[0], "te_ms")
        nulling = FLUID_T1_MS * math.log(2 / (1 + math.exp(-tr / FLUID_T1_MS)))
        ti = nulling * drawn(self.null, places[1], "null")
        person = {**tissues, "csf": tissues["csf"]._replace(t1=FLUID_T1_MS)}
        return {name: inversion_recovery(tissue, tr, ti, te) for name, tissue in person.items()}


SEQUENCES: Mapping[str, PulseSequence] = {
    "T1": AnyEcho([SpoiledEcho(), InvertedEcho()]),
    "PD": SpinEcho(),
    "T2": SpinEcho(te_ms=(85.0, 115.0)),
    "FLAIR": NulledFluid(),
}
"""T1, PD and T2 as in the pretrainings of the bundles."""

SCANNER = Scanner(blur_mm=(0.2, 3.0))
HEADS = AverageHeads(spacings_mm=(1.7, 2.0, 2.3))


def simulated(seed: int, scans: int = SCANS_PER_HEAD, heads: AverageHeads = HEADS) -> Iterator[Scan]:
    """Scans of each contrast of the head of a seed, one in four of them skull-stripped."""
    rng = np.random.default_rng(seed)
    head = heads.unvaried(rng)
    shape, spacing = head.fractions["grey"].shape, head.spacing
    for name in [name for name in SEQUENCES for _ in range(scans)]:
        anatomy = Variety()(head, rng)
        signals = SEQUENCES[name].signals(Tissues().draw(rng), (rng.random(), rng.random()))
        texture, (bias, _) = SCANNER.texture_field(rng, shape, spacing), SCANNER.bias_fields(rng, shape, spacing)
        sigma = drawn(SCANNER.blur_mm, rng.random(), "blur_mm")
        shaped = Sampling(SCANNER.window_of_view(rng, shape, spacing), *SCANNER.slabs(rng))
        image = shaped(blurred(partial_volume(anatomy, signals) * texture, sigma, spacing) * bias)
        skin = shaped(anatomy.head.astype(np.float32)) > 0.5
        yield name, SCANNER.degraded(image, skin, rng), shaped.spacing(spacing)


def real(data: Path) -> Iterator[Scan]:
    """Three patients without skull and the templates of SPM, with names that tell their contrast."""
    for path in [*sorted((data / "open_ms").glob("*/[tf]*.nii.gz")), *sorted((data / "spm_templates").glob("*.nii"))]:
        image = nib.as_closest_canonical(nib.nifti1.Nifti1Image.from_filename(path))
        spacing = np.asarray(image.header.get_zooms()[:3], float)
        yield path.name.split(".")[0].upper(), np.asarray(image.dataobj, np.float32), spacing


def counts(scans: Iterable[Scan]) -> Counter[tuple[str, tuple[str, ...]]]:
    """How often each true contrast was taken for which ones."""
    return Counter((name, weighting_seen(image, spacing).weightings) for name, image, spacing in scans)


def table(title: str, counted: Counter[tuple[str, tuple[str, ...]]]) -> str:
    """A line for each true contrast: what it was taken for, and how many would be warned of by weights of T1 or PD."""
    lines = [title, f"{'true':6}{'scans':>6}  {'warned: T1 weights':20}{'PD weights':12}taken for"]
    for name in ORDERS:
        seen = {key[1]: number for key, number in counted.items() if key[0] == name}
        if scans := sum(seen.values()):
            warned = [sum(number for names, number in seen.items() if listed not in names) for listed in ("T1", "PD")]
            taken = ", ".join(f"{' or '.join(names) or 'not told'} {seen[names]}" for names in sorted(seen))
            lines.append(f"{name:6}{scans:6}  {warned[0]:<20}{warned[1]:<12}{taken}")
    return "\n".join(lines)


def show(heads: int, data: Path) -> None:
    """Print the tables of simulated and of real scans."""
    scans = (scan for number in range(heads) for scan in simulated(FIRST_SEED + number))
    print(
        table(f"{heads} simulated heads from seed {FIRST_SEED}, {SCANS_PER_HEAD} scans each", counts(scans)), flush=True
    )
    if data.is_dir():
        print(table("real scans", counts(real(data))))
