"""Selection of a command's cases: a new split, or the one that the run in its folder has."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ..io import VolumeReader
from .checks.cases import require_clean
from .checks.duplicates import copies
from .datalist import POOLS, SPLITS, Item
from .identity import identify, masks_of
from .origins import Origin
from .run_split import Lists, RunSplit
from .split_record import DATALIST_NAME, SplitRecord

logger = logging.getLogger(__name__)
ALL = "all"
"""The section of cases that are not split yet."""


def select_lists(
    origin: Origin,
    run_dir: str,
    find: Callable[[], Lists],
    split: Callable[[Sequence[Item]], Lists],
    reader: VolumeReader | None = None,
    keep_split: bool = False,
    held_out: bool = False,
) -> tuple[Lists, bool]:
    """The cases of a command by section, and whether they are those of an earlier run's split.

    Args:
        origin: of the data.
        run_dir: of the run.
        find: the cases that ``origin`` has, by section, or under ``ALL`` to be split.
        split: divides cases into sections.
        reader: of the volumes.
        keep_split: for a resume; see :meth:`common.data.run_split.RunSplit.resumed`.
        held_out: for an evaluation; see :meth:`common.data.run_split.RunSplit.evaluated`.

    Raises:
        DataError: for missing data, or a split that cannot be kept.
        ConfigError: for a datalist that a new run would replace.
    """
    kept = None
    if keep_split or held_out:
        kept = RunSplit(Path(run_dir), reader) if Path(run_dir, DATALIST_NAME).is_file() else None
        if kept is None:
            logger.warning(f"{run_dir} has no {DATALIST_NAME}: its training cases are not known")
    else:
        origin.require_other_than(run_dir)
    if kept is None or origin.given or origin.is_phantoms(kept.root):
        origin.announce()
    if kept is None:
        lists = find()
        lists = split(lists[ALL]) if ALL in lists else lists
    else:
        found = find() if origin.given else None
        lists = kept.evaluated(found, origin.name, origin.datalist is not None) if held_out else kept.resumed(found)
    return {section: lists.get(section, []) for section in (*SPLITS, *POOLS)}, kept is not None


def announce_split(lists: Lists) -> None:
    """Log how many cases, or patches by class, the sections of a command have."""
    pools = dict(zip(POOLS, ("training sources", "training targets"), strict=True))
    counts = {pools.get(section, section): len(items) for section, items in lists.items()}
    shown = {name: count for name, count in counts.items() if count or name in SPLITS and name != "training"}
    kind = "patches" if any("class" in item for items in lists.values() for item in items) else "cases"
    parts = ", ".join(f"{count} {name}" for name, count in shown.items())
    logger.info(f"data: {sum(counts.values())} {kind}: {parts}")


def new_record(lists: Lists, reader: VolumeReader | None, seed: int, origin: Origin) -> SplitRecord:
    """The record of a new split, in which no image is in two sections.

    Raises:
        DataError: naming the cases and sections that share an image, or a file that cannot be read.
    """
    files = identify([item for items in lists.values() for item in items], reader)
    require_clean(copies(lists, files))
    files |= identify(masks_of(item for items in lists.values() for item in items), reader)  # a resume compares them
    return SplitRecord(lists, files, {"seed": seed, "root": os.path.abspath(origin.name)})
