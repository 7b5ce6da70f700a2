"""What an unusual feature of a case means, and what to look at, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .features import TISSUE_OUTSIDE


class Meaning(NamedTuple):
    """What a feature below or above its usual range says.

    ``{rest}`` stands for what follows the kind in the name of the feature, ``{where}`` for the place where it is worst.
    """

    below: str
    above: str


GREY = "its grey scale differs from those of the calibration: look whether contrast and fat suppression are the same"
OUTPUT = "look whether skull and soft tissue have plausible values"
MEANINGS: Mapping[str, Meaning] = {
    "head extent in mm": Meaning(
        "the head is short from {rest}: look whether it is cut, or its voxel size wrong",
        "the head is long from {rest}: look at its voxel size, and for what is no head, such as a coil or a hand",
    ),
    "z-score in the head": Meaning(GREY, GREY),
    "value over the median deep in the head": Meaning(
        "fluid or brain is dark: look whether the contrast is that of the training",
        "fluid or brain is bright: look whether the contrast is that of the training, and at contrast agent",
    ),
    "network input in the head": Meaning(GREY, GREY),
    "slice thickness in mm": Meaning(
        "its slices are thinner", "its slices are thick: look at the vertex and the skull base"
    ),
    "centre of the head in its box": Meaning(
        "the head lies unevenly from {rest}: look whether a part is cut or added",
        "the head lies unevenly from {rest}: look whether a part is cut or added",
    ),
    "tilt of the head": Meaning(
        "the head is tilted: look whether its header has the right orientation",
        "the head is tilted: look whether its header has the right orientation",
    ),
    "head at the edge of the volume": Meaning(
        "the head does not reach the {rest} end", "the head is cut at the {rest}"
    ),
    "symmetry of the source": Meaning(
        "left and right differ: look for a large lesion, metal, or a field of view of one side",
        "left and right are alike",
    ),
    "grain of the source": Meaning("the source is smooth: look whether it was filtered", "the source is noisy"),
    "signal around the head": Meaning(
        "the air around the head is even", "there is signal around the head: look for ghosts, wrapping and objects"
    ),
    "HU in the output": Meaning(f"the synthetic CT is less dense: {OUTPUT}", f"the synthetic CT is denser: {OUTPUT}"),
    "z-score in the output": Meaning(
        "the synthetic image is darker: compare its tissues with the source",
        "the synthetic image is brighter: compare its tissues with the source",
    ),
    "share in the output": Meaning(
        "there is little {rest} in the synthetic CT: look where the source has it",
        "there is much {rest} in the synthetic CT: look where the source has none",
    ),
    "grain of the output": Meaning(
        "the synthetic image is smooth: look for lost structures",
        "the synthetic image is grainy: look for invented texture",
    ),
    "output explained by the source": Meaning(
        "the synthetic image follows the source less: look for structures that the source does not have",
        "the synthetic image follows the source closely: look whether it is more than a copy of it",
    ),
    "source explained by the output": Meaning(
        "the synthetic image shows less of the source: look for lost structures",
        "the synthetic image shows more of the source: look whether it is more than a copy of it",
    ),
    "information shared by source and output": Meaning(
        "source and synthetic image share little: lay one over the other",
        "source and synthetic image share much: look whether it is more than a copy of it",
    ),
    TISSUE_OUTSIDE: Meaning(
        "the network left the air emptier: look whether skin and scalp are whole",
        "the network predicted tissue in the air: look at skin and scalp there",
    ),
    "overlap of the heads": Meaning(
        "the synthetic image has another outline than the source{where}: look there",
        "the synthetic image has the outline of the source to the voxel",
    ),
    "overlap of tissue": Meaning(
        "{rest} is elsewhere in the synthetic image than in the source{where}: look there",
        "{rest} lies in the synthetic image where the source has it",
    ),
    "brain found": Meaning(
        "little brain is found in the source: look whether it is a whole head", "much brain is found"
    ),
}
"""By the beginning of a feature's name; all begin a key of :data:`common.trust.features.LEAST` or are one."""


def kind_of(name: str) -> str:
    """The kind of a feature, a key of ``MEANINGS``."""
    return next(kind for kind in MEANINGS if name.startswith(kind))


def in_words(name: str, value: float, usual: Sequence[float], where: str = "") -> str:
    """What a feature says that lies beyond its usual range.

    Args:
        name: of the feature.
        value: of the case.
        usual: low and high end.
        where: the place where it is worst; empty where it has none.
    """
    kind = kind_of(name)
    rest = name[len(kind) :].strip(" ,:").removesuffix(" share")
    meaning = MEANINGS[kind].below if value < usual[0] else MEANINGS[kind].above
    said = meaning.format(rest=rest, where=f" in {where}" if where else "").replace("  ", " ")
    return f"{said} ({value:.3g}, usual {usual[0]:.3g} to {usual[1]:.3g})"
