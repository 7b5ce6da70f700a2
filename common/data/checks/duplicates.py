"""Check that no image is in two sections or twice in a case, whatever the names of its cases and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...errors import Finding
from ..datalist import POOLS, Item
from ..identity import FileIdentity, paths_of


def copies(lists: Mapping[str, Sequence[Item]], files: Mapping[str, FileIdentity]) -> list[Finding]:
    """Images and labels that two cases share: errors in two of training, validation and test, else warnings, as are
    those of two files of one case.

    Args:
        lists: cases by section; the pools of unpaired training count as training.
        files: identities by path, see :func:`common.data.identity.identify`.
    """
    first: dict[str, tuple[str, Item, str]] = {}
    findings = []
    for section, items in lists.items():
        for item in items:
            for path in paths_of(item):
                other_section, other, other_path = first.setdefault(files[path].sha256, (section, item, path))
                leak = _read_as(section) != _read_as(other_section)
                if path == other_path and not leak:  # a pair may be in both pools
                    continue
                if other is item:
                    fault, of = "the same image twice in the case", f"voxels of {Path(other_path).name}"
                    remedy = "put the right file there"
                    findings.append(Finding(item["case"], Path(path).name, fault, of, remedy, "warning"))
                    continue
                fault = "the same image in two sections, a leak" if leak else "the same image twice"
                places = f"voxels of {other['case']}, {Path(other_path).name}, in {other_section}; here in {section}"
                remedy = "remove one of the two, or put both in one section" if leak else "remove one of the two"
                where = (item["case"], Path(path).name)
                findings.append(Finding(*where, fault, places, remedy, "error" if leak else "warning"))
    return findings


def _read_as(section: str) -> str:
    return "training" if section in POOLS else section
