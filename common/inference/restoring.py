"""A postprocessing with as little of a case in memory as it needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from monai.transforms import Invertd, apply_transform

from ..transforms import AirOutsideBodyd, ServedAsFloatd, ToUnitd

WITHOUT_SOURCE = (Invertd, ToUnitd, AirOutsideBodyd, ServedAsFloatd)
"""Steps that need no values of the source, but for the outline of a body, which is found before."""


class Restoring:
    """Brings a network's output to the grid of its source and the unit of the target.

    Args:
        postprocessing: of an item with ``pred`` and ``image`` (C, X, Y, Z), a ``Compose`` or any other; None: nothing.

    Attributes:
        needs_source: whether a step may need the values of ``image``.
    """

    def __init__(self, postprocessing: Callable[[dict[str, Any]], Any] | None) -> None:
        self.steps: Sequence[Callable[..., Any]] = getattr(postprocessing, "transforms", [postprocessing or dict])
        self.needs_source = not all(isinstance(step, WITHOUT_SOURCE) for step in self.steps)

    def outline(self, image: Any) -> dict[str, Any]:
        """What an item needs in the place of the values of its source (C, X, Y, Z)."""
        outlining = [step for step in self.steps if isinstance(step, AirOutsideBodyd)]
        return {key: each for step in outlining for key, each in step.outlined(image).items()}

    def done(self, item: dict[str, Any]) -> dict[str, Any]:
        """An item after the postprocessing; the given one is emptied, as a ``Compose`` would keep it to its end."""
        made: Any = dict(item)
        item.clear()
        for step in self.steps:
            made = apply_transform(step, made)
        return dict(made)
