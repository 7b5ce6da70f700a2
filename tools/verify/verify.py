"""All checks on one bundle, be it a folder or a zip."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from common.errors import DataError
from tools.verify import archives, checks, configs, process
from tools.verify.bundle import Bundle
from tools.verify.networks import all_networks
from tools.verify.verdicts import FAIL, NotApplicableError, Verdict, judge

LIMIT = 600
"""Seconds for each check that runs a bundle's code."""


@dataclass(frozen=True)
class Options:
    """How bundles are verified; the command line explains each option."""

    schema: Path | None = None
    overlay: str | None = None
    limit: int = LIMIT
    static: bool = False
    house: bool = False


@dataclass(frozen=True)
class Outcome:
    """What is known of a bundle after it was verified; ``bound``: whether the contract of this collection counts."""

    bundle: Bundle
    verdicts: list[Verdict]
    kind: str = "not unpacked"
    bound: bool = False
    expressions: dict[str, str] = field(default_factory=dict)

    def counts(self, verdict: Verdict) -> bool:
        """Whether a failure counts."""
        return verdict.check.group != "house" or self.bound

    @property
    def failures(self) -> list[Verdict]:
        """What the bundle failed, of what counts."""
        return [one for one in self.verdicts if one.outcome == FAIL and self.counts(one)]


def verify(path: Path, options: Options) -> Outcome:
    """Judge a bundle's folder or zip; DataError for a path that is neither."""
    os.environ["MONAI_FAIL_ON_DUPLICATE_CONFIG"] = "1"
    path = path.resolve()
    with tempfile.TemporaryDirectory(prefix="verify-") as scratch:
        if path.is_dir():
            return _folder(Bundle(path, options.overlay), options, Path(scratch), [])
        if not path.is_file():
            raise DataError(str(path), "is a bundle's folder or zip", "no such file", "give an existing path")
        found = list(archives.safe.find(path))
        verdict = Verdict(archives.safe, **judge(lambda: found))
        if verdict.faults:
            return Outcome(Bundle(path.with_suffix(""), archive=path), [verdict])
        folder = archives.unpack(path, Path(scratch, "unpacked"))
        return _folder(Bundle(folder, options.overlay, path), options, Path(scratch), [verdict])


def _folder(bundle: Bundle, options: Options, scratch: Path, found: list[Verdict]) -> Outcome:
    if not bundle.configs.is_dir():
        value, remedy = sorted(path.name for path in bundle.folder.glob("*"))[:8], "give a bundle's folder or zip"
        raise DataError(str(bundle.folder), "is a bundle: it has a folder configs", value, remedy)
    found += [Verdict(check, **judge(partial(check.find, bundle))) for check in checks.of_files(options.schema)]
    if not options.static:
        found += _executed(bundle, options, scratch)
    kind = "a release of this collection" if bundle.packed else "of this collection" if bundle.house else "foreign"
    return Outcome(bundle, found, kind, bundle.house or options.house, configs.all_expressions(bundle))


def _executed(bundle: Bundle, options: Options, scratch: Path) -> list[Verdict]:
    try:
        names = [network.name for network in all_networks(bundle)]
    except NotApplicableError:  # without metadata
        names = []
    asked = [(check, "") for check in checks.of("code")]
    asked += [(check, name) for name in names for check in checks.of("network")]
    copied = replace(bundle, folder=bundle.copy(scratch / "copy"))
    found = process.findings(copied, [(check.id, name) for check, name in asked], options.limit, scratch)
    return [Verdict(check, **finding, subject=name) for (check, name), finding in zip(asked, found, strict=True)]
