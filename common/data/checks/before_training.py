"""Data check before training: every case is read, and each finding comes with a remedy."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import mode

import numpy as np
from tqdm import tqdm

from ...case_keys import REGIONS
from ...errors import ConfigError, DataError, Finding, VolumeError, some
from ...io import VolumeReader
from ...io.reader import CHECK_UNIT
from ..datalist import Item
from ..identity import HASHED, remember
from . import volumes
from .channel_ranges import ChannelRange, channel_ranges, in_order, plausible_range
from .clipping import Clipping
from .head_size import HeadSize
from .swapped_labels import Exchanges
from .volumes import CheckedVolume

logger = logging.getLogger(__name__)

Range = Sequence[float]
TRAINED = ("image", "label", "mask")
"""Keys that every training reads; only some read region masks."""
TEST = "test"
"""The section that no training reads."""
OTHERS = ("label", "mask", *REGIONS)
"""Keys whose volumes must be on the grid of the image."""


@dataclass(frozen=True)
class _Expected:
    source_ranges: np.ndarray | None
    target_range: Range | None
    reader: VolumeReader
    exchanges: Exchanges
    clipping: Clipping | None
    head_size: HeadSize | None = None
    keep: bool = False
    images: int | None = None
    masked: Sequence[str] = ()
    target_channels: dict[str, int] = field(default_factory=dict)


def check_cases(
    lists: dict[str, list[Item]],
    reader: VolumeReader | None = None,
    *,
    source_range: Range | Sequence[Range] | None = None,
    target_range: Range | None = None,
    target_unclipped: bool = False,
    head_size: HeadSize | None = None,
    keep: bool = False,
    images: int | None = None,
    masked: Sequence[str] = (),
) -> list[Finding]:
    """Read and check every case; errors of one case do not stop the check.

    Args:
        lists: sections as ``load_datalist`` returns them.
        reader: of the volumes. Its ``channels`` is the number of channels of an image: files, or the fourth dimension
            of one file. With its ``resample``, a volume on another grid than the image is a warning; it remains an
            error if it covers less than half of the image.
        source_range: the intensity window (low, high) of the images, or one window per channel, which also detects
            swapped channels with different windows.
        target_range: the window of the labels in their unit; a window that spans -200 to 200 is taken as HU.
        target_unclipped: whether the training keeps values beyond that window; otherwise what it cuts from the
            foreground is measured.
        head_size: that shipped weights need; a training from the beginning may have other subjects.
        keep: keep volumes of training and validation in ``reader`` for the dataset that reads them next.
        images: how many files of an image the network takes, where the reader has no ``channels``.
        masked: keys of the volumes of which the preprocessing makes a mask; empty where it needs none. A training case
            with neither a mask nor one of these is an error.

    Raises:
        ConfigError: for a window that is not (low, high).
    """
    sources = None if source_range is None else np.atleast_2d(np.asarray(source_range, dtype=float))
    windows = [("source_range", window) for window in (() if sources is None else sources)]
    for name, window in [*windows, *(() if target_range is None else [("target_range", target_range)])]:
        if len(window) != 2 or not window[0] < window[1]:
            raise ConfigError(f"--{name} is {list(window)}, not two numbers, the lower first", "pass [low, high]")
    clipping = None if target_range is None or target_unclipped else Clipping(target_range)
    reader = reader or VolumeReader()
    expected = _Expected(
        sources, target_range, reader, Exchanges(), clipping, head_size, images=reader.channels or images
    )
    items = [(section, item) for section, entries in lists.items() for item in entries]
    bar = tqdm(items, desc="checking", unit="case", disable=None)
    kept = replace(expected, keep=keep, masked=masked)
    findings = [each for section, item in bar for each in _check_case(item, expected if section == TEST else kept)]
    findings += _unlike(expected.target_channels)
    return [*findings, *expected.exchanges.findings(), *(clipping.findings() if clipping else ())]


def _unlike(channels: dict[str, int]) -> Iterator[Finding]:
    """Targets of another number of channels than most, such as a grey picture among those in colour."""
    usual = mode(channels.values()) if channels else 0
    for case, count in channels.items():
        if count != usual:
            fault, remedy = "the target has other channels than most", "save all alike, grey or RGB"
            yield Finding(case, "", fault, f"{count} instead of {usual}", remedy)


def grouped(findings: Sequence[Finding]) -> list[tuple[str, Finding]]:
    """Findings that differ in case and value alone as one, in order of appearance: its text, and its first finding.

    The text names the cases and the first of the values.
    """
    alike: dict[tuple[str, ...], list[Finding]] = {}
    for one in findings:
        alike.setdefault((one.file, one.fault, one.remedy, one.severity), []).append(one)
    return [(_as_one(group), group[0]) for group in alike.values()]


def _as_one(group: Sequence[Finding]) -> str:
    first, *others = group
    if not others:
        return str(first)
    value = first.value + (f" in {first.case}" if len({one.value for one in group}) > 1 else "")
    return str(replace(first, case=f"{len(group)} cases, {some([one.case for one in group])}", value=value))


def require_clean(findings: list[Finding]) -> None:
    """Log the warnings, and raise if there is any error; findings alike of several cases are reported once.

    Raises:
        DataError: listing all errors with case, fault, value and remedy.
    """
    for text, first in grouped(findings):
        if first.severity == "warning":
            logger.warning("%s", text)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        number = f"{len(errors)} errors in {len({finding.case for finding in errors})} cases"
        listed = " | ".join(text for text, _ in grouped(errors))
        raise DataError(f"the data check found {number}; fix or exclude: {listed}")


def _check_case(item: Item, expected: _Expected) -> list[Finding]:
    findings: list[Finding] = []
    if expected.masked and not {"mask", *expected.masked} & item.keys():
        fault, remedy = "there is no mask, and no target to make one of", "add its file of the mask"
        findings.append(Finding(item["case"], "", fault, "", remedy))
    images = _read_images(item, expected, findings)
    others = {key: _read(key, item[key], item, None, expected, findings) for key in OTHERS if key in item}
    if images:
        others = {key: other and volumes.stored_like(other, images[0]) for key, other in others.items()}
    if target := others.get("label"):
        expected.target_channels[item["case"]] = target.values.size // math.prod(target.shape)
    others = {key: other and volumes.first_channel(other) for key, other in others.items()}
    label, mask = others.get("label"), others.get("mask")
    if images:
        for other in (*images[1:], *(volume for volume in others.values() if volume)):
            findings += volumes.same_grid(images[0], other, expected.reader.resample)
        findings += _check_images(images, expected)
    if label and (faults := list(_check_label(label, expected.target_range))):
        findings += faults
    elif label and expected.clipping:
        expected.clipping.add(label, mask)
    if mask:
        findings += volumes.marks_something(mask, [*images, label] if label else images)
    if mask and (lesion := others.get("lesion")):
        findings += volumes.lesion_inside(lesion, mask)
    if images and label and not any(finding.severity == "error" for finding in findings):
        findings += volumes.registered(images[0], label)
        if volumes.on_one_grid(images[0], label):
            expected.exchanges.add(images[0], label)
    return findings


def _read_images(item: Item, expected: _Expected, findings: list[Finding]) -> list[CheckedVolume]:
    """All channels of the image; none if one cannot be read, since they are checked together."""
    if "image" not in item:  # target of an unpaired pool
        return []
    paths = [item["image"]] if isinstance(item["image"], str) else item["image"]
    if len(paths) == 1:
        volume = _read("image", paths[0], item, expected.reader.channels, expected, findings)
        return [volume] if volume else []
    if expected.images not in (None, len(paths)):
        fault = f"the image has {len(paths)} files for {expected.images} channel{'s' * (expected.images != 1)}"
        remedy = "give one file per channel, or train a network of so many (its in_channels)"
        findings.append(Finding(item["case"], "image", fault, "", remedy))
    read = [_read("image", path, item, None, expected, findings) for path in paths]
    return [volume for volume in read if volume] if all(read) else []


def _read(
    key: str, path: str, item: Item, channels: int | None, expected: _Expected, findings: list[Finding]
) -> CheckedVolume | None:
    try:
        volume = volumes.read(path, item["case"], expected.reader, channels, expected.keep and key in TRAINED)
    except VolumeError as error:
        findings.append(error.finding)
        return None
    if key in HASHED:
        remember(path, volume.values, expected.reader.nan_fill)
    findings += volume.warnings
    return volume


def _check_images(images: list[CheckedVolume], expected: _Expected) -> Iterator[Finding]:
    for volume in images:
        yield from volumes.not_constant(volume)
    if expected.source_ranges is not None:
        yield from _check_channels(images, expected.source_ranges)
    if expected.head_size and (sides := expected.head_size.fault(images[0].shape, images[0].affine)):
        yield images[0].where("no head like those of the shipped weights", sides, CHECK_UNIT, "warning")


def _check_channels(images: list[CheckedVolume], windows: np.ndarray) -> Iterator[Finding]:
    """Check each channel against its window, and the order of channels with one window each."""
    channels = channel_ranges(images)
    if len(windows) not in (1, len(channels)):
        fault = f"{len(windows)} source windows for {len(channels)} channels"
        yield images[0].where(fault, "", "give one window, or one per channel")
        return
    windows = np.broadcast_to(windows, (len(channels), 2))
    if swapped := list(in_order(channels, windows)):
        yield from swapped
        return
    for channel, window in zip(channels, windows, strict=True):
        yield from _plausible(channel, window, "--source_window")


def _check_label(label: CheckedVolume, window: Range | None) -> Iterator[Finding]:
    yield from volumes.not_constant(label)
    if window is not None:
        (channel,) = channel_ranges([label])
        yield from _plausible(channel, window, "--target_window")


def _plausible(channel: ChannelRange, window: Sequence[float], option: str) -> Iterator[Finding]:
    """HU have a known scale, which a window from soft tissue to bone indicates; other units give the magnitude only."""
    if volumes.is_of_ct(window):
        yield from list(volumes.plausible_hu(channel.volume, option)) or volumes.no_water_outside(channel.volume)
    else:
        yield from plausible_range(channel, window, option)
