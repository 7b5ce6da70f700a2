"""Inference over many cases, of which a bad one fails alone."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from monai.data import Dataset
from monai.engines import SupervisedEvaluator

from common.errors import CasesFailedError, UserError
from common.export import NiftiExporter
from common.report.atomic import write_text

logger = logging.getLogger(__name__)
ERROR_KEY = "failure"
MANIFEST_NAME = "manifest.json"


class CaseDataset(Dataset):
    """Preprocess one case at a time; a case that cannot be read becomes a note of why, not an end of the batch.

    Args:
        data: items with ``case`` and ``image``.
        transform: preprocessing.
    """

    def __init__(self, data: Sequence[dict[str, Any]], transform: Callable | None = None) -> None:
        super().__init__(data, transform)

    def __getitem__(self, index: int) -> dict[str, Any]:  # type: ignore[override]
        item = {**self.data[index], "case": self.data[index].get("case", str(index))}
        try:
            return self.transform(item) if self.transform is not None else item
        except Exception as error:  # whatever goes wrong with one file is that case's failure alone
            return {"case": item["case"], ERROR_KEY: _reason(error)}


class CaseEvaluator(SupervisedEvaluator):
    """MONAI's evaluator that goes on after a failed case, keeps a manifest and ends with an error if any failed.

    Args:
        exporter: writes the volumes; asked beforehand whether it can, and attached after the handlers.
        **evaluator: arguments of ``SupervisedEvaluator``.

    Raises:
        CasesFailedError: from :meth:`run`, after all cases, naming those that failed; ``manifest.json`` has the
            reasons.
    """

    def __init__(self, exporter: NiftiExporter, **evaluator: Any) -> None:
        super().__init__(**evaluator)
        self.exporter = exporter
        self.outcomes: list[dict[str, str]] = []
        exporter.attach(self)

    def run(self, global_epoch: int = 1) -> None:  # type: ignore[override]
        """Infer all cases and write the manifest beside the outputs."""
        loader: Any = self.data_loader
        self.exporter.require_free(loader.dataset.data)
        self.outcomes = []
        super().run(global_epoch)
        manifest = self.exporter.output_dir / MANIFEST_NAME
        write_text(manifest, json.dumps(self.outcomes, indent=2))
        failed = [outcome["case"] for outcome in self.outcomes if outcome["status"] == "failed"]
        logger.info(f"{len(self.outcomes) - len(failed)} of {len(self.outcomes)} cases written to {manifest.parent}")
        if failed:
            value = f"{len(failed)} failed: {', '.join(failed)}"
            raise CasesFailedError("inference", "every case succeeds", value, f"see {manifest} for the reasons")

    def _iteration(self, engine: CaseEvaluator, batchdata: Mapping[str, Any]) -> Any:  # type: ignore[override]
        case = str(batchdata["case"][0])
        reason = batchdata[ERROR_KEY][0] if ERROR_KEY in batchdata else None
        output: Any = {}
        if reason is None:
            try:
                output = super()._iteration(engine, batchdata)  # type: ignore[arg-type]
                self.outcomes.append({"case": case, "status": "done", "file": self.exporter.path(case).name})
            except Exception as error:  # one bad case never stops a batch
                reason = _reason(error)
        if reason is not None:
            logger.error(f"{case} failed: {reason}")
            self.outcomes.append({"case": case, "status": "failed", "reason": reason})
        return output


def _reason(error: BaseException) -> str:
    """The user's mistake at the bottom of a chain of errors, else the last error."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, UserError):
        cause = cause.__cause__ or cause.__context__
    return str(cause) if cause is not None else f"{type(error).__name__}: {error}"
