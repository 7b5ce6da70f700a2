"""Tissue properties in CT and MR with their sources, and the signal equations of MR sequences.

Values marked ``[chosen]`` are not measured; their comments give the reason. The spreads are
standard deviations between people (MR: relative), [chosen] within the cited ranges, drawn once per case.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

TISSUES = (
    "vessel",
    "lesion",
    "white",
    "grey",
    "csf",
    "dura",
    "skull",
    "marrow",
    "muscle",
    "fat",
    "skin",
    "sinus",
    "background",
)
"""Names of the tissue fraction maps; ``vessel`` is the blood in arteries, veins and venous sinuses, ``sinus`` air
inside the head, ``background`` the air around it."""


class Hounsfield(NamedTuple):
    """CT number of a tissue: mean and standard deviation between people, in HU."""

    mean: float
    spread: float


class Relaxation(NamedTuple):
    """MR properties of a tissue: T1, T2, T2* in ms, proton density relative to water, relative spread of people."""

    t1: float
    t2: float
    t2_star: float
    density: float
    spread: float


HOUNSFIELD = {
    "vessel": Hounsfield(43.0, 4.0),
    "white": Hounsfield(27.0, 2.0),
    "grey": Hounsfield(39.0, 2.0),
    "csf": Hounsfield(8.0, 2.5),
    "lesion": Hounsfield(20.0, 2.5),  # [chosen] hypodense to white matter, above CSF
    "dura": Hounsfield(60.0, 5.0),  # [chosen] dense collagen, above muscle
    "skull": Hounsfield(1500.0, 120.0),
    "marrow": Hounsfield(400.0, 80.0),
    "muscle": Hounsfield(50.0, 5.0),
    "fat": Hounsfield(-85.0, 8.0),
    "skin": Hounsfield(45.0, 8.0),  # [chosen] as muscle, with a wider spread
    "sinus": Hounsfield(-1000.0, 0.0),
    "background": Hounsfield(-1000.0, 0.0),
    "thalamus": Hounsfield(35.0, 2.0),  # [chosen] between grey and white matter, as its cells lie between fibres
    "striatum": Hounsfield(38.0, 2.0),  # [chosen] as cortex
    "pallidum": Hounsfield(40.0, 4.0),  # [chosen] as cortex, often with a little calcium
    "stem": Hounsfield(30.0, 2.0),  # [chosen] white matter with nuclei in it
    "choroid": Hounsfield(40.0, 6.0),  # [chosen] vessels in fluid
    "mucosa": Hounsfield(40.0, 10.0),  # [chosen] from fluid-filled to muscle-like
    "oedema": Hounsfield(18.0, 3.0),  # [chosen] white matter with more water
    "tumour": Hounsfield(35.0, 7.0),  # [chosen] from below to above grey matter
    "infarct": Hounsfield(22.0, 4.0),  # [chosen] grey and white matter alike, darker than both
    "haematoma": Hounsfield(65.0, 7.0),
    "calcium": Hounsfield(300.0, 80.0),  # [chosen] above the 100 HU by which calcification is called
    "metal": Hounsfield(3071.0, 0.0),  # the end of the scanners' range
}
"""Blood without contrast medium, in the dural sinuses of 122 people: mean 43.3, 25..54 HU by the hematocrit (Lee et
al. 2013). White 20..30, grey 37..45, fat -100..-50, air -1000 HU: Buzug 2008 (Computed Tomography, p. 475) and Prokop
2003 (Spiral and Multislice CT of the Body). CSF 0..15 and muscle 35..55 HU: ranges usual in radiology. Skull: between
1323 HU, the largest regional mean over the full thickness of the neurocranium (temporal squama, 604 people), and
1800..1900 HU of the compact bone of the jaw (Patrick et al. 2017), whose 300..400 HU of cancellous bone are used for
the diploe. Clotted blood 50..80 HU: the range usual in radiology."""

RELAXATION = {
    "vessel": Relaxation(1441.0, 290.0, 60.0, 0.8, 0.05),
    "white": Relaxation(500.0, 70.0, 61.0, 0.77, 0.04),
    "grey": Relaxation(833.0, 83.0, 69.0, 0.86, 0.04),
    "csf": Relaxation(2569.0, 329.0, 58.0, 1.0, 0.05),
    "lesion": Relaxation(752.0, 237.0, 204.0, 0.76, 0.06),
    "dura": Relaxation(900.0, 20.0, 10.0, 0.7, 0.1),  # [chosen] dense collagen: short T2, little signal
    "skull": Relaxation(200.0, 0.5, 0.46, 0.2, 0.15),
    "marrow": Relaxation(549.0, 49.0, 15.0, 0.6, 0.1),
    "muscle": Relaxation(900.0, 47.0, 30.0, 1.0, 0.06),
    "fat": Relaxation(350.0, 70.0, 58.0, 1.0, 0.06),
    "skin": Relaxation(900.0, 47.0, 30.0, 1.0, 0.1),
    "sinus": Relaxation(1000.0, 1.0, 1.0, 0.0, 0.0),
    "background": Relaxation(1000.0, 1.0, 1.0, 0.0, 0.0),
    "thalamus": Relaxation(700.0, 80.0, 60.0, 0.82, 0.05),
    "striatum": Relaxation(830.0, 76.0, 54.0, 0.85, 0.05),
    "pallidum": Relaxation(640.0, 63.0, 38.0, 0.79, 0.06),
    "stem": Relaxation(600.0, 78.0, 60.0, 0.79, 0.05),
    "choroid": Relaxation(1200.0, 180.0, 60.0, 0.9, 0.1),
    "mucosa": Relaxation(1000.0, 100.0, 40.0, 0.9, 0.15),
    "oedema": Relaxation(1000.0, 140.0, 90.0, 0.85, 0.08),
    "tumour": Relaxation(1150.0, 125.0, 70.0, 0.88, 0.12),
    "infarct": Relaxation(1050.0, 140.0, 80.0, 0.87, 0.08),
    "haematoma": Relaxation(800.0, 90.0, 20.0, 0.85, 0.25),
    "calcium": Relaxation(600.0, 15.0, 3.0, 0.3, 0.2),
    "metal": Relaxation(1000.0, 1.0, 1.0, 0.0, 0.0),
}
"""At 1.5 T. Brain, CSF, lesion, fat, muscle and skin: the tissue parameters of BrainWeb (Collins et al. 1998; Kwan et
al. 1999). Cortical bone: T1 140..260 ms and T2* 0.42..0.50 ms (Reichert et al. 2005), proton density about 0.2
(Techawiboonwong et al. 2008). Marrow: T1 and T2 of de Bazelaire et al. 2004; its T2* and density are [chosen] lower,
since trabeculae dephase and displace it. Blood: T1 and T2 of Stanisz et al. 2005; T2* and density [chosen]. It is
rendered as static blood: dark on T1-weighted images, between CSF and grey matter, which also approximates a partial
flow void; inflow enhancement is not modelled. Air has density 0, so its times do not matter.

