"""What differs between people beyond shape: fat, atrophy, lesions, tumours, strokes, bleeding, surgery, metal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..physics import Range, drawn
from .codes import BRAIN, CODE, SOFT, Codes, inside
from .fields import Body, highest, noise_at
from .label_map import COARSE, LabelMap

FAT_GRAIN_MM, DEEP_FAT_GRAIN_MM = 25.0, 7.0
"""[chosen] smoothness of the thickness of the fat under the skin, and of the fat between muscles."""

ORBIT_MM = 22.0
"""Soft tissue so near to the eyes' height, between them and the brain, is fat for the most part."""

FACE_FROM_BRAIN_MM = 12.0
"""Defacing keeps what is nearer to the brain."""

CLOSING_MM = (4.0, 10.0)
"""Half the width of sulci and fissures whose fluid skull stripping leaves."""

AROUND_BRAIN = ("skull", "marrow", "muscle", "fat", "mucosa", "skin", "sinus", "metal")
"""What skull stripping takes away, wherever it is."""

PARTS = (
    "fat",
    "atrophy",
    "lesions",
    "tumour",
    "infarct",
    "haematoma",
    "calcium",
    "sinus",
    "craniotomy",
    "metal",
    "cut",
    "cavities",
)
"""Changes; each has random numbers of its own."""


@dataclass(frozen=True)
class Pathology:
    """Random changes of a label map, each drawn once per case. Probabilities and sizes are [chosen].

    Args:
        fat_mm: mean thickness of the fat under the skin.
        deep_fat: share of the deeper soft tissue that is fat.
        atrophy: share of the cortex at the surface that fluid replaces.
        plaques: whether to keep the lesions of the maps; otherwise they become white matter.
        lesion_probability: of white-matter lesions.
        lesion_share: share of the white matter that they take (up to 5% in the patients of Lesjak et al. 2017).
        tumour_probability: of a tumour with oedema around it.
        infarct_probability: of an infarct.
        haematoma_probability: of a haematoma.
        radius_mm: of tumours, infarcts and haematomas.
        calcium_probability: of calcified choroid plexus.
        sinus_probability: of thick mucosa or fluid in sinuses.
        cavity_probability: of further cavities of air in the bone below the middle of the brain.
        craniotomy_probability: of a bone flap, in place or missing.
        metal_probability: of metal in teeth or jaw.
        stripped_probability: of skull stripping, which leaves the sulci and fissures of the brain, and what is
            within 0 to 6 mm of it.
        defaced_probability: of defacing.
    """

    fat_mm: Range = (1.5, 6.0)
    deep_fat: Range = (0.1, 0.5)
    atrophy: Range = (0.0, 0.35)
    plaques: bool = True
    lesion_probability: float = 0.5
    lesion_share: Range = (0.0, 0.06)
    tumour_probability: float = 0.12
    infarct_probability: float = 0.1
    haematoma_probability: float = 0.06
    radius_mm: Range = (5.0, 22.0)
    calcium_probability: float = 0.3
    sinus_probability: float = 0.3
    cavity_probability: float = 0.3
    craniotomy_probability: float = 0.06
    metal_probability: float = 0.15
    stripped_probability: float = 0.0
    defaced_probability: float = 0.1

    def __call__(self, head: LabelMap, rng: np.random.Generator) -> Codes:
        """Codes of the changed head; every probability draws in turn, so that one does not shift the others."""
        codes: Codes = head.codes.copy()
        if not self.plaques:
            codes[codes == CODE["lesion"]] = CODE["white"]
        parts = dict(zip(PARTS, rng.spawn(len(PARTS)), strict=True))
        fat(
            codes,
            head,
            parts["fat"],
            drawn(self.fat_mm, rng.random(), "fat_mm"),
            drawn(self.deep_fat, rng.random(), "deep_fat"),
        )
        atrophied(codes, parts["atrophy"], drawn(self.atrophy, rng.random(), "atrophy"))
        share = drawn(self.lesion_share, rng.random(), "lesion_share")
        radii = [drawn(self.radius_mm, rng.random(), "radius_mm") / head.spacing for _ in range(3)]
        chances = rng.random(9)
        if chances[0] < self.lesion_probability:
            lesions(codes, parts["lesions"], share, head.spacing)
        if chances[1] < self.tumour_probability:
            tumour(codes, parts["tumour"], radii[0])
        if chances[2] < self.infarct_probability:
            painted(codes, parts["infarct"], radii[1], "infarct", BRAIN)
        if chances[3] < self.haematoma_probability:
            painted(codes, parts["haematoma"], radii[2] * 0.7, "haematoma", (*BRAIN, "csf"))
        if chances[4] < self.calcium_probability:
            calcified(codes, parts["calcium"])
        if chances[5] < self.sinus_probability:
            swollen(codes, parts["sinus"], head.spacing)
        if parts["cavities"].random() < self.cavity_probability:
            hollowed(codes, head, parts["cavities"])
        if chances[6] < self.craniotomy_probability:
            opened(codes, head, parts["craniotomy"])
        if chances[7] < self.metal_probability:
            filled(codes, head, parts["metal"])
        if chances[8] < self.stripped_probability:
            cut = parts["cut"]
            far = (_from_brain(head) > cut.uniform(0, 6)) & ~_within_brain(head, cut.uniform(*CLOSING_MM))
            codes[far | inside(codes, *AROUND_BRAIN)] = CODE["background"]
        elif chances[8] < self.stripped_probability + self.defaced_probability:
            codes[_face(head, parts["cut"])] = CODE["background"]
        return codes


