"""The page of what other software makes of the project's volumes, and the project of its.

``tests/interop`` holds the table against that software (``make interop-test``).

python -m tools.docs.readers        # writes docs/reference/readers.md
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..repository import ROOT

PAGE = ROOT / "docs" / "reference" / "readers.md"
COLUMNS = ("tool", "version", "reads right", "otherwise", "what it writes, read here")
FILES = ("NIfTI", "MetaImage", "NRRD")
DICOM = ("CT", "MR", "PET")
ALL = (*FILES, *DICOM)
SHEARED = "sheared"
SHORT = {", ".join(FILES): "files", ", ".join(DICOM): "DICOM", "files, DICOM": "all", f"all, {SHEARED}": "all"}
"""Words for several kinds, in the order in which they are put."""
RIGHT = "right"


class Otherwise(NamedTuple):
    """Another outcome: a pattern of what is found or said, and the words of the page."""

    pattern: str
    words: str


Outcomes = Mapping[tuple[str, ...], str | Otherwise]
"""``RIGHT`` or another outcome, for each kind of a volume."""


class Tool(NamedTuple):
    """An interface of a tool.

    Attributes:
        name: of the tool, then that of the interface.
        version: of the tool.
        reads: kinds of the project's outputs, and what the tool makes of them.
        writes: kinds that the tool writes, and what the project's reader makes of them.
    """

    name: str
    version: str
    reads: Outcomes
    writes: Outcomes


NOT_ORTHONORMAL = Otherwise("ITK only supports orthonormal direction cosines", "refused")
TOOLS = (
    Tool("SimpleITK", "2.5.7", {ALL: RIGHT, (SHEARED,): NOT_ORTHONORMAL}, {(*FILES, "CT"): RIGHT}),
    Tool("ITK", "5.4.7", {ALL: RIGHT, (SHEARED,): NOT_ORTHONORMAL}, {FILES: RIGHT}),
    Tool(
        "ANTsPy",
        "0.6.3",
        {
            FILES: RIGHT,
            DICOM: Otherwise("wrong", "slices in the order of `os.listdir`, which may be any"),
            (SHEARED,): NOT_ORTHONORMAL,
        },
        {FILES: RIGHT},
    ),
    Tool("TorchIO", "1.2.1", {(*ALL, SHEARED): RIGHT}, {FILES: RIGHT}),
    Tool("MONAI ITKReader", "1.6.1", {ALL: RIGHT, (SHEARED,): NOT_ORTHONORMAL}, {("MetaImage", "NRRD"): RIGHT}),
    Tool("MONAI NibabelReader", "1.6.1", {("NIfTI", SHEARED): RIGHT}, {("NIfTI",): RIGHT}),
    Tool("MONAI NrrdReader", "1.6.1", {("NRRD",): RIGHT}, {}),
    Tool("MONAI PydicomReader", "1.6.1", {DICOM: RIGHT}, {}),
    Tool("nnU-Net SimpleITKIO", "2.8.1", {FILES: RIGHT, (SHEARED,): NOT_ORTHONORMAL}, {("NIfTI",): RIGHT}),
    Tool("nnU-Net NibabelIO", "2.8.1", {("NIfTI", SHEARED): RIGHT}, {("NIfTI",): RIGHT}),
    Tool("nnU-Net NibabelIOWithReorient", "2.8.1", {("NIfTI", SHEARED): RIGHT}, {("NIfTI",): RIGHT}),
    Tool(
        "dcm2niix",
        "1.0.20260724",
        {DICOM: RIGHT},
        {
            ("NIfTI",): RIGHT,
            ("NRRD",): Otherwise(r"the values were quantised \(oldmin", "refused, stored numbers without their slope"),
        },
    ),
    Tool(
        "dcmtk",
        "3.6.7",
        {DICOM: RIGHT},
        {
            ("RLE", "JPEG lossless", "JPEG-LS", "big-endian", "deflated"): RIGHT,
            ("no meta header",): Otherwise("no DICOM slices in the folder .9 not DICOM", "refused"),
        },
    ),
    Tool(
        "highdicom",
        "0.28.2",
        {DICOM: RIGHT},
        {
            ("enhanced CT",): RIGHT,
            ("parametric map",): Otherwise("no DICOM slices in the folder .1 Parametric Map", "refused"),
        },
    ),
    Tool("plastimatch", "1.9.4", {ALL: RIGHT, (SHEARED,): NOT_ORTHONORMAL}, {(*FILES, "CT"): RIGHT}),
    Tool(
        "pyRadPlan",
        "0.5.0",
        {
            (*FILES, "CT"): RIGHT,
            ("MR", "PET"): Otherwise("No CT series found", "not read"),
            (SHEARED,): NOT_ORTHONORMAL,
        },
        {("CT",): RIGHT},
    ),
    Tool(
        "vtk-dicom",
        "0.8.14",
        {DICOM: RIGHT},
        {("CT", "MR"): RIGHT, ("SC",): Otherwise("9 screen saves without a position", "refused, no positions")},
    ),
    Tool("NiiVue", "0.69.0", {(*FILES, SHEARED): RIGHT}, {("NIfTI",): RIGHT}),
    Tool(
        "dcmjs",
        "0.52.2",
        {DICOM: RIGHT},
        {
            ("enhanced CT of `PixelData[0]`",): RIGHT,
            ("enhanced CT of slices as read",): Otherwise("wrong: .*-1024.0, -1024.0", "all voxels 0"),
        },
    ),
)


def outcomes(each: Outcomes) -> dict[str, str | Otherwise]:
    """The outcome of every kind alone."""
    return {kind: outcome for kinds, outcome in each.items() for kind in kinds}


def listed(kinds: tuple[str, ...]) -> str:
    """Kinds in words."""
    text = ", ".join(kinds)
    for several, short in SHORT.items():
        text = text.replace(several, short)
    return text


def right(each: Outcomes) -> str:
    """The kinds that are right."""
    return ", ".join(listed(kinds) for kinds, outcome in each.items() if outcome == RIGHT)


def otherwise(each: Outcomes) -> str:
    """The other kinds, and what comes of them."""
    others = [(kinds, outcome) for kinds, outcome in each.items() if isinstance(outcome, Otherwise)]
    return "; ".join(f"{listed(kinds)}: {outcome.words}" for kinds, outcome in others)


def row(tool: Tool) -> str:
    """The line of a tool."""
    written = "; ".join(filter(None, (right(tool.writes), otherwise(tool.writes))))
    return f"| {' | '.join((tool.name, tool.version, right(tool.reads), otherwise(tool.reads), written))} |"


def page() -> str:
    """The whole page."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", *map(row, TOOLS)]
    template = Path(__file__).with_suffix(".md.in").read_text(encoding="utf-8")
    return template.replace("TABLE", "\n".join(lines))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
