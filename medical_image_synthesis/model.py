"""A bundle with its weights, loaded once, as a function of a scan."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import ConfigError, DataError, OutputError, UserError
from medical_image_synthesis.catalogue import Bundle, bundle_named, require_weights
from medical_image_synthesis.options import config_files
from medical_image_synthesis.places import require_source
from medical_image_synthesis.quiet import TURN, quiet, without_traces
from medical_image_synthesis.result import SyntheticVolume
from medical_image_synthesis.volumes import in_memory_image

if TYPE_CHECKING:
    from monai.bundle import ConfigParser

    from common.inference import CaseEvaluator

Progress = Callable[[str, float | None], None]
"""Takes a stage in words, and the share of it that is done, from 0 to 1; None where that is not known."""
OF_FILES = (
    "datalist",
    "dataset_dir",
    "overwrite",
    "predictions_dir",
    "report",
    "resume",
    "show_config",
)
"""Settings of an inference that writes files, which a model does not."""
IN_MEMORY = "volume"
"""Name of a case that has no file."""


class SynthesisModel:
    """A bundle with its weights, loaded and verified once; :func:`load` makes it.

    It may be used by several threads, which take turns, and in the process that has loaded it.

    Attributes:
        bundle: its name, folder and metadata.
        sources: names of the volumes that a case has, in the order of the network's channels.
    """

    def __init__(self, bundle: Bundle, parser: ConfigParser) -> None:
        self.bundle = bundle
        self._parser = parser
        self._process = os.getpid()
        self._is_at_work = False
        parser["data"] = {**parser["data"], "_mode_": "callable"}
        parser["dataset"] = {**parser["dataset"], "data": []}
        with self._using():
            self._cases: Callable[..., list[dict[str, Any]]] = parser.get_parsed_content("data")
            self._evaluator: CaseEvaluator = parser.get_parsed_content("evaluator")
            for loader in parser.get_parsed_content("handlers"):
                if type(loader).__name__ == "WeightsLoader":
                    loader(self._evaluator)
            self._evaluator.read_calibration()
        self.sources = tuple(str(self._cases.keywords["source"]).split(","))  # type: ignore[attr-defined]

    @property
    def weights(self) -> Path:
        """The file of the weights."""
        return self._evaluator.exporter.weights

    @property
    def unit(self) -> str:
        """Of the volumes that it makes, such as ``HU``."""
        return self._evaluator.exporter.unit

    @property
    def _device(self) -> Any:
        return self._parser.get_parsed_content("device")

    def __repr__(self) -> str:
        """Bundle, task and weights."""
        return f"<{self.bundle.short}: {self.bundle.metadata['task']}; weights {self.weights}, on {self._device}>"

    def __call__(self, source: Any, *, progress: Progress | None = None) -> SyntheticVolume:
        """Synthesise from one case; nothing is written, and nothing printed.

        Args:
            source: a file (NIfTI, NRRD, MetaImage), a folder with a DICOM series, an image of nibabel or SimpleITK, a
                MetaTensor, or (array, affine) with an array (X, Y, Z) and an affine (4, 4) to RAS mm; for several
                :attr:`sources` a list of those in their order, or a dict by their names.
            progress: called with what is done.

        Raises:
            Refused: by the verdict on the case, or since it does not suit the weights; a model that was loaded with
                ``refuse=False`` synthesises nevertheless.
            UserError: the case cannot be read or inferred.

        Example::

            import medical_image_synthesis as mis

            mr2ct = mis.load("mr2ct")
            ct = mr2ct("T1.nii.gz")
            assert ct.unit == "HU" and ct.array.shape == ct.to_nibabel().shape
        """
        with without_traces(), ExitStack() as stack:
            made = self.infer(self._item(source, stack), progress)
            weakref.finalize(made, stack.pop_all().close)  # its grid is copied from the source when it is written
            return made

    def infer(self, item: dict[str, Any], progress: Progress | None = None) -> SyntheticVolume:
        """Synthesise from a case of :meth:`cases`; messages of both name settings as the command has them."""
        from common.progress import heard_by, tell

        listening = _Listening(progress)
        with self._using(), heard_by(listening):
            self._seed()
            try:
                tell("reading")
                kept = self._evaluator.infer(item)
            except UserError:
                if listening.error is None:
                    raise
            if listening.error is not None:
                raise listening.error
            exporter = self._evaluator.exporter.of_case(str(item["case"]))
        return SyntheticVolume(self.bundle.short, exporter, kept)

    def cases(self, folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
        """The cases of a folder or file, as the command finds them: each with its name ``case`` and ``image``.

        Raises:
            DataError: there is none.
        """
        path = self._path(folder)
        with self._using():
            return self._cases(dataset_dir=path, datalist=None, run_dir=None)

    def _item(self, source: Any, stack: ExitStack) -> dict[str, Any]:
        """The case of a source; what is in memory is read from a file, with the checks of any other."""
        several = self._several(source)
        if several is None and isinstance(source, str | os.PathLike):
            items = self.cases(source)
            if len(items) > 1:
                raise DataError(f"{source} holds {len(items)} cases", "pass it to batch, which gives them one by one")
            return items[0]
        parts = [source] if several is None else several
        if len(parts) != len(self.sources):
            fault = f"{len(parts)} volumes were given for the sources {', '.join(self.sources)}"
            raise DataError(fault, "give a list in this order, or a dict by these names")
        paths: list[str] = []
        for name, part in zip(self.sources, parts, strict=True):
            image = in_memory_image(part, name)
            if image is None:
                paths.append(self._path(part))
            else:
                import nibabel as nib

                try:
                    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="synthesis-"))
                    paths.append(str(Path(folder, f"{name}.nii")))
                    nib.save(image, paths[-1])
                except OSError as error:
                    fault = f"{name}: cannot write a temporary file ({error.strerror or error})"
                    raise OutputError(fault, "start Python with TMPDIR set to a folder with room") from error
        return self._listed(paths)

    def _path(self, given: str | os.PathLike[str]) -> str:
        """That of a file or folder, which is there."""
        if not os.fspath(given):
            raise DataError("the path is empty", "name a file or folder")
        require_source(Path(given), self.bundle.formats)
        return str(Path(given))

    def _listed(self, paths: Sequence[str]) -> dict[str, Any]:
        """The case of some files."""
        from common.io.modality import SOURCE_MODALITY

        known = self._cases.keywords  # type: ignore[attr-defined]
        wanted = None if known.get("accept_modality") else known.get("source_modality")
        item = {"case": IN_MEMORY, "image": paths[0] if len(paths) == 1 else list(paths)}
        return item if wanted is None else {**item, SOURCE_MODALITY: wanted}

    def _several(self, source: Any) -> list[Any] | None:
        """The volumes of a list or dict, in the order of the channels; None for one volume."""
        if isinstance(source, Mapping):
            if sorted(source) != sorted(self.sources):
                raise DataError(f"sources {', '.join(map(str, source))}", f"name them {', '.join(self.sources)}")
            return [source[name] for name in self.sources]
        return list(source) if isinstance(source, list) else None

    @contextmanager
    def _using(self) -> Iterator[None]:
        """One thread at a time, quietly."""
        if self._process != os.getpid():  # threads of PyTorch do not survive a fork, and it would wait for them
            remedy = "start processes by spawn, and load it in each"
            raise ConfigError(f"{self.bundle.short} was loaded by the process that this one was forked from", remedy)
        with TURN:
            if self._is_at_work:
                remedy = "call it when the volume is there"
                raise ConfigError(f"{self.bundle.short} was called by the progress that it tells", remedy)
            self._is_at_work = True
            try:
                with quiet(self._device):
                    yield
            finally:
                self._is_at_work = False

    def _seed(self) -> None:
        """Let a network that draws draw the same for each volume; :func:`quiet` gives the random numbers back."""
        import torch

        seed = int(self._parser.get_parsed_content("seed"))
        if torch.device(self._device).type == "cpu":
            torch.default_generator.manual_seed(seed)  # those of accelerators are left alone
        else:
            torch.manual_seed(seed)


class _Listening:
    """Calls a function with the progress, and keeps what that raises, which is no fault of the case."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.error: Exception | None = None

    def __call__(self, stage: str, share: float | None) -> None:
        if self.progress is None:
            return
        try:
            self.progress(stage, share)
        except Exception as error:
            self.error = error
            raise


