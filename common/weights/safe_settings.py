"""Settings that people exchange with weights are data: what would execute when they are built is refused."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pydoc import ErrorDuringImport, locate
from typing import Any

import monai.inferers
import monai.networks.nets
import monai.transforms

from ..errors import CheckpointError
from .module_names import SHARED, portable

ROOMS = tuple(f"{SHARED}.{room}." for room in ("networks", "simulation", "stitching", "transforms"))
"""Rooms of the shared package whose classes weights may name, with the name that they have in the repository."""
OF_A_BUNDLE = re.compile(r"\w+\.(diffusion|dsc|label_maps|latent|networks|reader|simulation)\.\w+")
"""Classes of a bundle's package that weights may name, whatever the file calls its bundle."""
MONAI = (monai.transforms, monai.inferers, monai.networks.nets)
"""Modules in which MONAI's short names, such as ``Orientationd``, are looked up."""
WRITES = re.compile("(save|write)", re.IGNORECASE)
"""Beginnings of names of what writes files: MONAI's ``SaveImaged``, writers of phantoms."""
LIBRARIES = ("monai.networks.", "monai.transforms.", "monai.inferers.", "torch.nn.")
ARITHMETIC = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Constant, ast.Name, ast.Load)
REFERENCE = re.compile(r"@(\w+(?:::\w+)*)")
PLACEHOLDER = "_setting_"


def require_safe(settings: Any, of: str, given: str = "") -> None:
    """Refuse settings of weights or of a run that would do more than build networks, transforms and inferers.

    An expression (``$...``) may calculate with numbers and other settings, and take the length of one; a macro
    (``%...``) stays within the settings; a class (``_target_``) is a bundle's network or reader, the shared
    package's, or one of MONAI's or PyTorch's networks, transforms and inferers.

    Args:
        settings: raw, of a JSON file.
        of: the file, for messages.
        given: the configuration that runs, as text; a class that is named there is the user's own choice.

    Raises:
        CheckpointError: with the place of the first setting that is refused.
    """
    for place, value in _texts(settings, ""):
        if place.endswith("_target_") and not _is_known(value) and value not in given:
            _refuse(of, place, value, "a class of neither the bundle nor MONAI")
        if value.startswith("$") and not _calculates(value[1:]):
            _refuse(of, place, value, "an expression that does more than calculate")
        if value.startswith("%") and not re.fullmatch(r"%[\w:#]+", value):
            _refuse(of, place, value, "a macro of another file")


def _refuse(of: str, place: str, value: str, kind: str) -> None:
    own = "pass the overlay of its training (--overlay FILE) if it is your own, else "
    remedy = f"{own if place.endswith('_target_') else ''}use weights of a source that you trust"
    raise CheckpointError(f"{of}: {place.replace('.', '::')} is {value!r}, {kind}", remedy)


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every text with its place; the value of ``_target_`` whatever its type."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(str(part) if key == "_target_" else part, f"{place}::{key}".lstrip(":"))
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _texts(part, f"{place}::{number}".lstrip(":"))
    elif isinstance(value, str):
        yield place, value


def _is_known(target: str) -> bool:
    """Whether weights may name it: where it is defined counts too, since modules hold those that they import."""
    if WRITES.match(target.rpartition(".")[2]):
        return False
    if "." not in target:
        return any(isinstance(getattr(module, target, None), type) for module in MONAI)
    named = portable(target)
    homes = (*ROOMS, *LIBRARIES)
    if not named.startswith(homes):
        if not OF_A_BUNDLE.fullmatch(named):
            return False
        homes += (f"{named.partition('.')[0]}.",)
    try:
        found = locate(target)  # as MONAI does
    except ErrorDuringImport:
        return False
    if found is None:  # nothing that could be built
        return True
    home = portable(f"{getattr(found, '__module__', '')}.")
    return home.startswith(homes) and (isinstance(found, type) or not home.startswith("monai."))


def _calculates(text: str) -> bool:
    """Whether an expression has numbers, references, arithmetic and ``len`` of a reference alone."""
    try:
        tree = ast.parse(REFERENCE.sub(PLACEHOLDER, text).strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    allowed = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len":
            if len(node.args) != 1 or node.keywords or not isinstance(node.args[0], ast.Name):
                return False
            allowed |= {node, node.func}
    names = (node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node not in allowed)
    known = all(isinstance(node, ARITHMETIC) or node in allowed for node in ast.walk(tree))
    return known and all(name == PLACEHOLDER for name in names)
