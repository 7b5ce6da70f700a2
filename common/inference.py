"""Batch inference: failed cases do not stop the others; manifest, resume."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.data import Dataset
from monai.engines import SupervisedEvaluator
from monai.engines.utils import IterationEvents
from monai.inferers import Inferer
from torch import Tensor

from common import devices
from common.engines.acceleration import Acceleration
from common.engines.precision import autocast
from common.errors import CasesFailedError, DataError, explain, users_mistake
from common.files import remove_unfinished, write_text
from common.io.export import VolumeExporter
from common.io.export.outputs import MANIFEST_NAME, require_new
from common.io.modality import MODALITY, SOURCE_MODALITY, UNKNOWN, require_modality
from common.io.reader import WARNINGS
from common.running_config import is_reference, require_placed, running_config

if TYPE_CHECKING:
    from common.evaluation.inference_report import InferenceReport

logger = logging.getLogger(__name__)
ERROR_KEY = "failure"
LEAST_CONTRAST = {"source": 0.1, "synthetic volume": 1.0e-4}
"""Between the 0.1th and the 99.9th percentile, in a network's scale: windows are [-1, 1], and z-scores span several."""


class CaseDataset(Dataset):
    """Preprocesses one case at a time; a case that cannot be read becomes an error message instead of an exception.

    Args:
        data: items with ``case`` and ``image``, and ``source_modality`` where a case of another modality is to fail;
            under torchrun each process takes its share.
        transform: preprocessing.
    """

    def __init__(self, data: Sequence[dict[str, Any]], transform: Callable[..., Any] | None = None) -> None:
        super().__init__(devices.deal(data), transform)

    def __getitem__(self, index: int) -> dict[str, Any]:  # type: ignore[override]
        item: dict[str, Any] = {**self.data[index], "case": self.data[index].get("case", str(index))}
        try:
            if self.transform is None:
                return item
            done = dict(self.transform(item))
            if SOURCE_MODALITY in item:
                require_modality(item["case"], item[SOURCE_MODALITY], done["image"].meta.get(MODALITY, UNKNOWN))
            for channel in done["image"]:
                _require_contrast(channel, item["case"], "source", "check its unit, and the windows of the config")
            return done
        except Exception as error:  # any error is a failure of this case only
            return {"case": item["case"], ERROR_KEY: _reason(error)}