def load(
    bundle: Any,
    *,
    weights: str | os.PathLike[str] | None = None,
    device: str | None = None,
    overlay: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    uncertainty: bool = False,
    **settings: Any,
) -> SynthesisModel:
    """Load a bundle with its weights, which are verified.

    Args:
        bundle: its name, such as ``mr2ct``, its folder, or what :func:`medical_image_synthesis.training.train` gave.
        weights: a file; by default those that it ships, or of a run those that it trained.
        device: such as ``cpu`` or ``cuda:0``; by default the accelerator that PyTorch finds, else the CPU.
        overlay: names of configs of the bundle, or files, that change settings.
        uncertainty: also compute intervals of voxels, for weights with a calibration.
        **settings: any of the bundle's ``inference.yaml``, such as ``refuse=False`` or ``precision="bf16"``; with
            ``__`` for ``::``, as in ``output__suffix="ct"``.

    Raises:
        ConfigError: no bundle has the name, or a setting is unknown or has a value that it cannot have.
        CheckpointError: there are no such weights, they are damaged, of another network, or without the calibration
            that ``uncertainty`` needs.

    Example::

        import medical_image_synthesis as mis

        mr2ct = mis.load("mr2ct", device="cpu", uncertainty=True)
        assert mr2ct.unit == "HU"
    """
    from medical_image_synthesis.training import Run

    if isinstance(bundle, Run):
        bundle, weights = bundle.bundle, weights or bundle.weights
    if not isinstance(bundle, Bundle):
        if not isinstance(bundle, str | os.PathLike):
            raise ConfigError(f"{bundle!r} is no bundle", "pass its name, such as mr2ct, or its folder")
        with without_traces():
            bundle = bundle_named(os.fspath(bundle))
    given = {name.replace("__", "::"): _plain(value) for name, value in settings.items()}
    if weights is not None:
        given["weights"] = os.fspath(weights)
    if device is not None:
        given["device"] = device
    if uncertainty:
        given["uncertainty"] = True
    overlays = [overlay] if isinstance(overlay, str | os.PathLike) else list(overlay)
    with without_traces():
        return model_of(bundle, [Path(each) for each in overlays], given)


