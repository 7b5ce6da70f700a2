"""Batch inference: failed cases do not stop the others; manifest, resume."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import TYPE_CHECKING, Any

from ignite.engine import Events
from monai.engines import SupervisedEvaluator
from monai.engines.utils import IterationEvents
from torch import Tensor

from .. import devices
from ..config.record import RunRecord, config_of
from ..data.checks.head_size import HeadSize
from ..errors import Refused, UnsuitedError
from ..files import remove_unfinished
from ..io.dicom.reading.headers import MISSING_SLICES
from ..io.export import VolumeExporter
from ..io.export.outputs import require_new
from ..io.export.verdicts import QUALITY
from ..io.export.volume import volume_of
from ..io.reader import WARNINGS
from ..path_names import is_reference
from ..runs.acceleration import Acceleration
from ..runs.durations import spoken
from ..stitching.memory import trim_memory
from ..transforms.body import OUTSIDE
from ..trust.case_verdicts import CaseVerdicts, NetworkInput
from ..trust.input_check import CASE_LOADED
from .autocast import AutocastInferer
from .dataset import ERROR_KEY, CaseDataset, emptied, reason_of, require_contrast
from .memory import MemoryPlan
from .outcomes import CaseOutcomes, KeptCase, require_volumes
from .restoring import Restoring

if TYPE_CHECKING:
    from ..evaluation.inference_report import InferenceReport
    from ..trust.maps import UncertaintyMaps

logger = logging.getLogger(__name__)
MAP_VOLUMES = 5
"""Volumes in memory while a map is computed: source, prediction, squares, a variation and its difference."""


class CaseEvaluator(CaseOutcomes, SupervisedEvaluator):
    """MONAI's evaluator that continues after failed cases, writes a manifest and raises at the end if any failed.

    A case is written while the next one is computed and, with a prefetching loader, two more are read; at most these
    four are in memory, and fewer where they would exceed the ``max_memory_gb`` of a :class:`CaseDataset`; see
    :class:`common.inference.memory.MemoryPlan`.
    ``warnings`` of a case, by its name, are those of its files and of handlers; they are written with it.

    Args:
        exporter: writes the volumes; the outputs of all processes are checked before inference.
        precision: ``fp32``, ``bf16`` or ``fp16``, by autocast; outputs are float32.
        acceleration: see :class:`common.runs.acceleration.Acceleration`, of which only ``channels_last`` and
            ``compile`` have an effect.
        resume: skip cases that an earlier run has written with the same weights, settings and source, and that are as
            it left them; the others are computed again, with the reason in the log.
        postprocessing: of an item with the network's output ``pred`` and input ``image`` (C, X, Y, Z); None: nothing.
        uncertainty: also write a map of half-widths of each volume; see :mod:`common.trust.intervals`.
        refuse: write no volume of a case with the verdict ``refuse``, see :mod:`common.trust.verdict`, but its JSON.
            None is written as DICOM anyway. Weights without a calibration give no verdicts. Handlers see it as
            ``refuses``.
        report: also write ``report.html``, a page with the images, warnings and measures of all cases.
        record: of the command, whose settings outputs and report record.
        **evaluator: arguments of ``SupervisedEvaluator``.

    Raises:
        ConfigError: for another ``precision`` or acceleration, or an inference that the weights' calibration of
            ``uncertainty`` is not for.
        CheckpointError: by :meth:`run`, for weights without the calibration that is asked for.
        CasesFailedError: by :meth:`run` after all cases, naming the failed and refused ones with their reasons, which
            ``manifest.json`` has too.
    """

    def __init__(
        self,
        exporter: VolumeExporter,
        precision: str = "fp32",
        acceleration: Mapping[str, bool | str] | None = None,
        resume: bool = False,
        report: bool = False,
        uncertainty: bool = False,
        refuse: bool = True,
        postprocessing: Callable[[dict[str, Any]], Any] | None = None,
        record: RunRecord | None = None,
        **evaluator: Any,
    ) -> None:
        datalist = (settings := config_of(record)).get("datalist")
        self._lists = [] if datalist is None or is_reference(datalist) else [str(datalist)]
        super().__init__(event_names=[CASE_LOADED], **evaluator)
        self.exporter = exporter
        exporter.provenance.note_settings(settings)
        self.resume = resume
        self._report: InferenceReport | None = None
        if report:
            from ..evaluation.inference_report import InferenceReport  # whose libraries inference does without

            self._report = InferenceReport(exporter, settings)
        self._with_maps = uncertainty
        self._maps: UncertaintyMaps | None = None
        self.refuses = refuse or exporter.is_dicom
        self._verdicts: CaseVerdicts | None = None
        self._items: list[dict[str, Any]] = []
        self.outcomes: dict[str, dict[str, Any]] = {}
        self.warnings: dict[str, list[str]] = {}
        self._restoring = Restoring(postprocessing)
        self._memory: MemoryPlan | None = None
        self._writing: tuple[str, Future[Any]] | None = None
        self._keep: Callable[..., Any] | None = None
        self._fault: Exception | None = None
        self._has_read_calibration = False
        self._writer: ThreadPoolExecutor
        self._began = 0.0
        device = self.state.device
        self.inferer = AutocastInferer(self.inferer, device, precision)
        Acceleration.of(acceleration, device).prepare([self.network])
        self.add_event_handler(IterationEvents.FORWARD_COMPLETED, CaseEvaluator._require_an_image)
        self.add_event_handler(Events.STARTED, CaseEvaluator._plan_memory)  # after the weights are loaded

    def run(self, global_epoch: int = 1) -> None:  # type: ignore[override]
        """Infer all cases and write the manifest next to the outputs."""
        loader: Any = self.data_loader
        loader.dataset.data = [item for item in loader.dataset.data if self._is_readable(str(item["case"]))]
        failed = dict(self.outcomes)
        self._items = devices.gather(loader.dataset.data)
        self.read_calibration()
        self.exporter.require_free(self._items, self.resume, self._lists)
        self.exporter.reader.require_series([item["image"] for item in self._items])
        if self._report is not None:
            require_new(self._report.path, self.resume or self.exporter.overwrite)
        if self.resume and devices.rank() == 0:
            remove_unfinished(self.exporter.output_dir)
        devices.barrier()  # no process writes before all have found every output free
        self.outcomes = failed | {str(item["case"]): {} for item in loader.dataset.data}  # in their order
        loader.dataset.data = [item for item in loader.dataset.data if not self._is_kept(str(item["case"]))]
        self.state.epoch_length = len(loader.dataset)
        if self.state.epoch_length:  # with fewer cases than processes, some have none
            self._infer_all(global_epoch)
        self._conclude(devices.gather(list(self.outcomes.values())))

    def infer(self, item: dict[str, Any]) -> KeptCase:
        """Infer one case, and keep it in memory: nothing is written.

        Args:
            item: with ``case`` and ``image``, as of :func:`common.data.sources.inference_cases`.

        Raises:
            Refused: by its verdict, or since it does not suit the weights.
            CasesFailedError: it cannot be read or inferred.
        """
        loader: Any = self.data_loader
        case, kept = str(item["case"]), []
        loader.dataset.data = self._items = [item]
        self.outcomes, self.warnings, self._fault, self._writing = {case: {}}, {}, None, None
        self._internal_run_generator = self._dataloader_iter = None  # Ignite would go on with an interrupted run
        self.exporter.note_inputs(self._items)
        self.exporter.reader.require_series([item["image"]])
        if not self._has_read_calibration:
            self.read_calibration()
        self.state.epoch_length = 1
        self._keep = lambda *volumes: kept.append(KeptCase(*volumes))
        try:
            self._infer_all()
        finally:
            self._keep, loader.dataset.data, self._items = None, [], []
        if isinstance(self._fault, UnsuitedError):
            raise Refused(str(self._fault), self._fault.reasons) from self._fault
        try:
            require_volumes(list(self.outcomes.values()), self.exporter.output_dir)
        except Refused as error:
            item, nothing, _ = kept[0]
            error.record = self.exporter.about(item, volume_of(item, nothing), {}, {})
            raise
        return kept[0]

    def read_calibration(self) -> None:
        """Read what verdicts and maps need; the weights are loaded.

        Raises:
            CheckpointError: maps are asked for, and the weights have no calibration.
        """
        self._verdicts = CaseVerdicts.of(self.exporter.weights)
        if self._with_maps:
            from ..trust.maps import UncertaintyMaps  # as the report, for those who ask for it

            self._maps = UncertaintyMaps(self.exporter.weights, self.exporter.unit)
            self._maps.require_same_inference(self.inferer, self.network)
            self.exporter.add_maps(self._maps.metadata(), self._maps.record.hold)
        self._has_read_calibration = True

    def _infer_all(self, global_epoch: int = 1) -> None:
        """Infer the cases of the loader, each written while the next one is computed."""
        self._began = monotonic()
        with ThreadPoolExecutor(1) as self._writer:
            try:
                super().run(global_epoch)
                self._settle()
            finally:
                if self._memory is not None:
                    self._memory.close()
                    self.inferer.inferer = self._memory.inferer

    def _iteration(self, engine: SupervisedEvaluator, batchdata: dict[str, Any]) -> Any:
        case = str(batchdata["case"][0])
        self.outcomes[case] = self.exporter.entry(case, "done")
        try:
            if ERROR_KEY in batchdata:
                self._fail(case, batchdata[ERROR_KEY][0])
            else:
                self._infer(case, batchdata)
        except Exception as error:  # one failed case must not stop the batch
            self._fault = error
            self._fail(case, reason_of(error))
        finally:
            batchdata.clear()  # loaders keep the last batch until they give the next
            self.state.batch = self.state.output = None
        done, cases = self.state.iteration, int(self.state.epoch_length or 0)
        if done < cases:
            minutes = (monotonic() - self._began) / done * (cases - done) / 60
            logger.info(f"{done} of {cases} cases, {spoken(minutes)} left")
        return {}

    def _infer(self, case: str, batchdata: dict[str, Any]) -> None:
        """Compute a case and hand it over to the writer."""
        if self._memory is not None:
            self.inferer.inferer = self._memory.inferer_of(case)
        self.fire_event(CASE_LOADED)
        needed_by_map = self._maps is not None and self._maps.needs_source
        is_needed = needed_by_map or self._restoring.needs_source
        outline = {} if is_needed else self._restoring.outline(batchdata["image"][0])
        trim_memory()  # what reading, and then the network, took in small parts
        super()._iteration(self, batchdata)
        (item,), (output,) = self.state.batch, self.state.output
        image = item["image"]
        source = None if self._verdicts is None else NetworkInput.of(image)
        batchdata.clear()
        self.state.batch = self.state.output = None
        output = {"pred": output["pred"]}
        trim_memory()
        loaded = {**item, **outline}
        item["image"] = emptied(image)
        if not is_needed:
            loaded["image"] = image = item["image"]

        def restored(output: dict[str, Tensor]) -> dict[str, Any]:
            return self._restoring.done({**loaded, "pred": output.pop("pred")}) | {"image": item["image"]}

        done = restored(output)
        values = self.exporter.on_host(done, done["pred"])
        if self._verdicts is not None and source is not None:
            of_file = item["image"].meta.get(WARNINGS, "").splitlines()
            warnings = [each for each in of_file if each.startswith(MISSING_SLICES)] + self.warnings.get(case, [])
            verdict = self._verdicts(source, values, done.get(OUTSIDE), warnings)
            done[QUALITY] = self.outcomes[case][QUALITY] = verdict
            values = None if self._refuse(case, verdict) else values
        self._tell(case, done.get(QUALITY))
        widths = None
        if self._maps is not None and values is not None:
            before = self.exporter.on_host(item, restored({"pred": image})["pred"]) if needed_by_map else None
            widths = self._maps.half_widths(values, self.network, before)
            del before
        loaded.clear()  # not kept while the case before is still written
        del image
        self._hand_over(done, values, widths)

    def _plan_memory(self) -> None:
        """Let each case be estimated before it is read."""
        dataset = getattr(self.data_loader, "dataset", None)
        if not isinstance(dataset, CaseDataset):
            return
        self._memory = MemoryPlan(
            dataset.max_memory_gb,
            self.state.device,
            self.network,
            self.inferer.inferer,
            dataset.transform,
            self.exporter.reader,
            MAP_VOLUMES if self._with_maps else 0,
            HeadSize(self.exporter.weights),
        )
        dataset.before = [self.exporter.provenance.note_source, self._memory.admit]

    def _require_an_image(self) -> None:
        """Fail a case whose output has one value: the network is untrained, or trained on other sources."""
        batch, output = self.state.batch, self.state.output
        remedy = "pass weights of a completed training, and a source like those of the training"
        require_contrast(output["pred"][0], str(batch["case"][0]), "synthetic volume", remedy)

    def _release(self, case: str) -> None:
        if self._memory is not None:
            self._memory.release(case)
