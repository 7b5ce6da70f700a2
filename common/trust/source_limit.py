"""Refusal of sources that weights are no better for than what a user has without them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Engine
from monai.utils.misc import ensure_tuple
from monai.utils.type_conversion import convert_to_numpy
from numpy.typing import NDArray

from ..errors import CheckpointError, DataError
from ..weights.info import known_info
from .input_check import CASE_LOADED


class SourceLimit(ABC):
    """Handler of inference that refuses cases beyond a limit in the JSON file of weights; without one it takes all.

    Args:
        weights: the file in use.
        key: of the limit.
        numbers: how many it has.
        remedy: what to do with a refused case; ``--refuse false`` infers it.

    Raises:
        CheckpointError: the limit is something else.
    """

    def __init__(self, weights: str, key: str, numbers: int, remedy: str) -> None:
        about = known_info(Path(weights))
        known = None if about is None else about.metadata.get(key)
        self.limit: tuple[float, ...] = () if known is None else ensure_tuple(known)
        if self.limit and (len(self.limit) != numbers or not all(type(each) in (int, float) for each in self.limit)):
            fault = f"{key} of the weights {weights} is {known!r}, not {numbers} number{'s' * (numbers > 1)}"
            raise CheckpointError(fault, "restore the JSON file next to them")
        self.remedy = remedy

    @abstractmethod
    def fault(self, image: NDArray[Any], meta: Mapping[str, Any]) -> str | None:
        """What is wrong with a network's input (C, X, Y, Z), read as ``meta`` says; None if it is within the limit."""

    def attach(self, engine: Engine) -> None:
        """Check each case before its inference."""
        engine.add_event_handler(CASE_LOADED, self)

    def __call__(self, engine: Engine) -> None:
        """Check the cases of the engine's batch.

        Raises:
            DataError: a case is beyond the limit, and the engine refuses cases.
        """
        if not self.limit or not getattr(engine, "refuses", False):
            return
        batch: Any = engine.state.batch
        for case, image in zip(batch["case"], batch["image"], strict=True):
            if fault := self.fault(convert_to_numpy(image), getattr(image, "meta", {})):
                remedy = f"{self.remedy}; --refuse false infers it, but no option writes it as DICOM"
                raise DataError(f"{case}: {fault}", remedy)
