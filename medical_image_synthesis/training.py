"""Training and evaluation of a bundle from Python, each in a process of its own, as the command has it."""

from __future__ import annotations

import json
import os
import re
import signal
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from common import errors
from common.errors import TrainingError, UserError
from medical_image_synthesis.catalogue import Bundle, bundle_named
from medical_image_synthesis.options import config_files, overlay_path
from medical_image_synthesis.process import KIND, started_bundle
from medical_image_synthesis.quiet import in_python
from medical_image_synthesis.runs import FILES, RUN_IDS

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[str, float | None], None]
EPOCH = re.compile(r"epoch (\d+)/(\d+)")
"""In a line about an epoch that is done."""
LAST_LINES = 20
"""How many lines of a run are kept for the message of a failure."""


class Run(NamedTuple):
    """A training that is done; :func:`medical_image_synthesis.load` takes it.

    Attributes:
        bundle: that was trained.
        folder: of the run, with ``models``, ``log.csv`` and ``run.json``; that of a variant lies in ``output_dir``.
        overlay: configs of the bundle, or files, that changed its settings.
        settings: those that were given and that these overlays have too, which an evaluation needs again.
    """

    bundle: Bundle
    folder: Path
    overlay: tuple[str, ...] = ()
    settings: Mapping[str, Any] = MappingProxyType({})

    @property
    def weights(self) -> Path:
        """Those that it trained."""
        return self.folder / "models" / "model.pt"

    @property
    def log(self) -> pd.DataFrame:
        """A row for each epoch: losses, learning rate, and validation metrics (``val_...``)."""
        import pandas as pd

        return pd.read_csv(self.folder / "log.csv")

    def evaluate(self, *, progress: Progress | None = None, **settings: Any) -> pd.DataFrame:
        """Score the trained network and the baselines on the test cases.

        The report and all tables are in ``evaluation`` in the folder.

        Args:
            progress: called with each line that the run says.
            **settings: of the bundle's ``evaluate.yaml`` and ``train.yaml``, such as ``datalist``.

        Returns:
            A row for each case and method, with a column for each metric.

        Raises:
            UserError: as the command would say it.
        """
        import pandas as pd

        given = {**self.settings, "output_dir": self.folder, "variant": "", **settings}  # whose folder this is already
        _run(self.bundle, "evaluate", self.overlay, given, progress)
        return pd.read_csv(self.folder / "evaluation" / "metrics.csv")


def train(
    bundle: str | os.PathLike[str],
    *,
    output_dir: str | os.PathLike[str],
    overlay: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    progress: Progress | None = None,
    **settings: Any,
) -> Run:
    """Train a bundle, or go on with ``resume=True``; an interrupt saves the training and ends it.

    Args:
        bundle: its name, such as ``mr2ct``, or its folder.
        output_dir: receives the run.
        overlay: names of configs of the bundle, or files, that change settings.
        progress: called with each line that the training says, and the share of the epochs that is done.
        **settings: of the bundle's ``train.yaml``, such as ``dataset_dir``, ``datalist``, ``max_epochs``,
            ``pretrained``, ``resume`` or ``device``; with ``__`` for ``::``.

    Raises:
        UserError: before the first epoch for data or settings that cannot be used, and as the command would say it.

    Example::

        import medical_image_synthesis as mis

        run = mis.train("mr2ct", dataset_dir="DATA", output_dir="OUT", overlay="demo", max_epochs=1)
        print(run.evaluate(), run.log)
        mr2ct = mis.load(run)
    """
    several = [overlay] if isinstance(overlay, str | os.PathLike) else overlay
    overlays = [os.fspath(each) for each in several]
    root, found = Path(output_dir).absolute(), bundle_named(os.fspath(bundle))
    given = {"output_dir": root, **settings}
    _run(found, "train", overlays, given, progress)
    of_overlays = _content([str(overlay_path(found, Path(each))) for each in overlays])
    again = {
        name: value for name, value in settings.items() if name.replace("__", "::") in of_overlays.keys() - {"fold"}
    }
    return Run(found, _folder(found, overlays, given), tuple(overlays), again)


def _folder(bundle: Bundle, overlays: Sequence[str], settings: Mapping[str, Any]) -> Path:
    """Where a training with these settings writes, as its configs say."""
    with warnings.catch_warnings():  # which libraries filter when they are imported
        from medical_image_synthesis.configured import from_texts, run_files

        files = config_files(bundle, FILES["train"], [Path(each) for each in overlays])
        return Path(run_files(files, from_texts(_options(settings))).parser.get_parsed_content("run_dir"))


def _content(files: Sequence[str]) -> dict[str, Any]:
    """Settings of config files, those of later ones."""
    import yaml

    return {name: value for file in files for name, value in yaml.safe_load(Path(file).read_text("utf-8")).items()}


def _run(
    bundle: Bundle, name: str, overlays: Sequence[str], settings: Mapping[str, Any], progress: Progress | None
) -> None:
    """Run a bundle, and hear what it says.

    Raises:
        UserError: its last line.
    """
    options = _options(settings)
    files = config_files(bundle, FILES[name], [Path(each) for each in overlays])
    said: deque[str] = deque(maxlen=LAST_LINES)
    with started_bundle(bundle, RUN_IDS[name], files, options) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line := line.strip():
                    said.append(line)
                    if progress is not None and not line.startswith(KIND):
                        progress(line, _share(line))
        except BaseException:
            process.send_signal(signal.SIGINT)  # a training saves itself
            process.communicate()
            raise
    if process.returncode:
        raise _failure(said, process.returncode)


def _share(line: str) -> float | None:
    found = EPOCH.match(line)
    return None if found is None else int(found[1]) / int(found[2])


def _failure(said: Sequence[str], code: int) -> UserError:
    fault, kind = (_after(label, said) for label in (UserError.label, KIND))
    if fault:
        known: type[UserError] = getattr(errors, kind, TrainingError)
        return known(in_python(fault))
    ended = f"signal {-code}" if code < 0 else f"exit code {code}"
    return TrainingError(f"the run ended unexpectedly ({ended}), after: {said[-1] if said else 'nothing'}")


def _after(label: str, said: Sequence[str]) -> str:
    """The rest of the last line that begins with a label; empty where none does."""
    return next((line.removeprefix(label) for line in reversed(said) if line.startswith(label)), "")


def _options(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings by their id, as the command line has them."""
    return {key.replace("__", "::"): _as_text(value) for key, value in settings.items()}


def _as_text(value: Any) -> str:
    """A setting as the command line has it."""
    if isinstance(value, str | os.PathLike):
        return os.fspath(value)
    return json.dumps(value, default=os.fspath)