def model_of(bundle: Bundle, overlays: Sequence[Path], options: Mapping[str, Any]) -> SynthesisModel:
    """The model of a bundle with overlays and settings by their id; see :func:`load`.

    Messages name settings as the command has them.
    """
    if not bundle.reads_volumes:
        raise ConfigError(
            f"{bundle.name} draws samples, and translates no scan", f"use synthesize {bundle.short} -o OUT"
        )
    if idle := next((name for name in OF_FILES if name in options), None):
        fault = f"--{idle} is for a run that writes files, and changes nothing in a model"
        raise ConfigError(fault, f"omit it, or use synthesize {bundle.short}")
    with TURN, warnings.catch_warnings():  # which libraries filter when they are imported
        require_weights(bundle, options)
        files = config_files(bundle, ["inference"], overlays)
        bundle.join_path()
        _let_loggers_be_silent()
        from medical_image_synthesis.configured import run_files, started

        return SynthesisModel(bundle, started(run_files(files, options), "inference"))


def batch(
    model: SynthesisModel, folder: str | os.PathLike[str], *, progress: Progress | None = None
) -> Iterator[tuple[str, SyntheticVolume | UserError]]:
    """Synthesise from each case of a folder; a case that fails or is refused gives its error, and the next one follows.

    Args:
        model: of :func:`load`.
        folder: of volumes, of DICOM series, of cases, or of studies, as the command takes it.
        progress: called with what is done.

    Yields:
        The name of a case, and its volume, or the error of a user: :class:`common.errors.Refused` for one without a
        volume by its verdict.

    Raises:
        DataError: the folder holds no case.

    Example::

        import medical_image_synthesis as mis

        for name, case in mis.batch(mis.load("mr2ct"), "SCANS"):
            print(name, case if isinstance(case, mis.UserError) else case.verdict)
    """
    if not isinstance(model, SynthesisModel):
        raise ConfigError(f"{model!r} is no model", "pass what load gives")
    with without_traces():
        items = model.cases(folder)
    for item in items:
        try:
            with without_traces():
                made: SyntheticVolume | UserError = model.infer(item, progress)
        except UserError as error:
            made = error.with_traceback(None)
        yield str(item["case"]), made


def _plain(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _let_loggers_be_silent() -> None:
    """Without a handler of the program's, warnings of a library would be printed."""
    for name in ("common", __package__):
        logger = logging.getLogger(name)
        if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            logger.addHandler(logging.NullHandler())
