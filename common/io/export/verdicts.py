"""Verdicts on the quality of a case: keys and wording of those that are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

QUALITY = "quality"
"""Key of a case's verdict in the manifest, and in an item that is exported."""
MARK = "Refused"
"""Key in the sidecar of a case with the verdict ``refuse``, the only file of a case without a volume."""
ACCEPT, REVIEW, REFUSE = VERDICTS = ("accept", "review", "refuse")


def in_words(verdict: Mapping[str, Any]) -> str:
    """A line about a verdict of :class:`common.trust.case_verdicts.CaseVerdicts`."""
    words = f"quality: {verdict['verdict']}"
    if verdict["verdict"] != REFUSE:
        unit, level = verdict["unit"], f"{100 * verdict['case_level']:g} %"
        usual, most = (f"{verdict[name]:.4g} {unit}" for name in ("calibration_mae", "upper_mae"))
        words += f", MAE of the calibration {usual}, at most {most}"
        words += f" in {level} of cases like those of the calibration, {verdict['calibrated_on']}"
    return "; ".join([words, *verdict["reasons"]])


def why_refused(verdict: Mapping[str, Any], as_dicom: bool) -> str:
    """Why there is no volume of a case with the verdict ``refuse``, and what a user can do.

    Args:
        verdict: of :class:`common.trust.case_verdicts.CaseVerdicts`.
        as_dicom: whether the output is a DICOM series, which no option writes into the study of a patient.
    """
    remedy = "write the volume nevertheless with --refuse false"
    if as_dicom:
        remedy += " and another --output_format, since no option writes a refused volume as DICOM"
    return f"{'; '.join(verdict['reasons'])}; check the source, or {remedy}"
