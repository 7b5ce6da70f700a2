"""Where the cases of a command come from: the user's folder or datalist, or generated phantoms."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.record import RunRecord
from ..config.start import require_task
from ..errors import ConfigError, DataError, OutputError
from .split_record import DATALIST_NAME

logger = logging.getLogger(__name__)
TRAINING_DATA = "train::dataset::data"
"""Where MONAI's workflows expect the cases of a training, and where MONAI Label puts those of its datastore."""


def cases_of_program(record: RunRecord | None) -> list[Any] | None:
    """The training cases that a program put into the configuration itself; None where it put none."""
    given = None if record is None else record.raw(TRAINING_DATA)
    return given if isinstance(given, list) else None


@dataclass(frozen=True)
class Origin:
    """The data of a command, as its settings name them.

    Args:
        dataset_dir: folder of the cases.
        demo_data: folder of the phantoms, the default of ``dataset_dir``.
        phantoms: writes the phantoms.
        datalist: JSON file instead of ``dataset_dir``.
        layout: of the folder, for messages.
        record: of the command; its options say whether the user named the folder.
    """

    dataset_dir: str
    demo_data: str
    phantoms: Callable[[Path], None]
    datalist: str | None = None
    layout: str = "DIR/<case>/<name>.nii.gz"
    record: RunRecord | None = None

    def __post_init__(self) -> None:
        """No part of a configuration finds data that its command would not use."""
        require_task(self.record)

    @property
    def name(self) -> str:
        """The datalist or folder, for messages."""
        return self.datalist or self.dataset_dir

    @property
    def given(self) -> bool:
        """Whether the user named the data; the folder of the phantoms is the default, but may be named as well."""
        named = self.record is not None and "dataset_dir" in self.record.options
        return self.datalist is not None or named or not self.is_phantoms(self.dataset_dir)

    @property
    def listed(self) -> str | None:
        """The datalist: the one that is given, otherwise that in the folder; None without one."""
        own = Path(self.dataset_dir, DATALIST_NAME)
        return self.datalist or (str(own) if own.is_file() else None)

    def is_phantoms(self, root: str) -> bool:
        """Whether a data folder is that of the phantoms."""
        return Path(root).resolve() == Path(self.demo_data).resolve()

    def announce(self) -> None:
        """Log which data are used; generate phantoms if the user gave no data and no phantoms exist yet."""
        if self.datalist is not None or not self.is_phantoms(self.dataset_dir):
            logger.info(f"data: {self.name}")
            return
        reason = "" if self.given else "no --dataset_dir or --datalist was given, so "
        logger.warning(
            f"data: {reason}GENERATED PHANTOMS are used (no patient, no scanner). "
            f"For your own: --dataset_dir DIR with {self.layout}, or --datalist FILE.json"
        )
        if not Path(self.demo_data).exists():
            logger.info(f"generating phantoms in {self.demo_data}")
            try:
                self.phantoms(Path(self.demo_data))
            except OutputError:
                if not Path(self.demo_data).exists():
                    raise
                logger.info("phantoms: those that another command has put there meanwhile")

    def require_other_than(self, run_dir: str) -> None:
        """Refuse a datalist that the run would replace by the record of its own split.

        Raises:
            ConfigError: naming the file.
        """
        if self.listed is not None and Path(self.listed).resolve() == Path(run_dir, DATALIST_NAME).resolve():
            remedy = "copy it and pass the copy as --datalist, or pass another --output_dir"
            raise ConfigError(f"the datalist {self.listed} is the file that the run would write", remedy)


def require_dir(dataset_dir: str) -> Path:
    """The path of an existing folder.

    Raises:
        DataError: for a folder that does not exist, or holds nothing.
    """
    path = Path(dataset_dir)
    if not path.is_dir():
        raise DataError(f"no folder at {dataset_dir} (from --dataset_dir)", "correct the path, or omit it for phantoms")
    if not any(path.iterdir()):
        raise DataError(f"{dataset_dir} (from --dataset_dir) is an empty folder", "give a folder with cases")
    return path
