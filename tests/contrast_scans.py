"""Scans of known contrast: simulated heads of fresh seeds, and real ones where they are at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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

Scan = tuple[str, np.ndarray, np.ndarray]
"""True contrast, image (X, Y, Z) and spacing (3,) in mm."""

SEQUENCES: Mapping[str, PulseSequence] = {"T1": T1, "PD": PD, "T2": T2, "FLAIR": FLAIR}
"""Those that the rule tells; a T2*-weighted scan is told as PD or T2."""


def simulated(seed: int, heads: AverageHeads, scanner: Scanner) -> Iterator[Scan]:
    """A scan of each contrast of the head of a seed, one in four of them skull-stripped."""
    rng = np.random.default_rng(seed)
    head = heads.unvaried(rng)
    shape, spacing = head.fractions["grey"].shape, head.spacing
    for name, sequence in SEQUENCES.items():
        anatomy = Variety()(head, rng)
        signals = sequence.signals(Tissues().draw(rng), (rng.random(), rng.random()))
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
