"""Training samples of simulated cases without end, rendered while training."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose
from torch import Tensor
from torch.utils.data import Dataset

from common.data.datasets.patch_positions import last_starts, padded, start_around, voxels_of
from common.errors import ConfigError
from common.inferers import odd_neighbours, plane_axis, slabs
from common.seeds import derive

Simulate = Callable[[int], dict[str, np.ndarray]]
"""A case from its seed: ``image``, ``label``, ``mask`` (X, Y, Z), such as :class:`common.phantoms.simulate.MrPair`."""


class SimulatedCases(Dataset[dict[str, Any]]):
    """What the datasets of simulated samples share: cases rendered when first asked for, the latest ones kept.

    A case is a function of (``seed``, epoch, number) alone, and a sample of (``seed``, epoch, index), whichever process
    or worker draws it: sample ``index`` belongs to case ``index // samples_per_case``. The order in which
    :class:`common.data.case_loader.CaseSampler` brings them renders every case once.

    Args:
        simulate: renders a case from a seed.
        transform: preprocessing of a case (1, X, Y, Z) each, without randomness.
        augmentation: random transforms of a sample, source and target together.
        samples_per_case: how many samples are taken of each.
        cases: an epoch.
        kept: how many cases a worker keeps, at least ``batch_size``.
        seed: of everything.

    Raises:
        ConfigError: for a number that is not positive.
    """

    def __init__(
        self,
        simulate: Simulate,
        transform: Callable[..., Any],
        augmentation: Callable[..., Any] | None = None,
        samples_per_case: int = 32,
        cases: int = 64,
        kept: int = 8,
        seed: int = 0,
    ) -> None:
        for name, value in {"samples_per_case": samples_per_case, "cases": cases, "kept": kept}.items():
            if value < 1:
                raise ConfigError(name, "is positive", value, "raise it")
        self.simulate = simulate
        self.transform = transform
        self.augmentation = augmentation if isinstance(augmentation, Compose) else Compose(augmentation or [])
        self.samples_per_case = samples_per_case
        self.cases = cases
        self.kept = kept
        self.seed = seed
        self._held: OrderedDict[tuple[int, int], dict[str, Tensor]] = OrderedDict()

    def __len__(self) -> int:
        return self.cases * self.samples_per_case

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        number, place = divmod(index, self.samples_per_case)
        case = self.case(epoch, number)
        seed = derive(self.seed, epoch, number, place, 1)
        sample = self.cut(case, np.random.default_rng(seed))
        self.augmentation.set_random_state(seed=seed % 2**32)
        sample = self.augmentation(sample)
        return {**{name: plain(part) for name, part in sample.items()}, "case": f"simulation {epoch}-{number}"}

    def case(self, epoch: int, number: int) -> dict[str, Tensor]:
        """A whole case, preprocessed, (1, X, Y, Z) each."""
        held = self._held.get((epoch, number))
        if held is None:
            held = self._rendered(derive(self.seed, epoch, number))
            self._held[epoch, number] = held
            if len(self._held) > self.kept:
                self._held.popitem(last=False)
        self._held.move_to_end((epoch, number))
        return held

    def _rendered(self, seed: int) -> dict[str, Tensor]:
        case = self.simulate(seed)
        volumes = {name: torch.from_numpy(case[name])[None] for name in ("image", "label", "mask")}
        done = self.transform({**volumes, "case": f"simulation of seed {seed}"})
        return {name: plain(part) for name, part in done.items() if name != "case"}

    def cut(self, case: dict[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        """One sample of a case."""
        raise NotImplementedError


class SimulatedPatches(SimulatedCases):
    """Patches of simulated cases, the like of :class:`common.data.datasets.patches.VolumePatchDataset`.

    A sample holds ``image`` and ``label`` (1, X, Y, Z) of the patch's size.

    Args:
        simulate: renders a case from a seed.
        transform: preprocessing.
        patch_size: voxels along X, Y, Z.
        foreground_share: of patches centred in the mask; the others lie anywhere.
        **stream: further arguments of :class:`SimulatedCases`.
    """

    def __init__(
        self,
        simulate: Simulate,
        transform: Callable[..., Any],
        patch_size: Sequence[int] = (32, 32, 32),
        foreground_share: float = 0.9,
        **stream: Any,
    ) -> None:
        super().__init__(simulate, transform, **stream)
        self.patch_size = tuple(patch_size)
        self.foreground_share = foreground_share

    @property
    def scales(self) -> dict[str, Tensor]:
        """Mean and deviation of the label of the first cases; simulated grey scales are relative to water."""
        return {str(number): self.case(0, number)["label_scale"] for number in range(2)}

    def cut(self, case: dict[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        """A patch at a random place."""
        shape = tuple(case["image"].shape[1:])
        centres = voxels_of(case["mask"]) if rng.random() < self.foreground_share else ()
        if len(centres):
            start = start_around(int(centres[rng.integers(len(centres))]), shape, self.patch_size)
        else:
            start = [int(rng.integers(last + 1)) for last in last_starts(shape, self.patch_size)]
        x, y, z = (slice(first, first + side) for first, side in zip(start, self.patch_size, strict=True))
        cut = {key: case[key][:, x, y, z] for key in ("image", "label")}
        return {key: padded(volume, self.patch_size, background=True).clone() for key, volume in cut.items()}


class SimulatedSlices(SimulatedCases):
    """Slices of simulated cases, the like of :class:`common.data.datasets.slices.SliceDataset`.

    Args:
        simulate: renders a case from a seed.
        transform: preprocessing.
        plane: sagittal, coronal or axial.
        neighbours: slices a slab for the image, odd; the label is the central slice.
        min_foreground: least share of a slice inside the mask.
        **stream: further arguments of :class:`SimulatedCases`.
    """

    def __init__(
        self,
        simulate: Simulate,
        transform: Callable[..., Any],
        plane: str = "sagittal",
        neighbours: int = 1,
        min_foreground: float = 0.05,
        **stream: Any,
    ) -> None:
        self.axis, self.neighbours = plane_axis(plane), odd_neighbours(neighbours)
        self.min_foreground = min_foreground
        super().__init__(simulate, transform, **stream)

    def cut(self, case: dict[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        """A slice that holds enough of the head."""
        across = [axis for axis in range(3) if axis != self.axis]
        good = torch.nonzero((case["mask"][0] > 0).float().mean(dim=across) >= self.min_foreground).flatten()
        place = int(good[rng.integers(len(good))]) if len(good) else case["mask"].shape[self.axis + 1] // 2
        counts = {"image": self.neighbours, "label": 1}
        return {key: slabs(case[key], self.axis, n, range(place, place + 1))[0] for key, n in counts.items()}


class SimulatedVolumes(SimulatedCases):
    """Whole simulated cases of epoch 0, the same ones every time: what a training on simulations is validated on."""

    def __len__(self) -> int:
        return self.cases

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        number = key[1] if isinstance(key, tuple) else key
        return {**self.case(0, number), "case": f"simulation {number}"}


def plain(value: Any) -> Tensor:
    """A tensor without MONAI's meta data."""
    return value.as_tensor() if hasattr(value, "as_tensor") else torch.as_tensor(value)
