"""How often the contrast of a scan is told: simulated heads of fresh seeds, and real scans where they are available."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import nibabel as nib
import numpy as np

from common.simulation.corruptions.intensity import blurred
from common.simulation.head import partial_volume
from common.simulation.mr_contrasts import FLAIR, PD, T1, T2
from common.simulation.physics import PulseSequence, Tissues, drawn
from common.simulation.scanner import Scanner
from common.simulation.simulate import AverageHeads
from common.simulation.variety import Variety
from common.trust.weighting import ORDERS, weighting_seen

FIRST_SEED = 7012
SCANS_PER_HEAD = 4
"""Of each contrast, each with its own tissues, atrophy, lesions, skull stripping, sequence and scanner."""

Scan = tuple[str, np.ndarray, np.ndarray]
"""True contrast, image (X, Y, Z) and spacing (3,) in mm."""


SEQUENCES: Mapping[str, PulseSequence] = {"T1": T1, "PD": PD, "T2": T2, "FLAIR": FLAIR}
"""Those that the rule tells; a T2*-weighted scan is told as PD or T2."""

SCANNER = Scanner(blur_mm=(0.2, 3.0))
HEADS = AverageHeads(spacings_mm=(1.7, 2.0, 2.3))


def simulated(
    seed: int, scans: int = SCANS_PER_HEAD, heads: AverageHeads = HEADS, scanner: Scanner = SCANNER
) -> Iterator[Scan]:
    """Scans of each contrast of the head of a seed, one in four of them skull-stripped."""
    rng = np.random.default_rng(seed)
    head = heads.unvaried(rng)
    shape, spacing = head.fractions["grey"].shape, head.spacing
    for name in [name for name in SEQUENCES for _ in range(scans)]:
        anatomy = Variety()(head, rng)
        signals = SEQUENCES[name].signals(Tissues().draw(rng), (rng.random(), rng.random()))
        texture, (bias, _) = scanner.texture_field(rng, shape, spacing), scanner.bias_fields(rng, shape, spacing)
        sigma = drawn(scanner.blur_mm, rng.random(), "blur_mm")
        shaped = scanner.sampling(rng, shape, spacing, anatomy.head)
        image = shaped.received(blurred(partial_volume(anatomy, signals) * texture, sigma, spacing) * bias)
        skin = shaped(anatomy.head.astype(np.float32)) > 0.5
        yield name, scanner.degraded(image, skin, rng, shaped), shaped.spacing


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