def fat(codes: Codes, head: LabelMap, rng: np.random.Generator, thickness_mm: float, deep: float) -> None:
    """Tell fat from muscle: a layer under the skin of varying thickness, the orbits, and a share of what is deeper."""
    places = np.flatnonzero(codes == SOFT)
    voxels = np.array(np.unravel_index(places, codes.shape))
    layer = thickness_mm * np.exp(0.5 * noise_at(rng, codes.shape, places, FAT_GRAIN_MM / head.spacing))
    fatty = head.coarse_at(head.under_skin, voxels) < layer + 2.0  # the skin lies over it
    fatty |= highest(noise_at(rng, codes.shape, places, DEEP_FAT_GRAIN_MM / head.spacing), deep)
    if head.eyes is not None:
        low, high = head.eyes
        margin = ORBIT_MM / head.spacing
        near = (
            (voxels[2] > low[2] - 5) & (voxels[2] < high[2] + 5) & (voxels[1] < high[1]) & (voxels[1] > low[1] - margin)
        )
        fatty |= near & (voxels[0] > low[0] - 5) & (voxels[0] < high[0] + 5)
    codes.ravel()[places] = np.where(fatty, CODE["fat"], CODE["muscle"])


def atrophied(codes: Codes, rng: np.random.Generator, share: float) -> None:
    """Replace cortex that touches fluid by fluid, in patches, over a share of the surface."""
    fluid = codes == CODE["csf"]
    near = np.zeros(codes.shape, np.bool_)
    for axis in range(3):
        for step in (-1, 1):
            near |= np.roll(fluid, step, axis)
    places = np.flatnonzero(near & (codes == CODE["grey"]))
    codes.ravel()[places[highest(noise_at(rng, codes.shape, places, 8.0), share)]] = CODE["csf"]


def lesions(codes: Codes, rng: np.random.Generator, share: float, spacing: float) -> None:
    """Replace a share of the white matter by lesions, where a smooth field is highest."""
    places = np.flatnonzero(codes == CODE["white"])
    field = noise_at(rng, codes.shape, places, rng.uniform(2.5, 7.0) / spacing)
    codes.ravel()[places[highest(field, share)]] = CODE["lesion"]


def painted(codes: Codes, rng: np.random.Generator, radius: float, tissue: str, over: tuple[str, ...]) -> Body:
    """Paint a body of ``radius`` voxels, centred in white matter, over some tissues."""
    places = np.flatnonzero(codes == CODE["white"])
    centre = np.array(np.unravel_index(places[rng.integers(len(places))], codes.shape))
    body = Body(rng, codes.shape, centre, radius)
    part = codes[body.box]
    part[inside(part, *over) & (body.depth > 0)] = CODE[tissue]
    return body


def tumour(codes: Codes, rng: np.random.Generator, radius: float) -> None:
    """A tumour, often with a fluid-filled core, and oedema of the white matter around it."""
    body = painted(codes, rng, radius, "tumour", (*BRAIN, "csf"))
    part = codes[body.box]
    part[(part == CODE["white"]) & (body.depth > -rng.uniform(0.2, 0.8) * radius)] = CODE["oedema"]
    if rng.random() < 0.5:
        part[(part == CODE["tumour"]) & (body.depth > rng.uniform(0.3, 0.6) * radius)] = CODE["csf"]


def calcified(codes: Codes, rng: np.random.Generator) -> None:
    """Calcify a part of the choroid plexus."""
    places = np.flatnonzero(codes == CODE["choroid"])
    codes.ravel()[places[highest(noise_at(rng, codes.shape, places, 3.0), rng.uniform(0.02, 0.3))]] = CODE["calcium"]


