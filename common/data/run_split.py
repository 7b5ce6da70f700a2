"""The split of a run, used by resume and evaluation: cases are recognised by their content, wherever they are now."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..case_keys import PATH_KEYS
from ..errors import DataError, some
from ..io import VolumeReader
from .datalist import POOLS, SPLITS, Item
from .identity import identify, masks_of, paths_of, recall
from .split_record import DATALIST_NAME, SplitRecord, require_files

logger = logging.getLogger(__name__)
Lists = dict[str, list[Item]]
TRAINED = ("training", *POOLS, "validation")
"""Sections that a training reads; its best weights are chosen by the validation cases."""


class RunSplit:
    """The split of a run by content.

    Args:
        run_dir: holds the record of the split.
        reader: of the volumes.

    Raises:
        DataError: training cases have no recorded identity (runs of earlier versions) and their files are gone.
    """

    def __init__(self, run_dir: Path, reader: VolumeReader | None) -> None:
        self.run_dir, self.reader = run_dir, reader
        record = SplitRecord.read(run_dir / DATALIST_NAME)
        recall(record.files)
        self.lists: Lists = {section: record.lists.get(section, []) for section in (*SPLITS, *POOLS)}
        self.root = record.root
        listed = [path for items in self.lists.values() for item in items for path in paths_of(item)]
        old = {path for path in listed if path not in record.files}
        present = [item for items in self.lists.values() for item in items if old & {*paths_of(item)} and _exists(item)]
        self.hashes = {path: each.sha256 for path, each in {**identify(present, reader), **record.files}.items()}
        self._known = {*self.hashes.values()}
        lost = [item["case"] for item in self.of(TRAINED) if not {*paths_of(item)} <= self.hashes.keys()]
        if lost:
            fault = f"{run_dir / DATALIST_NAME}, of an earlier version, does not identify {len(lost)} missing cases"
            raise DataError(f"{fault} ({some(lost)})", "restore their files, or train again")

    def of(self, sections: Iterable[str]) -> list[Item]:
        """The cases of some sections."""
        return [item for section in sections for item in self.lists[section]]

    def resumed(self, found: Mapping[str, Sequence[Item]] | None) -> Lists:
        """The split for the continuation of the run.

        Args:
            found: cases that the user gave, by section; None for those of the record.

        Raises:
            DataError: training or validation cases are missing or have changed.
        """
        items = [item for section in (found or {}).values() for item in section]
        if items and not any(map(self._knows, items)):
            fault = f"none of the {len(items)} cases of --dataset_dir or --datalist is in the split of {self.run_dir}"
            raise DataError(fault, "omit it, or start a new run with --resume false")
        lists = self.lists if found is None else self._located(items, others=False)
        wanted = [pair for section in TRAINED for pair in zip(self.lists[section], lists[section], strict=True)]
        there = [item for _, item in wanted if _exists(item)]
        identify([*there, *masks_of(there)], self.reader)  # all at once, in threads
        if lost := [item["case"] for kept, item in wanted if not (_exists(item) and self._is_same(kept, item))]:
            number = f"{len(lost)} of {len(wanted)} training and validation cases of {self.run_dir}"
            remedy = "pass --dataset_dir with where they are now, or start a new run with --resume false"
            raise DataError(f"cannot resume, {number} are missing or changed ({some(lost)})", remedy)
        self._report_unknown(items)
        return {section: [item for item in items if _exists(item)] for section, items in lists.items()}

    def evaluated(self, found: Mapping[str, Sequence[Item]] | None, where: str, own_test: bool) -> Lists:
        """Training and validation cases of the run, and test cases that it was not trained on.

        Args:
            found: cases that the user gave, by section; None for those of the record.
            where: they are from, for messages.
            own_test: whether the test section of ``found`` is taken, as of a ``--datalist``, rather than the run's.

        Raises:
            DataError: files of the record are gone and the user gave no other place, or test cases were trained on.
        """
        if found is None:
            require_files(self.of(self.lists), str(self.run_dir))
            lists, source = self.lists, f"of the split of {self.run_dir}"
        else:
            lists, source = self._with_test_of(found, where, own_test)
        self._require_untrained(lists["test"])
        if lists["test"]:
            logger.info(f"evaluation: {len(lists['test'])} test cases {source}; none of them was trained on")
        return lists

    def _with_test_of(self, found: Mapping[str, Sequence[Item]], where: str, own_test: bool) -> tuple[Lists, str]:
        """The sections of :meth:`evaluated` among the cases that the user gave, and where the test cases are from."""
        items = [item for section in found.values() for item in section]
        located = self._located(items)
        known = sum(map(self._knows, items))
        if own_test or not known:
            labelled = [item for item in items if "label" in item]
            test = found.get("test", ()) if own_test else found.get("test") or labelled or items
            return self._present({**located, "test": []}) | {"test": list(test)}, f"of {where}"
        lists = self._present(located)
        if located["test"] and not lists["test"]:
            fault = f"{where} has no test case of {self.run_dir}, but {known} cases that it was trained on"
            raise DataError(fault, "give the folder that has the test cases too")
        self._report_unknown(items)
        return lists, f"of the split of {self.run_dir}, by content in {where}"

    def _knows(self, item: Item) -> bool:
        return not self._known.isdisjoint(self._now(item))

    def _is_same(self, kept: Item, item: Item) -> bool:
        """Whether a case has the images, label and mask of the run; masks are not in the record of earlier versions."""
        if kept.get("mask") in self.hashes:
            now = {each.sha256 for each in identify(masks_of([item]), self.reader).values()}
            if now != {self.hashes[kept["mask"]]}:
                return False
        return self._now(item) == self._was(kept)

    def _now(self, item: Item) -> list[str]:
        """The hashes of a case's images and label as they are now."""
        files = identify([item], self.reader)
        return [files[path].sha256 for path in paths_of(item)]

    def _was(self, item: Item) -> list[str]:
        """The hashes of a case's images and label when the run began."""
        return [self.hashes[path] for path in paths_of(item)]

    def _located(self, found: Sequence[Item], others: bool = True) -> Lists:
        """The run's cases with the files of those cases among ``found`` that share an image or label with them.

        ``others`` adds files, such as a mask, that the run's case did not have.
        """
        identify(found, self.reader)  # all at once, in threads
        owners: dict[str, tuple[Item, str]] = {}
        for item in found:
            for path, sha256 in zip(paths_of(item), self._now(item), strict=True):
                owners.setdefault(sha256, (item, path))

        def located(item: Item, section: str) -> Item:
            here = {path: owners[self.hashes[path]] for path in paths_of(item) if self.hashes.get(path) in owners}
            if not here:
                return item
            if section in POOLS:  # the scan alone, which may be the target of a case
                moved = {path: own for path, (_, own) in here.items()}
                image = item["image"]
                return item | {"image": moved[image] if isinstance(image, str) else [moved.get(p, p) for p in image]}
            owner, _ = next(iter(here.values()))
            return item | {key: owner[key] for key in PATH_KEYS if key in owner and (others or key in item)}

        return {section: [located(item, section) for item in items] for section, items in self.lists.items()}

    def _present(self, lists: Lists) -> Lists:
        """The cases whose files exist; a line counts the others."""
        present = {section: [item for item in items if _exists(item)] for section, items in lists.items()}
        for section, items in lists.items():
            if lost := len(items) - len(present[section]):
                logger.warning(f"{section}: {lost} of {len(items)} cases of {self.run_dir} are missing and excluded")
        return present

    def _report_unknown(self, items: Sequence[Item]) -> None:
        if added := sum(not self._knows(item) for item in items):
            logger.warning(f"data: {added} cases are not in the split of {self.run_dir} and are not used")

    def _require_untrained(self, test: Sequence[Item]) -> None:
        """Refuse test cases that the run, or a variant that is evaluated with it, was trained on."""
        identify(test, self.reader)
        root = self.run_dir.parents[1] if self.run_dir.parent.name == "variants" else self.run_dir
        records = sorted({root / DATALIST_NAME, *root.glob(f"variants/*/{DATALIST_NAME}")})
        others = [path.parent for path in records if path.is_file() and path.parent != self.run_dir]
        for split in (self, *(RunSplit(folder, self.reader) for folder in others)):
            trained = {split.hashes[path] for item in split.of(TRAINED) for path in paths_of(item)}
            if leaked := [item["case"] for item in test if not trained.isdisjoint(self._now(item))]:
                fault = f"{split.run_dir} was trained on {len(leaked)} of {len(test)} test cases ({some(leaked)})"
                own = "give cases that it has not seen, or neither --dataset_dir nor --datalist for its own test cases"
                remedy = own if split is self else "move this variant out of the folder, or train it on the same split"
                raise DataError(fault, remedy)


def _exists(item: Item) -> bool:
    return all(Path(path).exists() for path in paths_of(item, PATH_KEYS))
