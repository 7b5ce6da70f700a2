"""Static checks of a bundle's Python code."""

from __future__ import annotations

import ast
import re

from tools.verify.bundle import Bundle
from tools.verify.verdicts import Fault, Found, NotApplicableError, check

SHARED = "common"
"""The package that bundles share in the repository and that a release carries under a name of its own."""
EXECUTING = r"weights_only\s*=\s*False|allow_pickle\s*=\s*True|\b(pickle\.(loads?|Unpickler)|joblib\.load)\("
IMPORTING = rf"^\s*(from|import) {SHARED}\b|_target_\W+{SHARED}\."


@check("code.syntax", "sound", "Python")
def syntax(bundle: Bundle) -> Found:
    """Every Python file can be parsed."""
    sources = [path for path in bundle.files() if path.suffix == ".py"]
    if not sources:
        raise NotApplicableError("no Python code inside")
    for path in sources:
        try:
            ast.parse(path.read_bytes())
        except (SyntaxError, ValueError) as error:
            yield Fault(str(path.relative_to(bundle.folder)), "is sound Python", error, "correct it")


def _lines(bundle: Bundle, pattern: str, rule: str, remedy: str) -> Found:
    """A fault for each line of code and configs in which a pattern is found."""
    for path in [*(path for path in bundle.files() if path.suffix == ".py"), *bundle.config_files]:
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if re.search(pattern, line):
                yield Fault(f"{path.relative_to(bundle.folder)}:{number}", rule, line.strip()[:120], remedy)


@check("code.pickles", "sound", "torch: weights_only")
def pickles(bundle: Bundle) -> Found:
    """No pickle is executed."""
    return _lines(bundle, EXECUTING, "executes no pickle", "load tensors alone: torch.load(..., weights_only=True)")


@check("code.vendored", "house", "the contract of this collection")
def vendored(bundle: Bundle) -> Found:
    """A release imports its own copy of the shared package, not the top-level one."""
    if not bundle.packed:
        raise NotApplicableError("not a packed bundle: the shared package is imported from the repository")
    return _lines(bundle, IMPORTING, f"imports no {SHARED}", f"pack it again: {SHARED} is inside its own package")


def module_names(bundle: Bundle) -> list[str]:
    """Every module of the bundle's packages; a ``__main__`` would run."""
    paths = [path.relative_to(bundle.folder) for path in bundle.files() if path.suffix == ".py"]
    inside = [path.with_suffix("") for path in paths if path.parts[0] in bundle.packages and path.stem != "__main__"]
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in inside)