def swollen(codes: Codes, rng: np.random.Generator, spacing: float) -> None:
    """Fill a part of the air in the head with mucosa."""
    places = np.flatnonzero(codes == CODE["sinus"])
    field = noise_at(rng, codes.shape, places, 6.0 / spacing)
    codes.ravel()[places[highest(field, rng.uniform(0.05, 0.5))]] = CODE["mucosa"]


def hollowed(codes: Codes, head: LabelMap, rng: np.random.Generator) -> None:
    """One to six cavities of air, as sinuses and mastoid cells, each in a thin shell of bone."""
    bone = np.flatnonzero(inside(codes, "skull", "marrow"))
    voxels = np.array(np.unravel_index(bone, codes.shape))
    low = bone[voxels[2] < head.brain_centre[2]]
    for place in rng.choice(low, rng.integers(1, 7)) if len(low) else ():
        centre = np.array(np.unravel_index(place, codes.shape))
        body = Body(rng, codes.shape, centre, rng.uniform(3, 14) / head.spacing)
        part = codes[body.box]
        solid = (body.depth > 0) & inside(part, "skull", "marrow", "muscle", "fat", "mucosa")
        part[solid] = CODE["skull"]
        part[solid & (body.depth > 1.0 / head.spacing)] = CODE["sinus"]


def opened(codes: Codes, head: LabelMap, rng: np.random.Generator) -> None:
    """A craniotomy in the upper half of the skull: the flap missing, or in place with a gap around it."""
    bone = np.flatnonzero(inside(codes, "skull", "marrow"))
    voxels = np.array(np.unravel_index(bone, codes.shape))
    upper = bone[voxels[2] > head.brain_centre[2]]
    if not len(upper):
        return
    centre = np.array(np.unravel_index(upper[rng.integers(len(upper))], codes.shape))
    body = Body(rng, codes.shape, centre, rng.uniform(15, 40) / head.spacing, 0.1)
    part = codes[body.box]
    gap = (body.depth > 0) & ((body.depth < 2.0) | (rng.random() < 0.4))
    part[inside(part, "skull", "marrow") & gap] = CODE["mucosa"]


def filled(codes: Codes, head: LabelMap, rng: np.random.Generator) -> None:
    """Metal in the jaws: one to four fillings of 2 to 4 mm in bone well below the eyes and in front of the brain."""
    if head.eyes is None:
        return
    bone = np.flatnonzero(codes == CODE["skull"])
    voxels = np.array(np.unravel_index(bone, codes.shape))
    low = head.eyes[0]
    jaw = bone[(voxels[2] < low[2] - 35 / head.spacing) & (voxels[1] > low[1] - 30 / head.spacing)]
    for place in rng.choice(jaw, rng.integers(1, 5)) if len(jaw) else ():
        centre = np.array(np.unravel_index(place, codes.shape))
        body = Body(rng, codes.shape, centre, rng.uniform(2, 4) / head.spacing, 0.1)
        part = codes[body.box]
        part[(body.depth > 0) & (part == CODE["skull"])] = CODE["metal"]


def _from_brain(head: LabelMap) -> NDArray[np.float32]:
    """Distance to the brain of every voxel in mm, (X, Y, Z)."""
    x, y, z = (np.arange(size) // COARSE for size in head.codes.shape)
    distance: NDArray[np.float32] = head.from_brain[np.ix_(x, y, z)]
    return distance


def _within_brain(head: LabelMap, radius_mm: float) -> NDArray[np.bool_]:
    """The brain closed by a ball, (X, Y, Z): with sulci and fissures up to twice the radius wide."""
    step = COARSE * head.spacing
    around = int(np.ceil(radius_mm / step)) + 1
    grown = np.pad(head.from_brain, around, constant_values=np.inf) <= radius_mm
    closed = ndimage.distance_transform_edt(grown) * step > radius_mm
    x, y, z = (np.arange(size) // COARSE + around for size in head.codes.shape)
    mask: NDArray[np.bool_] = closed[np.ix_(x, y, z)]
    return mask


def _face(head: LabelMap, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The face: in front of and below an oblique plane through the eyes, some distance from the brain."""
    if head.eyes is None:
        return np.zeros(head.codes.shape, np.bool_)
    low, high = head.eyes
    y, z = (np.arange(size) for size in head.codes.shape[1:])
    ahead: NDArray[np.floating[Any]] = (y[:, None] - low[1]) - rng.uniform(0.3, 0.8) * (z[None, :] - high[2])
    mask: NDArray[np.bool_] = (ahead > rng.uniform(-5, 10) / head.spacing) & (_from_brain(head) > FACE_FROM_BRAIN_MM)
    return mask
