import pytest

from common.phantoms import Anatomy, head_anatomy


@pytest.fixture(scope="session")
def head() -> Anatomy:
    """Head of seed 3 at 2.5 mm."""
    return head_anatomy(3, 2.5)
