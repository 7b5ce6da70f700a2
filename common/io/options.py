"""Command-line options for the selection of DICOM series."""

from __future__ import annotations

import argparse

from .reader import VolumeReader


def add_reader_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that select a series or acquisition of DICOM folders."""
    group = parser.add_argument_group("DICOM series, where volumes are read")
    group.add_argument("--series", nargs="+", metavar="UID", help="the one to read of a folder with several")
    group.add_argument("--phase", type=int, help="the acquisition to read of a series with several, from 1")
    group.add_argument("--resample_tilt", action="store_true", help="resample tilted or unevenly spaced slices")


def reader_of(options: argparse.Namespace) -> VolumeReader:
    """The reader with the parsed options; options that a command does not have keep their defaults."""
    names = ("nan_fill", "series", "phase", "resample_tilt", "channels", "resample")
    return VolumeReader(**{name: value for name, value in vars(options).items() if name in names})
