"""The contract of this collection on how configs and cards are written."""

from __future__ import annotations

import re

from tools.verify.bundle import WHOLE, Bundle
from tools.verify.configs import leaves
from tools.verify.verdicts import CONTRACT, Check, Fault, Found

WHOLE_LINES, OVERLAY_LINES, COLUMNS = 130, 40, 120
COMMAND = r"python -m monai\.bundle run|torchrun .*-m monai\.bundle run|make demo"
CLEVER = r"lambda| for | if |import"
DATA_LICENCE_WORDS = 20
NOT_FOR_CLINICAL_USE = "not for clinical use"


def heads(bundle: Bundle) -> Found:
    """Three comment lines: what and which paper; the exact command; time and expected result."""
    for path in bundle.configs.glob("*.yaml"):
        head = [*path.read_text(encoding="utf-8").splitlines()[:4], "", "", "", ""][:4]
        if [line[:2] == "# " for line in head] != [True, True, True, False]:
            yield Fault(f"configs/{path.name}", "opens with three lines of comment", head[0], "say what, how, how long")
        elif not re.search(COMMAND, head[1]):
            yield Fault(f"configs/{path.name}", "gives the command in its second line", head[1], "write it out")
        elif len(head[2].split()) <= 3:
            rule = "says hardware, time and result in its third line"
            yield Fault(f"configs/{path.name}", rule, head[2], "measure them")


def short(bundle: Bundle) -> Found:
    """Configs that fit on a page; lines of a release are longer by its package's name."""
    for path in bundle.configs.glob("*.yaml"):
        lines = path.read_text(encoding="utf-8").splitlines()
        allowed = WHOLE_LINES if path.stem in WHOLE else OVERLAY_LINES
        if len(lines) > allowed:
            yield Fault(f"configs/{path.name}", f"has at most {allowed} lines", len(lines), "move behaviour to Python")
        widest = max(map(len, lines), default=0)
        if widest > COLUMNS and not bundle.packed:
            yield Fault(f"configs/{path.name}", f"has at most {COLUMNS} columns", widest, "break the line")


def plain(bundle: Bundle) -> Found:
    """Behaviour is in Python."""
    for path in bundle.config_files:
        for name, value in leaves(bundle.own(path)):
            if isinstance(value, str) and value[:1] == "$" and re.search(CLEVER, value):
                rule = "is no lambda, loop, condition or import"
                yield Fault(f"configs/{path.name} {name}", rule, value, "write a class or function in Python")


def card(bundle: Bundle) -> Found:
    """The model card says what differs from the paper; the licences are there."""
    texts = {name: bundle.folder / name for name in ("docs/README.md", "docs/data_license.txt", "LICENSE")}
    read = {name: path.read_text(encoding="utf-8") if path.is_file() else "" for name, path in texts.items()}
    if not re.search(r"^#+ What differs from the paper", read["docs/README.md"], re.MULTILINE):
        yield Fault("docs/README.md", "has a section What differs from the paper", "no such heading", "write it")
    if "Apache License" not in read["LICENSE"]:
        yield Fault("LICENSE", "is the Apache License", read["LICENSE"][:60], "copy the collection's")
    words = len(read["docs/data_license.txt"].split())
    if words <= DATA_LICENCE_WORDS:
        rule = f"has more than {DATA_LICENCE_WORDS} words"
        yield Fault("docs/data_license.txt", rule, words, "say what licence the data have")


def clinical(bundle: Bundle) -> Found:
    """Metadata and model card say that it is not for patients."""
    card = bundle.folder / "docs" / "README.md"
    texts = {"metadata intended_use": str(bundle.metadata.get("intended_use"))}
    texts["docs/README.md"] = card.read_text(encoding="utf-8") if card.is_file() else ""
    for name, text in texts.items():
        if NOT_FOR_CLINICAL_USE not in text.lower():
            yield Fault(name, f"says {NOT_FOR_CLINICAL_USE}", text[:80], "say so")


CHECKS = (
    Check("contract.heads", "configs open with what, how and how long", CONTRACT, "house", heads),
    Check("contract.short", "configs are short", CONTRACT, "house", short),
    Check("contract.plain", "behaviour is in Python, not in configs", CONTRACT, "house", plain),
    Check("contract.card", "the card tells the differences from the paper", CONTRACT, "house", card),
    Check("contract.clinical", f"says {NOT_FOR_CLINICAL_USE}", CONTRACT, "house", clinical),
)
