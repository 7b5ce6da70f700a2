"""Training samples of simulated cases, rendered during training."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Compose
from monai.utils import MetaKeys, SpaceKeys
from torch import Tensor
from torch.utils.data import Dataset

from ...errors import ConfigError
from ...networks.slabs import odd_neighbours, slabs
from ...seeds import derive
from ...stitching import plane_axis
from ...transforms.augment import augmented
from .cached_volumes import plain
from .patch_positions import last_starts, padded, start_around, voxels_of

Simulate = Callable[[int], dict[str, np.ndarray]]
"""Gives ``image``, ``label``, ``mask`` (X, Y, Z) and ``spacing`` (3,) in mm of a seed, such as
:class:`common.simulation.simulate.MrPair`."""
LEAST_FOREGROUND = 0.05
"""Share of a slice inside the mask at least."""


def placed(case: Mapping[str, np.ndarray]) -> dict[str, MetaTensor]:
    """Image, label and mask of a simulated case (C, X, Y, Z) with an affine to RAS mm, as volumes of files have."""
    affine = torch.from_numpy(np.diag([*case["spacing"], 1.0]))
    return {
        name: MetaTensor(_with_channels(case[name]), affine=affine, meta={MetaKeys.SPACE: SpaceKeys.RAS})
        for name in ("image", "label", "mask")
    }


def _with_channels(volume: np.ndarray) -> Tensor:
    """A volume (X, Y, Z) or (C, X, Y, Z) as (C, X, Y, Z)."""
    return torch.from_numpy(volume if volume.ndim == 4 else volume[None])


class SimulatedCases(Dataset[dict[str, Any]]):
    """Base class of datasets of simulated samples: cases are rendered on first use, and the last ones kept.

    A case is a function of (``seed``, epoch, number) only, and a sample of (``seed``, epoch, index), independent of
    process and worker: sample ``index`` belongs to case ``index // samples_per_case``. In the order of
    :class:`common.simulation.case_loader.CaseSampler`, every case is rendered once.

    Args:
        simulate: renders a case from a seed.
        transform: preprocessing of the volumes (1, X, Y, Z) of a case, without random transforms. They have an affine,
            see :func:`placed`, so that a working spacing is applied as in inference.
        augmentation: random transforms of a sample, the same for source and target.
        samples_per_case: samples of each case.
        cases: number of cases per epoch.
        kept: cases that a worker keeps in memory, at least ``batch_size``.
        seed: of cases, samples and augmentation.

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
                raise ConfigError(f"{name} is {value}, not above 0", "raise it")
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
        sample = augmented(sample, self.augmentation, seed)
        return {**{name: plain(part) for name, part in sample.items()}, "case": f"simulation {epoch}-{number}"}

    def case(self, epoch: int, number: int) -> dict[str, Tensor]:
        """The preprocessed volumes of a case, (1, X, Y, Z) each."""
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
        done = self.transform({**placed(case), "case": f"simulation of seed {seed}"})
        return {name: plain(part) for name, part in done.items() if name != "case"}

    def cut(self, case: dict[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        """Cut one sample from a case."""
        raise NotImplementedError


class SimulatedPatches(SimulatedCases):
    """Patches of simulated cases, like those of :class:`common.data.datasets.patches.VolumePatchDataset`.

    A sample has ``image`` and ``label`` (1, X, Y, Z) of the patch size.

    Args:
        simulate: renders a case from a seed.
        transform: preprocessing.
        patch_size: voxels along X, Y, Z.
        foreground_share: share of patches centred in the mask; others are anywhere.
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
        """Mean and standard deviation of the labels of two cases; simulated intensities are relative to water."""
        return {str(number): self.case(0, number)["label_scale"] for number in range(2)}

    def cut(self, case: dict[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        """Cut a patch at a random position."""
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
    """Slices of simulated cases, like those of :class:`common.data.datasets.slices.SliceDataset`.

    Args:
        simulate: renders a case from a seed.
        transform: preprocessing.
        plane: sagittal, coronal or axial.
        neighbours: slices per slab of the image, odd; the label is the central slice.
        **stream: further arguments of :class:`SimulatedCases`.
    """

    def __init__(
        self,
        simulate: Simulate,
        transform: Callable[..., Any],
        plane: str = "sagittal",
        neighbours: int = 1,
        **stream: Any,
    ) -> None:
        self.axis, self.neighbours = plane_axis(plane), odd_neighbours(neighbours)
        super().__init__(simulate, transform, **stream)

    def _rendered(self, seed: int) -> dict[str, Tensor]:
        case = super()._rendered(seed)
        across = [axis for axis in range(3) if axis != self.axis]
        share = (case["mask"][0] > 0).float().mean(dim=across)
        return {**case, "filled": torch.nonzero(share >= LEAST_FOREGROUND).flatten()}

    def cut(self, case: dict[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        """Cut a random slice with enough foreground."""
        filled = case["filled"]
        place = int(filled[rng.integers(len(filled))]) if len(filled) else case["mask"].shape[self.axis + 1] // 2
        counts = {"image": self.neighbours, "label": 1}
        return {key: slabs(case[key], self.axis, n, range(place, place + 1))[0] for key, n in counts.items()}


class SimulatedVolumes(SimulatedCases):
    """Whole simulated cases of epoch 0, a fixed set for the validation of trainings on simulations."""

    def __len__(self) -> int:
        return self.cases

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        number = key[1] if isinstance(key, tuple) else key
        return {**self.case(0, number), "case": f"simulation {number}"}