Deep nuclei [chosen] between grey and white matter, with T2 and T2* shortened by their iron, in the order of what was
measured: pallidum 21, putamen 13, caudate 9, thalamus 5, cortex 3 mg in 100 g (Hallgren and Sourander 1958). Oedema,
tumour and infarct [chosen] between brain and fluid, haematoma with the wide spread of its ages."""


def random_deviation(rng: np.random.Generator) -> float:
    """Deviation of one person from a table's mean, in units of its spread: standard normal, clipped to [-2, 2]."""
    return float(np.clip(rng.standard_normal(), -2, 2))


def spoiled_gradient_echo(tissue: Relaxation, tr: float, te: float, flip_degrees: float) -> float:
    """Steady-state signal of a spoiled gradient echo, times in ms, relative to fully relaxed water.

    ``density sin(a) (1 - E1) / (1 - cos(a) E1) exp(-TE / T2*)`` with ``E1 = exp(-TR / T1)`` (Haase et al. 1986, eq. 1).
    """
    e1 = math.exp(-tr / tissue.t1)
    flip = math.radians(flip_degrees)
    return tissue.density * math.sin(flip) * (1 - e1) / (1 - math.cos(flip) * e1) * math.exp(-te / tissue.t2_star)


def spin_echo(tissue: Relaxation, tr: float, te: float) -> float:
    """Signal of a spin echo, times in ms and TE much shorter than TR, relative to fully relaxed water.

    ``density (1 - exp(-TR / T1)) exp(-TE / T2)`` (Haacke et al. 1999, Magnetic Resonance Imaging, ch. 8).
    """
    return tissue.density * -math.expm1(-tr / tissue.t1) * math.exp(-te / tissue.t2)


def inversion_recovery(tissue: Relaxation, tr: float, ti: float, te: float) -> float:
    """Magnitude after inversion, times in ms and TE much shorter than TI, relative to fully relaxed water.

    ``density |1 - 2 exp(-TI / T1) + exp(-TR / T1)| exp(-TE / T2)`` (Haacke et al. 1999, ch. 8).
    """
    recovered = abs(1 - 2 * math.exp(-ti / tissue.t1) + math.exp(-tr / tissue.t1))
    return tissue.density * recovered * math.exp(-te / tissue.t2)
