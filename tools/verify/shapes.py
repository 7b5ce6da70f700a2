"""Sizes of tensors that metadata allow: "256*n" is 256, 512, ...; "2**p*n" is 2, 4, ...; "*" is any."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence

ANY_SIDE = 32
"""Pixels or voxels a side where any number will do."""
OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Mult: operator.mul,
    ast.Pow: operator.pow,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.FloorDiv: operator.floordiv,
}
LARGEST_POWER = 16


class ShapeError(ValueError):
    """A side that is neither a positive integer nor an expression of ``n`` and ``p``."""


def sizes(spatial_shape: Sequence[str | int], n: int = 1, p: int = 1) -> list[int]:
    """Sides for a choice of ``n`` and ``p``, which are the same in all expressions of a shape.

    Raises:
        ShapeError: names the side.
    """
    return [_side(side, {"n": n, "p": p}) for side in spatial_shape]


def _side(side: str | int, variables: dict[str, int]) -> int:
    if side == "*":
        return ANY_SIDE
    try:
        value = _value(ast.parse(str(side).strip(), mode="eval").body, variables)
    except (SyntaxError, ShapeError, ZeroDivisionError) as error:
        raise ShapeError(f"{side!r}") from error
    if value < 1:
        raise ShapeError(f"{side!r} = {value}")
    return value


def _value(node: ast.expr, variables: dict[str, int]) -> int:
    """Arithmetic of integers; nothing of an expression is evaluated by Python itself."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.Name) and node.id in variables:
        return variables[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left, right = _value(node.left, variables), _value(node.right, variables)
        if isinstance(node.op, ast.Pow) and not 0 <= right <= LARGEST_POWER:
            raise ShapeError(f"a power of {right}")
        return OPERATORS[type(node.op)](left, right)
    raise ShapeError(ast.unparse(node))


def choices(spatial_shape: Sequence[str | int]) -> list[dict[str, int]]:
    """Values of ``n`` and ``p`` to try: the smallest, then each variable that occurs raised by one."""
    smallest = sizes(spatial_shape)
    tried = [{"n": 1, "p": 1}]
    tried += [choice for choice in ({"n": 2, "p": 1}, {"n": 1, "p": 2}) if sizes(spatial_shape, **choice) != smallest]
    return tried
