"""Refusal of scans with so little noise that the weights would blur them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine
from monai.utils.type_conversion import convert_to_numpy

from common.errors import DataError
from common.trust.input_check import CASE_LOADED
from common.weights.info import known_info
from ldct_wgan_vgg.classical import noise_level

LEAST = "least_noise_hu"
"""Key of the JSON file of weights: the noise below which they are no better than the scan itself."""


class NoiseCheck:
    """Handler of inference that refuses cases with less noise than the weights name; weights that name none take all.

    Args:
        weights: the file in use.
        window: HU that are -1 and 1.
    """

    def __init__(self, weights: str, window: Sequence[float]) -> None:
        about = known_info(Path(weights))
        self.least = 0.0 if about is None else float(about.metadata.get(LEAST, 0))
        self.window = window

    def attach(self, engine: Engine) -> None:
        """Check each case before its inference."""
        engine.add_event_handler(CASE_LOADED, self)

    def __call__(self, engine: Engine) -> None:
        """Check the cases of the engine's batch.

        Raises:
            DataError: a case has less noise, and the engine refuses cases.
        """
        if not self.least or not getattr(engine, "refuses", False):
            return
        batch: Any = engine.state.batch
        low, high = self.window
        for case, image in zip(batch["case"], batch["image"], strict=True):
            found = noise_level((convert_to_numpy(image)[0] + 1) / 2 * (high - low) + low)
            if found < self.least:
                fault = f"{case}: noise of {found:.1f} HU, below the {self.least:g} HU from which these weights gain"
                raise DataError(fault, "use the scan as it is; --refuse false restores it nevertheless")