class CaseEvaluator(SupervisedEvaluator):
    """MONAI's evaluator that continues after failed cases, writes a manifest and raises at the end if any failed.

    A case is written while the next one is computed and, with a prefetching loader, two more are read; at most these
    four are in memory. ``warnings`` of a case, by its name, are those of its files and of handlers; they are written
    with it.

    Args:
        exporter: writes the volumes; the outputs of all processes are checked before inference.
        precision: ``fp32``, ``bf16`` or ``fp16``, by autocast; outputs are float32.
        acceleration: see :class:`common.engines.acceleration.Acceleration`; only ``channels_last`` and ``compile``
            have an effect.
        resume: skip cases that an earlier run with the same weights has written.
        report: also write ``report.html``, a page with the images, warnings and measures of all cases.
        **evaluator: arguments of ``SupervisedEvaluator``.

    Raises:
        ConfigError: for another ``precision`` or acceleration.
        CasesFailedError: by :meth:`run` after all cases, naming the failed ones; ``manifest.json`` has the reasons.
    """

    def __init__(
        self,
        exporter: VolumeExporter,
        precision: str = "fp32",
        acceleration: Mapping[str, bool | str] | None = None,
        resume: bool = False,
        report: bool = False,
        **evaluator: Any,
    ) -> None:
        require_placed()
        settings = running_config()
        datalist = settings.get("datalist")
        self._lists = [] if datalist is None or is_reference(datalist) else [str(datalist)]
        super().__init__(**evaluator)
        self.exporter = exporter
        self.resume = resume
        self._report = _report_of(exporter, settings) if report else None
        self._items: list[dict[str, Any]] = []
        self.outcomes: dict[str, dict[str, Any]] = {}
        self.warnings: dict[str, list[str]] = {}
        self._writing: tuple[str, Future[Any]] | None = None
        self._writer: ThreadPoolExecutor
        device = self.state.device
        self.inferer = AutocastInferer(self.inferer, device, precision)
        Acceleration.of(acceleration, device).prepare([self.network])
        self.add_event_handler(IterationEvents.FORWARD_COMPLETED, CaseEvaluator._require_an_image)
        self.add_event_handler(IterationEvents.MODEL_COMPLETED, CaseEvaluator._hand_over)

    def run(self, global_epoch: int = 1) -> None:  # type: ignore[override]
        """Infer all cases and write the manifest next to the outputs."""
        loader: Any = self.data_loader
        loader.dataset.data = [item for item in loader.dataset.data if self._is_readable(str(item["case"]))]
        failed = dict(self.outcomes)
        self._items = devices.gather(loader.dataset.data)
        self.exporter.require_free(self._items, self.resume, self._lists)
        if self._report is not None:
            require_new(self._report.path, self.resume or self.exporter.overwrite)
        if self.resume and devices.rank() == 0:
            remove_unfinished(self.exporter.output_dir)
        devices.barrier()  # no process writes before all have found every output free
        self.outcomes = failed | {str(item["case"]): {} for item in loader.dataset.data}  # in their order
        loader.dataset.data = [item for item in loader.dataset.data if not self._is_kept(str(item["case"]))]
        self.state.epoch_length = len(loader.dataset)
        if self.state.epoch_length:  # with fewer cases than processes, some have none
            with ThreadPoolExecutor(1) as self._writer:
                super().run(global_epoch)
                self._settle()
        self._conclude(devices.gather(list(self.outcomes.values())))

    def _is_readable(self, case: str) -> bool:
        """Whether the name of a case is text; a file whose name is not UTF-8 fails alone."""
        try:
            case.encode()
        except UnicodeEncodeError:
            self._fail(ascii(case), explain("the name of the file", "is UTF-8", ascii(case), "rename it"))
            return False
        return True

    def _is_kept(self, case: str) -> bool:
        kept = self.resume and self.exporter.is_done(case)
        if kept:
            self.outcomes[case] = {"case": case, "status": "kept", "file": self.exporter.path(case).name}
        return kept

    def _conclude(self, outcomes: Sequence[Mapping[str, Any]]) -> None:
        """Write the manifest of all processes, and raise if cases failed."""
        if devices.rank() > 0:
            return
        manifest = self.exporter.output_dir / MANIFEST_NAME
        write_text(manifest, json.dumps(outcomes, indent=2))
        counts = Counter(outcome["status"] for outcome in outcomes)
        kept = f", {counts['kept']} kept from an earlier run" if counts["kept"] else ""
        if self._report is not None:
            self._report.write(self._items, outcomes)
        logger.info(f"{counts['done']} of {len(outcomes)} cases written to {manifest.parent}{kept}")
        if failed := [outcome["case"] for outcome in outcomes if outcome["status"] == "failed"]:
            value = f"{len(failed)} failed: {', '.join(failed)}"
            raise CasesFailedError("inference", "every case succeeds", value, f"see {manifest} for the reasons")

    def _iteration(self, engine: SupervisedEvaluator, batchdata: dict[str, Any]) -> Any:
        case = str(batchdata["case"][0])
        self.outcomes[case] = {"case": case, "status": "done", "file": self.exporter.path(case).name}
        output: Any = {}
        try:
            if ERROR_KEY in batchdata:
                self._fail(case, batchdata[ERROR_KEY][0])
            else:
                output = super()._iteration(engine, batchdata)
        except Exception as error:  # one failed case must not stop the batch
            self._fail(case, _reason(error))
        return output

    def _require_an_image(self) -> None:
        """Fail a case that a network which learnt nothing, or was made for other sources, answers by one value."""
        batch, output = self.state.batch, self.state.output
        remedy = "give the weights of a training that has learnt, and a source like those of the training"
        _require_contrast(output["pred"][0], str(batch["case"][0]), "synthetic volume", remedy)

    def _hand_over(self) -> None:
        """Pass the case to the writer thread when that has finished the previous one."""
        (item,), (output,) = self.state.batch, self.state.output
        values = self.exporter.on_host(item, output["pred"])
        case = str(item["case"])
        warnings = [*item["image"].meta.get(WARNINGS, "").splitlines(), *self.warnings.get(case, [])]
        self.outcomes[case] |= {WARNINGS: warnings} if warnings else {}
        item = {**item, WARNINGS: warnings}
        self._settle()
        self._writing = case, self._writer.submit(self.exporter.write, item, values)

    def _settle(self) -> None:
        """Wait for the writer thread, and record its failure."""
        if self._writing is not None:
            case, future = self._writing
            self._writing = None
            if error := future.exception():
                self._fail(case, _reason(error))

    def _fail(self, case: str, reason: str) -> None:
        logger.error(f"{case} failed: {reason}")
        self.outcomes[case] = {"case": case, "status": "failed", "reason": reason}


class AutocastInferer(Inferer):
    """Wraps an inferer in autocast.

    Args:
        inferer: maps (B, C, ...) to (B, C', ...).
        device: of the network.
        precision: ``fp32`` (no autocast), ``bf16`` or ``fp16``.

    Raises:
        ConfigError: for another precision.
    """

    def __init__(self, inferer: Callable[..., Any], device: torch.device, precision: str) -> None:
        super().__init__()
        self.inferer = inferer
        self.autocast = autocast(device, precision)

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
        """Infer under autocast; the result is float32."""
        with self.autocast:
            inferred: Tensor = self.inferer(inputs, network, *args, **kwargs)
        return inferred.float()


def _report_of(exporter: VolumeExporter, settings: Mapping[str, Any]) -> InferenceReport:
    """The page's writer, imported here since it needs libraries that inference does without."""
    from common.evaluation.inference_report import InferenceReport

    return InferenceReport(exporter, settings)


def _require_contrast(values: Tensor, case: str, what: str, remedy: str) -> None:
    """Refuse an image (..., X, Y, Z) of nearly one value.

    Raises:
        DataError: where it has not the least contrast of ``what``.
    """
    some = values.detach()[..., ::2, ::2, ::2].float().cpu().numpy()
    if not np.isfinite(some).all():  # said by others
        return
    low, middle, high = np.percentile(some, (0.1, 50, 99.9))
    if high - low < LEAST_CONTRAST[what]:
        rule = f"varies by {LEAST_CONTRAST[what]:g} or more as the network sees it"
        raise DataError(f"{case}: {what}", rule, f"{middle:.4g} nearly everywhere", remedy)


def _reason(error: BaseException) -> str:
    """The user error in a chain of exceptions, otherwise that memory ended, otherwise the last exception."""
    if (mistake := users_mistake(error)) is not None:
        return str(mistake)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(cause):
            told = " ".join(str(cause).split())[:200] or "no more"
            return explain("memory", "suffices for the volume", told, "lower --inference_batch, or give a --spacing")
        cause = cause.__cause__ or cause.__context__
    return f"{type(error).__name__}: {error}"
