"""What a mutation changed, and what may be expected of the command afterwards."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from tests.fuzz.scenes import Scene


class Rule(Enum):
    """What must hold where the command ends with exit code 0 nevertheless."""

    REFUSED = "never ends well"
    SAME = "ends with the unmutated results, or with a new warning"
    SOURCE = "results lie on the grid of the mutated volume; the unmutated ones where nibabel reads the same volume"
    FINITE = "results of the same names, finite: the mutation makes another valid input, which nothing can tell"
    EQUAL = "ends with the unmutated results, by the names that the mutation gave"
    FRESH = "ends with the results of the same command into an empty folder"
    STREAM = "the unmutated files are written, whatever the exit code"
    CLOSE = "results differ by no more than the rounding of the mutated weights"


@dataclass(frozen=True)
class Mutation:
    """One change to a command or to its inputs.

    Args:
        kind: of the mutation, by which reports count.
        what: was changed, in words.
        rule: see :class:`Rule`.
        case: the only case that may fail; empty where all may.
        named: texts, one of them must be in the warning that explains another result; empty accepts any new warning.
        options: of the command.
        volume: the mutated volume, with its content before, for ``Rule.SOURCE``.
        writes: folders besides ``out`` that the mutated options name for outputs.
        program: the first words of the command, where these are mutated.
        of_monai: whether MONAI's own reading may end the command with a traceback.
        renamed: names among the results, with those that the unmutated command has for them.
        environment: variables besides those of every command.
        streams: what is the matter with ``stdout`` or ``stderr``, see :func:`tests.fuzz.running.opened`.
    """

    kind: str
    what: str
    rule: Rule
    case: str = ""
    named: tuple[str, ...] = ()
    options: Mapping[str, str] | None = None
    volume: tuple[Path, bytes] | None = None
    writes: tuple[Path, ...] = ()
    program: tuple[str, ...] | None = None
    of_monai: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    streams: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """A command that is laid out in its folder, to be mutated."""

    scene: Scene
    box: Path
    prepared: Path
    options: Mapping[str, str]

    @property
    def inputs(self) -> Path:
        return self.box / "in"

    def volumes(self) -> list[Path]:
        return sorted(path for pattern in self.scene.volumes.split(",") for path in self.inputs.glob(pattern))


Mutator = Callable[[random.Random, Target], Mutation]


def case_of(path: Path) -> str:
    """The case of a volume ``<case>/<name>.nii.gz``, or of one file."""
    return path.parent.name if path.name.endswith(".nii.gz") else path.stem


def junk(rng: random.Random) -> bytes:
    return bytes(rng.randrange(256) for _ in range(rng.choice((1, 3, 64, 1000))))


def damaged(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Bytes flipped, cut off, omitted, doubled, zeroed or added, and in words how."""
    raw, size = bytearray(content), max(len(content), 1)
    at = rng.randrange(size)
    how = rng.choice(("flip", "flip", "cut", "leave out", "double", "zero", "append", "empty", "text"))
    if how == "flip":
        raw[at] ^= 1 << rng.randrange(8)
    elif how == "cut":
        del raw[at:]
    elif how == "leave out":
        del raw[at : at + rng.randrange(1, 64)]
    elif how == "double":
        raw[at:at] = raw[at : at + rng.randrange(1, 64)]
    elif how == "zero":
        raw[at : at + 64] = bytes(len(raw[at : at + 64]))
    elif how == "append":
        raw += junk(rng)
    elif how == "empty":
        raw.clear()
    else:
        raw[:] = b"<html><body>404 not found</body></html>"
    return bytes(raw), f"bytes: {how} at {at} of {size}"
