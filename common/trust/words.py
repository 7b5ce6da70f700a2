"""Kinds of features of a case: what deviation is chance, what an unusual one means, and what to look at, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .features import TISSUE_OUTSIDE


class FeatureKind(NamedTuple):
    """Features of a kind: how little they may deviate, and what one below or above its usual range says.

    Attributes:
        least: [chosen] smallest standard deviation over cases: less is chance or rounding.
        below: in words; ``{rest}`` stands for what follows the kind in the name of the feature, ``{where}`` for the
            place where it is worst.
        above: likewise.
    """

    least: float
    below: str
    above: str


GREY = "its grey scale differs from those of the calibration: look whether contrast and fat suppression are the same"
OUTPUT = "look whether skull and soft tissue have plausible values"
KINDS: Mapping[str, FeatureKind] = {
    "head extent in mm": FeatureKind(
        5.0,
        "the head is short from {rest}: look whether it is cut, or its voxel size wrong",
        "the head is long from {rest}: look at its voxel size, and for what is no head, such as a coil or a hand",
    ),
    "z-score in the head": FeatureKind(0.1, GREY, GREY),
    "value over the median deep in the head": FeatureKind(
        0.1,
        "fluid or brain is dark: look whether the contrast is that of the training",
        "fluid or brain is bright: look whether the contrast is that of the training, and at contrast agent",
    ),
    "network input in the head": FeatureKind(0.05, GREY, GREY),
    "slice thickness in mm": FeatureKind(
        0.5, "its slices are thinner", "its slices are thick: look at the vertex and the skull base"
    ),
    "centre of the head in its box": FeatureKind(
        0.02,
        "the head lies unevenly from {rest}: look whether a part is cut or added",
        "the head lies unevenly from {rest}: look whether a part is cut or added",
    ),
    "tilt of the head": FeatureKind(
        0.01,
        "the head is tilted: look whether its header has the right orientation",
        "the head is tilted: look whether its header has the right orientation",
    ),
    "head at the edge of the volume": FeatureKind(
        0.1, "the head does not reach the {rest} end", "the head is cut at the {rest}"
    ),
    "symmetry of the source": FeatureKind(
        0.03,
        "left and right differ: look for a large lesion, metal, or a field of view of one side",
        "left and right are alike",
    ),
    "grain of the source": FeatureKind(
        0.02, "the source is smooth: look whether it was filtered", "the source is noisy"
    ),
    "signal around the head": FeatureKind(
        0.02,
        "the air around the head is even",
        "there is signal around the head: look for ghosts, wrapping and objects",
    ),
    "HU in the output": FeatureKind(
        20.0, f"the synthetic CT is less dense: {OUTPUT}", f"the synthetic CT is denser: {OUTPUT}"
    ),
    "z-score in the output": FeatureKind(
        0.1,
        "the synthetic image is darker: compare its tissues with the source",
        "the synthetic image is brighter: compare its tissues with the source",
    ),
    "share in the output": FeatureKind(
        0.01,
        "there is little {rest} in the synthetic CT: look where the source has it",
        "there is much {rest} in the synthetic CT: look where the source has none",
    ),
    "grain of the output": FeatureKind(
        0.02,
        "the synthetic image is smooth: look for lost structures",
        "the synthetic image is grainy: look for invented texture",
    ),
    "output explained by the source": FeatureKind(
        0.02,
        "the synthetic image follows the source less: look for structures that the source does not have",
        "the synthetic image follows the source closely: look whether it is more than a copy of it",
    ),
    "source explained by the output": FeatureKind(
        0.02,
        "the synthetic image shows less of the source: look for lost structures",
        "the synthetic image shows more of the source: look whether it is more than a copy of it",
    ),
    "information shared by source and output": FeatureKind(
        0.03,
        "source and synthetic image share little: lay one over the other",
        "source and synthetic image share much: look whether it is more than a copy of it",
    ),
    TISSUE_OUTSIDE: FeatureKind(
        0.1,
        "the network left the air emptier: look whether skin and scalp are whole",
        "the network predicted tissue in the air: look at skin and scalp there",
    ),
    "overlap of the heads": FeatureKind(
        0.01,
        "the synthetic image has another outline than the source{where}: look there",
        "the synthetic image has the outline of the source to the voxel",
    ),
    "overlap of tissue": FeatureKind(
        0.03,
        "{rest} is elsewhere in the synthetic image than in the source{where}: look there",
        "{rest} lies in the synthetic image where the source has it",
    ),
    "brain found": FeatureKind(
        0.02, "little brain is found in the source: look whether it is a whole head", "much brain is found"
    ),
}
"""By the beginning of a feature's name."""


def kind_of(name: str) -> str:
    """The kind of a feature, a key of ``KINDS``."""
    return next(kind for kind in KINDS if name.startswith(kind))


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
    meaning = KINDS[kind].below if value < usual[0] else KINDS[kind].above
    said = meaning.format(rest=rest, where=f" in {where}" if where else "").replace("  ", " ")
    end = usual[0] if value < usual[0] else usual[1]
    digits = next(n for n in range(3, 18) if n == 17 or f"{value:.{n}g}" != f"{end:.{n}g}")  # not as if it lay within
    return f"{said} ({value:.{digits}g}, usual {usual[0]:.{digits}g} to {usual[1]:.{digits}g})"
