"""Fit the recogniser of contrasts: python -m tools.recogniser.contrasts LABEL_MAPS (half an hour of a core).

Scans of label maps by the simulation of trainings, and by the physics of :mod:`tools.checks.real.physics`, which is
another one, as they are and with the grey scales and slices of archives. The last three maps are left out, and test.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from common.simulation.corruptions.intensity import blurred
from common.simulation.head import Anatomy, partial_volume
from common.simulation.label_heads import heads_of
from common.simulation.mr_contrasts import FLAIR, PD, T1, T2
from common.simulation.physics import PulseSequence, Tissues, drawn
from common.simulation.scanner import Scanner
from common.simulation.variety import Variety
from common.transforms.subject import subject_in, with_dark_padding
from common.trust.contrast import FILE, contrast_quantiles, features_of_quantiles, head_places
from common.trust.input_check import UNLIKELY
from tools.checks.real import physics
from tools.checks.real.heads import VALIDATION_MAPS, padded_labels

SEQUENCES: dict[str, PulseSequence] = {"T1": T1, "PD": PD, "T2": T2, "FLAIR": FLAIR}
COPIES = 4
"""Of a scan, the first one as it is."""
SIMULATED_HEADS = {False: 30, True: 9}
"""To fit to, and to test on."""
Volume = NDArray[np.float32]
Scan = tuple[str, Volume, NDArray[np.float64]]
"""Contrast, image (X, Y, Z) and spacing (3,) in mm."""


class Sample(NamedTuple):
    """True contrast and what is known of the values over white matter."""

    contrast: str
    features: NDArray[np.float64]


def of_archives(
    scan: Volume, spacing: NDArray[np.float64], rng: np.random.Generator
) -> tuple[Volume, NDArray[np.float64]]:
    """A scan (X, Y, Z) in thick slices, clipped, with another gamma and few grey levels, each by chance."""
    scan, spacing = scan.astype(np.float32), np.array(spacing, float)
    if rng.random() < 0.5:
        axis = int(rng.integers(3))
        step = max(1, round(rng.uniform(2, 7) / spacing[axis]))
        rows = np.moveaxis(scan, axis, 0)[: scan.shape[axis] // step * step]
        scan = np.moveaxis(rows.reshape(-1, step, *rows.shape[1:]).mean(1), 0, axis)
        spacing[axis] *= step
    low, high = np.percentile(scan, (1, rng.uniform(97, 99.9) if rng.random() < 0.6 else 99.9))
    scan = np.clip((scan - low) / (high - low), 0, 1 if rng.random() < 0.6 else None)
    if rng.random() < 0.6:
        scan = scan ** np.exp(rng.uniform(-0.6, 0.6))
    if rng.random() < 0.4:
        levels = rng.choice([255, 255, 64])
        scan = np.round(np.clip(scan, 0, 1) * levels)
    return scan, spacing


def simulated(label_maps: Path, is_test: bool) -> Iterator[Scan]:
    """Scans of heads by the simulation of trainings."""
    heads = heads_of(str(label_maps), defaced_probability=0, spacings_mm=[2.0])
    heads = heads.held_out() if is_test else heads
    for number in range(SIMULATED_HEADS[is_test]):
        rng = np.random.default_rng((int(is_test), number))
        yield from scans_of(heads(rng), Scanner(), rng)


def scans_of(head: Anatomy, scanner: Scanner, rng: np.random.Generator) -> Iterator[Scan]:
    """A scan of each contrast of a head, one in four of them skull-stripped."""
    shape, spacing = head.fractions["grey"].shape, head.spacing
    for name, sequence in SEQUENCES.items():
        anatomy = Variety(stripped_probability=0.25, defaced_probability=0.1)(head, rng)
        signals = sequence.signals(Tissues(outside_spread=0.2).draw(rng), (rng.random(), rng.random()))
        texture, (bias, _) = scanner.texture_field(rng, shape, spacing), scanner.bias_fields(rng, shape, spacing)
        sigma = drawn(scanner.blur_mm, rng.random(), "blur_mm")
        shaped = scanner.sampling(rng, shape, spacing, anatomy.head)
        image = shaped.received(blurred(partial_volume(anatomy, signals) * texture, sigma, spacing) * bias)
        skin = shaped(anatomy.head.astype(np.float32)) > 0.5
        yield name, scanner.degraded(image, skin, rng, shaped), np.asarray(shaped.spacing, float)


def computed(label_maps: Path, is_test: bool) -> Iterator[Scan]:
    """The same by the other physics, at 1 mm."""
    paths = sorted(label_maps.glob("*.nii.gz"))
    for number, path in enumerate(paths[-VALIDATION_MAPS:] if is_test else paths[:-VALIDATION_MAPS]):
        rng = np.random.default_rng((int(is_test), number))
        codes = physics.tissues_of(padded_labels(path), rng)
        for name, signal in physics.CONTRASTS.items():
            levels = np.array([signal(tissue) for tissue in physics.TISSUES.values()])
            yield name, physics.scanned(physics.mixed(codes, levels), 0.85, rng), np.ones(3)


def samples(label_maps: Path, is_test: bool) -> Iterator[Sample]:
    """Every scan and its copies, as an inference is shown them; those in which no head is recognised are left out."""
    rng = np.random.default_rng(int(is_test))
    for scans in (simulated, computed):
        for name, scan, spacing in scans(label_maps, is_test):
            for copy in range(COPIES):
                shown, size = of_archives(scan, spacing, rng) if copy else (scan, spacing)
                shown = with_dark_padding(np.asarray(shown, np.float32))
                box, _, kept = subject_in(shown, size, 6.0)
                quantiles = contrast_quantiles(
                    head_places(np.pad(np.where(kept, shown[box], shown[box][kept].min()), 4), size)
                )
                if quantiles is not None:
                    yield Sample(name, features_of_quantiles(quantiles))


def main(label_maps: Path) -> None:
    """Fit, write the coefficients and print how many scans of the maps that were left out are recognised."""
    fitted, tested = (list(samples(label_maps, is_test)) for is_test in (False, True))
    values = np.stack([each.features for each in fitted])
    mean, deviation = values.mean(0), values.std(0)
    regression = LogisticRegression(max_iter=5000).fit((values - mean) / deviation, [each.contrast for each in fitted])
    coefficients = regression.coef_ / deviation
    intercepts = regression.intercept_ - coefficients @ mean
    rows = {name: row.round(4).tolist() for name, row in zip(regression.classes_, coefficients, strict=True)}
    FILE.write_text(json.dumps({"coefficients": rows, "intercepts": intercepts.round(4).tolist()}, indent=1) + "\n")
    scores = np.stack([each.features for each in tested]) @ coefficients.T + intercepts
    own = np.array([each.contrast for each in tested])[:, None] == regression.classes_
    shares = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))[own]
    recognised = own[range(len(own)), scores.argmax(1)].mean()
    print(f"{len(fitted)} scans; of {len(tested)} others {recognised:.0%} recognised")
    print(f"{(shares < UNLIKELY).mean():.1%} have less than {UNLIKELY} for their own contrast")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
