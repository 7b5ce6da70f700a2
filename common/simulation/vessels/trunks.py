"""Large vessels of the average head: centre lines in template mm, and radii in mm.

The courses follow the cerebrospinal fluid of the ICBM152 average (cisterns, fissures) and its dura; the carotid and
jugular pass the skull base and the neck, which the template lacks, in their anatomical position.
"""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Trunk:
    """One vessel, given for the right side (x > 0) where it is paired.

    Attributes:
        name: of the vessel.
        radii: at both ends, in mm.
        points: points of the centre line in template mm.
        vein: whether it is a vein or a sinus.
        dural: whether it runs in the dura, so that the points only approximate its course.
        branches: whether cortical branches start from it.
    """

    name: str
    radii: tuple[float, float]
    points: tuple[Point, ...]
    vein: bool = False
    dural: bool = False
    branches: bool = False


TRUNKS = (
    Trunk(
        "internal carotid",
        (2.5, 1.8),
        (
            *((27, -14, -125), (27, -15, -85), (28, -19, -60), (25, -18, -49), (15, -8, -41), (12, 0, -35)),
            *((12.5, 8, -32), (13, 11, -28), (12.5, 8, -25), (13, 5, -23), (14, 4, -21)),
        ),
    ),
    Trunk(
        "middle cerebral",
        (1.55, 1.3),
        ((14, 4, -21), (20, 4, -19), (25, 6, -20), (30, 8, -21.5), (35, 9, -19), (40, 7, -15.5), (43, 4, -12.5)),
    ),
    Trunk(
        "superior insular",
        (1.2, 0.9),
        ((43, 4, -12.5), (44, 8, -13), (44.5, 13, -13), (46, 15.5, -10), (46, 14, -6), (42, 13, -1), (39, 14, 4)),
        branches=True,
    ),
    Trunk(
        "inferior insular",
        (1.2, 0.9),
        (
            *((43, 4, -12.5), (44, 1, -8), (46, -3, -2), (47, -6, 2), (46, -11, 7), (44, -16, 11)),
            *((40, -22, 14), (43, -25, 16.5), (48, -26, 13)),
        ),
        branches=True,
    ),
    Trunk(
        "first anterior cerebral",
        (1.15, 1.1),
        ((14, 4, -21), (9, 5, -21), (5, 6, -20.5), (2, 9, -19), (1.3, 13, -17)),
    ),
    Trunk(
        "pericallosal",
        (1.1, 0.7),
        (
            *((1.3, 13, -17), (1.2, 18, -12), (1.2, 24, -6.5), (1.2, 30, -4), (1.2, 34, -1)),
            *((1.2, 35.5, 4), (1.2, 32, 11), (1.2, 26, 16.5), (1.2, 17, 23), (1.2, 9, 27.5)),
            *((1.2, 0, 30), (1.2, -10, 30.5), (1.2, -22, 28), (1.2, -33, 27)),
        ),
        branches=True,
    ),
    Trunk("anterior communicating", (0.7, 0.7), ((1.3, 13, -17), (0, 13.3, -17))),
    Trunk("posterior communicating", (0.65, 0.65), ((13, 5, -23), (12, -3, -25), (9, -11, -25))),
    Trunk(
        "vertebral",
        (1.9, 1.4),
        ((15, -50, -125), (15, -50, -90), (17, -50, -78), (11, -42, -66), (6, -31, -56), (0, -22, -49)),
    ),
    Trunk("basilar", (1.8, 1.55), ((0, -22, -49), (0, -13, -41), (0, -9.5, -33), (0, -9.5, -25), (0, -10.5, -20))),
    Trunk("first posterior cerebral", (1.1, 1.05), ((0, -10.5, -20), (4, -10, -22), (9, -11, -25))),
    Trunk(
        "posterior cerebral",
        (1.05, 0.7),
        (
            *((9, -11, -25), (14, -14.5, -29), (18, -20, -29), (18.5, -25, -26), (14.5, -30, -20), (13.5, -31, -15)),
            *((15.5, -29, -11), (12, -32, -9), (7, -38, -4), (6, -44, -2), (8, -48, 0), (12, -50.5, 2)),
        ),
        branches=True,
    ),
    Trunk(
        "superior cerebellar",
        (0.8, 0.6),
        (
            *((0, -10, -23), (6, -10, -26), (11, -11.5, -30), (17, -18, -32)),
            *((19, -24, -30), (15, -30, -23), (16, -36, -17)),
        ),
        branches=True,
    ),
    Trunk(
        "inferior cerebellar",
        (0.8, 0.6),
        ((6, -31, -56), (9, -34, -60), (9, -39, -65), (9, -46, -68.5), (9, -53, -68.5), (11, -58, -66)),
        branches=True,
    ),
    Trunk(
        "external carotid",
        (1.8, 1.2),
        ((34, -6, -125), (38, -8, -85), (52, -14, -62), (65, -17, -48), (72, -17, -38)),
    ),
    Trunk(
        "superior sagittal sinus",
        (1.5, 4.0),
        (
            *((0, 71, 0), (0, 69, 18), (0, 58, 38), (0, 43, 54), (0, 26, 64), (0, 9, 72), (0, -9, 75), (0, -26, 79)),
            *((0, -44, 76), (0, -61, 68), (0, -75, 56), (0, -86, 41), (0, -97, 24), (0, -103, 3), (0, -97, -11)),
        ),
        vein=True,
        dural=True,
        branches=True,
    ),
    Trunk(
        "transverse sinus",
        (3.3, 3.3),
        ((0, -97, -11), (15, -97, -16), (30, -90, -22), (45, -78, -28), (54, -64, -32), (56, -52, -34)),
        vein=True,
        dural=True,
        branches=True,
    ),
    Trunk("sigmoid sinus", (3.3, 3.5), ((56, -52, -34), (54, -44, -40), (47, -38, -47)), vein=True, dural=True),
    Trunk("jugular", (3.5, 4.5), ((43, -43, -45), (37, -35, -55), (31, -28, -66), (32, -24, -125)), vein=True),
    Trunk(
        "straight sinus",
        (1.7, 2.2),
        (
            *((0, -47, 9), (0, -50, 13), (0, -53, 13.5), (0, -56, 12), (0, -62, 6)),
            *((0, -68, 0), (0, -74, -5), (0, -80, -11), (0, -87, -15), (0, -97, -11)),
        ),
        vein=True,
    ),
    Trunk("internal cerebral vein", (0.9, 1.4), ((2, 2, 14), (2, -12, 13), (2, -28, 9), (0, -47, 9)), vein=True),
)
"""Diameters on CT angiography, mean and standard deviation in mm: cavernous carotid 5.0 (0.6), its end 3.6 (0.4),
middle cerebral artery 3.1 (0.4), its divisions 2.4 (0.4) (Rai et al. 2013, 100 people); vertebral 3.9 (0.8) to 2.8
(0.6), basilar 3.6 (0.6) to 3.1 (0.5) (dimensions of the posterior circulation, from the same group). The other radii
are [chosen]: anterior and posterior cerebral arteries about 1 mm, communicating arteries less, the superior sagittal
sinus up to 4 mm, transverse and sigmoid sinus 3.3 mm, the jugular vein more."""
