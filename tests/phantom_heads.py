"""Heads of phantoms that tests share: anatomies, images of them, and slabs of pure tissue."""

from collections.abc import Callable

import numpy as np
import pytest

from common.simulation.head import Anatomy, head_anatomy
from common.simulation.mr import render_t1
from common.simulation.tissues import TISSUES


@pytest.fixture(scope="session")
def head() -> Anatomy:
    """Head of seed 3 at 2.5 mm."""
    return head_anatomy(3, 2.5)


@pytest.fixture(scope="session")
def mr(head) -> np.ndarray:
    """T1-weighted MR of ``head``."""
    return render_t1(head, np.random.default_rng(1))


@pytest.fixture(scope="session")
def slabs() -> Anatomy:
    """Every tissue pure in a slab of 12 voxels, in the order of ``TISSUES``."""
    shape = (12 * len(TISSUES), 24, 24)
    fractions = {name: np.zeros(shape, np.float32) for name in TISSUES}
    for index, name in enumerate(TISSUES):
        fractions[name][12 * index : 12 * (index + 1)] = 1
    return Anatomy(fractions, np.eye(4), 1.0)


@pytest.fixture(scope="session")
def slab() -> Callable[[np.ndarray, str], np.ndarray]:
    """Cuts from an image of ``slabs`` the inside of one tissue."""

    def cut(image: np.ndarray, name: str) -> np.ndarray:
        start = 12 * TISSUES.index(name)
        return image[start + 3 : start + 9, 3:-3, 3:-3]

    return cut
