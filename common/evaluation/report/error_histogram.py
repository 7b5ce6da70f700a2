"""Distribution of the errors over all cases, by tissue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ...units import HU, tissues_of
from .contents import Picture
from .panels import STYLE, figure_image
from .standalone_page import png_of

BINS = 80
SHARE_OF_WINDOW = 0.25
"""Half width of the histogram, relative to the window of the target."""


class ErrorHistogram:
    """Voxels by synthetic - truth, counted case by case; errors beyond the ends count in the outermost bins.

    Groups of CT are air (below -200 HU in the truth), soft tissue and bone (above 250 HU); of other targets the
    regions of the cases, and the rest of the mask.

    Args:
        unit: of the target.
        window: (low, high) in that unit; the histogram reaches ± a quarter of its width.
    """

    def __init__(self, unit: str, window: Sequence[float]) -> None:
        self.unit = unit
        limit = SHARE_OF_WINDOW * (window[1] - window[0])
        self.edges = np.linspace(-limit, limit, BINS + 1)
        self.counts: dict[str, np.ndarray] = {}

    def add(
        self, synthetic: np.ndarray, truth: np.ndarray, mask: np.ndarray, regions: Mapping[str, np.ndarray]
    ) -> None:
        """Count the voxels (X, Y, Z) of a case inside its mask."""
        inside = (mask > 0) & np.isfinite(synthetic) & np.isfinite(truth)
        real = truth[inside]
        error = np.clip(synthetic[inside] - real, self.edges[0], self.edges[-1])
        if self.unit == HU:
            groups = {"soft tissue" if name == "soft" else name: group for name, group in tissues_of(real).items()}
        else:
            groups = {name: region[inside] > 0 for name, region in regions.items()}
            others = np.ones(real.shape, bool)
            for group in groups.values():
                others &= ~group
            groups["other tissue" if groups else "inside the mask"] = others
        for name, group in groups.items():
            found = np.histogram(error[group], self.edges)[0]
            self.counts[name] = self.counts.get(name, 0) + found

    def picture(self, whose: str) -> Picture:
        """Share of each group's voxels by error; ``whose`` names method and cases."""
        groups = "air below -200 HU and bone above 250 HU in the truth; " if self.unit == HU else ""
        caption = (
            f"Synthetic − truth in {self.unit}, {whose}, inside the mask: {groups}"
            "errors beyond the ends count in the outermost bars; the scale of the shares is logarithmic."
        )
        return Picture("Errors by tissue", self._png(), caption)

    def _png(self) -> bytes:
        colours = ("#1f5a8a", "#b5521b", "#3f7d4e", "#6b4c9a")
        with matplotlib.rc_context(STYLE):
            figure = Figure(figsize=(7.2, 2.9), facecolor="white", layout="constrained")
            axes = figure.add_subplot()
            shown = [(name, count) for name, count in self.counts.items() if count.sum()]
            for (name, count), colour in zip(shown, colours, strict=False):
                label = f"{name}, {count.sum() / 1e6:.2g} million voxels"
                axes.stairs(100 * count / count.sum(), self.edges, color=colour, linewidth=1.6, label=label)
            axes.axvline(0, color="0.6", linewidth=0.8)
            axes.set_xlim(self.edges[0], self.edges[-1])
            axes.set_yscale("log")
            axes.set_ylim(bottom=0.01)
            axes.yaxis.set_major_formatter("{x:g}")
            axes.set_xlabel(f"synthetic − truth in {self.unit}")
            axes.set_ylabel("% of its voxels")
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(color="0.92")
            axes.legend(frameon=False, fontsize=9, loc="upper left")
            return png_of(figure_image(figure, 110).quantize(32))
