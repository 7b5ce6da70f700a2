"""The check before training starts: every case is read and judged, and the report says what to do."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

import common.data.checks.volumes as volumes
from common.data.checks.channel_ranges import ChannelRange, channel_ranges, in_order, plausible_range
from common.data.checks.volumes import HU_MAXIMUM, HU_MINIMUM, Volume
from common.data.datalist import Item
from common.data.layouts.folders import REGIONS
from common.errors import ConfigError, DataError, Finding, VolumeError
from common.io import VolumeReader

logger = logging.getLogger(__name__)

Range = Sequence[float]
TRAINED = ("image", "label", "mask")
"""What every training reads again; region masks are read by some alone."""
TEST = "test"
"""The section whose volumes no training reads."""
OTHERS = ("label", "mask", *REGIONS)
"""The keys of a case that lie on the grid of its image."""


@dataclass(frozen=True)
class _Expected:
    source_ranges: np.ndarray | None
    target_range: Range | None
    min_shape: Sequence[int] | None
    reader: VolumeReader
    keep: bool = False


def check_cases(
    lists: dict[str, list[Item]],
    reader: VolumeReader | None = None,
    *,
    source_range: Range | Sequence[Range] | None = None,
    target_range: Range | None = None,
    min_shape: Sequence[int] | None = None,
    keep: bool = False,
    progress: bool = True,
) -> list[Finding]:
    """Read every case of the lists and report what is wrong; one bad case never stops the check.

    Args:
        lists: as ``load_datalist`` returns them.
        reader: of the volumes. Its ``channels`` are how many an image has: that many files, or one 4-D file. With its
            ``resample``, volumes on another grid than the image are warnings; those that cover less than half of it
            are errors still.
        source_range: the intensity window (low, high) of the images, or one window per channel, which also finds
            channels in the wrong order where their windows differ.
        target_range: the window of the labels, in their unit; one that spans -200 to 200 is taken as HU.
        min_shape: the smallest shape accepted, for axes in RAS order.
        keep: whether volumes of training and validation wait in ``reader`` for the dataset that reads them next.
        progress: whether a bar over the cases is shown.

    Raises:
        ConfigError: a window that is not (low, high), a shape that is not of three axes.
    """
    sources = None if source_range is None else np.atleast_2d(np.asarray(source_range, dtype=float))
    for window in (*(() if sources is None else sources), *(() if target_range is None else (target_range,))):
        if len(window) != 2 or not window[0] < window[1]:
            raise ConfigError("range", "a window is two numbers, low and high", list(window), "correct it")
    if min_shape is not None and len(min_shape) != 3:
        raise ConfigError("min_shape", "a shape is three numbers", list(min_shape), "correct it")
    expected = _Expected(sources, target_range, min_shape, reader or VolumeReader())
    items = [(section, item) for section, entries in lists.items() for item in entries]
    bar = tqdm(items, desc="checking", unit="case", disable=not progress)
    kept = replace(expected, keep=keep)
    return [f for section, item in bar for f in _check_case(item, expected if section == TEST else kept)]


def require_clean(findings: list[Finding]) -> None:
    """Log the warnings, and refuse to go on where there is any error.

    Raises:
        DataError: listing every error with case, rule, value and remedy.
    """
    for finding in findings:
        if finding.severity == "warning":
            logger.warning("%s", finding)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        found = f"{len(errors)} errors in {len({finding.case for finding in errors})} cases"
        listed = " | ".join(str(finding) for finding in errors)
        raise DataError("data check", "every case must pass", found, f"mend or leave out: {listed}")


def _check_case(item: Item, expected: _Expected) -> list[Finding]:
    findings: list[Finding] = []
    images = _read_images(item, expected, findings)
    others = {key: _read(key, item[key], item, None, expected, findings) for key in OTHERS if key in item}
    label, mask = others.get("label"), others.get("mask")
    if images:
        for other in (*images[1:], *(volume for volume in others.values() if volume)):
            findings += volumes.same_grid(images[0], other, expected.reader.resample)
        findings += _check_images(images, expected)
    if label:
        findings += _check_label(label, expected.target_range)
    if mask:
        findings += volumes.marks_something(mask)
    if mask and (lesion := others.get("lesion")):
        findings += volumes.lesion_inside(lesion, mask)
    if images and label and not any(finding.severity == "error" for finding in findings):
        findings += volumes.registered(images[0], label)
    return findings


def _read_images(item: Item, expected: _Expected, findings: list[Finding]) -> list[Volume]:
    """All channels of the image; none where one cannot be read, since they are judged together."""
    if "image" not in item:  # a target of an unpaired pool
        return []
    paths = [item["image"]] if isinstance(item["image"], str) else item["image"]
    if len(paths) == 1:
        volume = _read("image", paths[0], item, expected.reader.channels, expected, findings)
        return [volume] if volume else []
    if expected.reader.channels not in (None, len(paths)):
        rule, found = f"an image has {expected.reader.channels} channels", f"{len(paths)} files"
        findings.append(Finding(item["case"], "image", rule, found, "list one file per channel"))
    read = [_read("image", path, item, None, expected, findings) for path in paths]
    return [volume for volume in read if volume] if all(read) else []


def _read(
    key: str, path: str, item: Item, channels: int | None, expected: _Expected, findings: list[Finding]
) -> Volume | None:
    try:
        volume = volumes.read(path, item["case"], expected.reader, channels, expected.keep and key in TRAINED)
    except VolumeError as error:
        findings.append(error.finding)
        return None
    findings += volume.warnings
    return volume


def _check_images(images: list[Volume], expected: _Expected) -> Iterator[Finding]:
    for volume in images:
        yield from volumes.not_constant(volume)
    if expected.source_ranges is not None:
        yield from _check_channels(images, expected.source_ranges)
    if expected.min_shape is not None:
        yield from volumes.large_enough(images[0], expected.min_shape)


def _check_channels(images: list[Volume], windows: np.ndarray) -> Iterator[Finding]:
    """Each channel against its window, and where there is one per channel, their order."""
    channels = channel_ranges(images)
    if len(windows) not in (1, len(channels)):
        rule, found = "there is one source window, or one per channel", f"{len(windows)} for {len(channels)} channels"
        yield images[0].where(rule, found, "correct the windows")
        return
    windows = np.broadcast_to(windows, (len(channels), 2))
    if swapped := list(in_order(channels, windows)):
        yield from swapped
        return
    for channel, window in zip(channels, windows, strict=True):
        yield from _plausible(channel, window)


def _check_label(label: Volume, window: Range | None) -> Iterator[Finding]:
    yield from volumes.not_constant(label)
    if window is not None:
        (channel,) = channel_ranges([label])
        yield from _plausible(channel, window)


def _plausible(channel: ChannelRange, window: Sequence[float]) -> Iterator[Finding]:
    """A window across water and bone is one of HU, which have a known scale; others give the magnitude alone."""
    if window[0] <= HU_MINIMUM and window[1] >= HU_MAXIMUM:
        yield from volumes.plausible_hu(channel.volume)
    else:
        yield from plausible_range(channel, window)
