"""What a bundle's Python code shows without being run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tools.verify import configs
from tools.verify.bundle import Bundle
from tools.verify.verdicts import Fault, Found, NotApplicableError, check

SHARED = "common"
"""The package that bundles share in the repository and that a release carries under a name of its own."""
EXECUTING = ("pickle.load", "pickle.loads", "pickle.Unpickler", "joblib.load")


def _parsed(bundle: Bundle) -> Iterator[tuple[str, ast.Module | Exception]]:
    """Each Python file as a tree, or the error where it is none."""
    sources = [path for path in bundle.files() if path.suffix == ".py"]
    if not sources:
        raise NotApplicableError("no Python code inside")
    for path in sources:
        name = str(path.relative_to(bundle.folder))
        try:
            yield name, ast.parse(path.read_bytes())
        except (SyntaxError, ValueError) as error:
            yield name, error


def _nodes(bundle: Bundle) -> Iterator[tuple[str, ast.AST]]:
    """Every part of every file that can be parsed, and where it is."""
    for name, tree in _parsed(bundle):
        if isinstance(tree, ast.Module):
            for node in ast.walk(tree):
                yield f"{name}:{getattr(node, 'lineno', 0)}", node


@check("code.syntax", "sound", "Python")
def syntax(bundle: Bundle) -> Found:
    """Every Python file can be parsed."""
    for name, tree in _parsed(bundle):
        if isinstance(tree, Exception):
            yield Fault(name, "is sound Python", tree, "correct it")


@check("code.pickles", "sound", "torch: weights_only")
def pickles(bundle: Bundle) -> Found:
    """No pickle is executed."""
    remedy = "load tensors alone: torch.load(..., weights_only=True)"
    for place, node in _nodes(bundle):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            options = {f"{word.arg}={ast.unparse(word.value)}" for word in node.keywords}
            unsafe = options & {"weights_only=False", "allow_pickle=True"}
            if called in EXECUTING or (unsafe and called.endswith("load")):
                yield Fault(place, "executes no pickle", f"{called}({', '.join(sorted(unsafe))})", remedy)
    for entry in configs.expressions(bundle):
        if "weights_only=False" in entry["expression"].replace(" ", ""):
            name = f"configs/{entry['file']} {entry['id']}"
            yield Fault(name, "executes no pickle", entry["expression"], remedy)


@check("code.vendored", "house", "the contract of this collection")
def vendored(bundle: Bundle) -> Found:
    """A release imports its own copy of the shared package, not the top-level one."""
    if not bundle.packed:
        raise NotApplicableError("not a packed bundle: the shared package is imported from the repository")
    remedy = f"pack the bundle again: it carries {SHARED} inside its own package"
    for place, node in _nodes(bundle):
        if any(module.split(".")[0] == SHARED for module in _imported(node)):
            yield Fault(place, f"imports no {SHARED}", ast.unparse(node), remedy)
    for path, key, value in configs.all_leaves(bundle):
        if key.endswith("_target_") and str(value).split(".")[0] == SHARED:
            yield Fault(f"configs/{path.name} {key}", f"uses no {SHARED}", value, remedy)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []


def module_names(bundle: Bundle) -> list[str]:
    """Every module of the bundle's packages; a ``__main__`` would run."""
    paths = [path.relative_to(bundle.folder) for path in bundle.files() if path.suffix == ".py"]
    inside = [path.with_suffix("") for path in paths if path.parts[0] in bundle.packages and path.stem != "__main__"]
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in inside)
