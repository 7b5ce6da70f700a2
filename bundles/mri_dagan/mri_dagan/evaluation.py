"""Evaluation of restored MR, beside compressed sensing where there is k-space."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from common.evaluation.evaluation import Evaluation
from common.evaluation.held_out_case import Case
from common.evaluation.methods import EvaluatedMethod
from mri_dagan.classical import tv_reconstruction
from mri_dagan.reader import KspaceReader, is_kspace

COMPRESSED_SENSING = "compressed_sensing"


class MriEvaluation(Evaluation):
    """Evaluation that also has the row ``compressed_sensing`` of cases whose image is a file of k-space.

    See :func:`mri_dagan.classical.tv_reconstruction`, which takes some two seconds a slice.
    """

    def _predictions(
        self, methods: Mapping[str, EvaluatedMethod], line: tuple[str, float, float], case: Case
    ) -> dict[str, np.ndarray]:
        made = super()._predictions(methods, line, case)
        path = str(case.item["image"])
        if isinstance(self.reader, KspaceReader) and is_kspace(path):
            made[COMPRESSED_SENSING] = self.reader.kspace(path, case.name).reconstructed(tv_reconstruction)
        return made
