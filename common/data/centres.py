"""Split by centre: all patients of some centres for the test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import DataError
from .datalist import SPLITS, Item, check_leaks, one_spelling, split_by_patient

CENTRE = "centre"


def split_by_centre(
    items: Iterable[Item], centres: Sequence[str], fractions: Sequence[float], seed: int = 0
) -> dict[str, list[Item]]:
    """Test on all cases of some centres; split the others by patient into training and validation.

    Args:
        items: cases with ``centre``.
        centres: of the test.
        fractions: of training, validation and test; the first two give the ratio of the others.
        seed: of the random order of the patients.

    Raises:
        DataError: for a centre that no case has, no case of another centre, or a patient of two centres in different
            sections.
        ConfigError: for invalid fractions.
    """
    # before the centres part them, so that a patient typed in two ways is found in both
    items = sorted(one_spelling({"": list(items)})[""], key=lambda item: item["case"])
    wanted = {name.strip() for name in centres}
    there = sorted({item[CENTRE] for item in items if CENTRE in item})
    if missing := sorted(wanted - set(there)):
        fault = f"no case is of centre {', '.join(missing)}, but of {', '.join(there) or 'none that is known'}"
        raise DataError(fault, "correct --test_centres")
    others = [item for item in items if item.get(CENTRE) not in wanted]
    if not others:
        raise DataError(f"all cases are of {', '.join(sorted(wanted))}", "leave centres to train on")
    training, validation, _ = fractions
    both = (training + validation) or 1.0
    lists = split_by_patient(others, (training / both, validation / both, 0.0), seed)
    split = {**lists, SPLITS[2]: [item for item in items if item.get(CENTRE) in wanted]}
    check_leaks(split)
    return split
