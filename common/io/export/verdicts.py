"""Verdicts on the quality of a case, by key and in words, for those who write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

QUALITY = "quality"
"""Key of a case's verdict in the manifest, and in an item that is exported."""
MARK = "Refused"
"""Key in the sidecar of a case with the verdict ``refuse``, of which nothing else is there without a volume."""
ACCEPT, LOOK, REFUSE = VERDICTS = ("accept", "look", "refuse")


def in_words(told: Mapping[str, Any]) -> str:
    """A line about the ``told`` of a :class:`common.trust.verdicts.verdict.Verdict`."""
    verdict = f"quality: {told['verdict']}"
    if told["verdict"] != REFUSE:
        upper = f"90 % of calibration samples up to {told['upper_mae']:.4g}"
        verdict += f", predicted MAE {told['predicted_mae']:.4g} {told['unit']} ({upper})"
    return "; ".join([verdict, *told["reasons"]])


def why_refused(told: Mapping[str, Any], as_dicom: bool) -> str:
    """Why there is no volume of a case with the verdict ``refuse``, and what a user can do.

    Args:
        told: of its :class:`common.trust.verdicts.verdict.Verdict`.
        as_dicom: whether the output is a DICOM series, which no option writes into the study of a patient.
    """
    remedy = "write the volume nevertheless with --refuse false"
    if as_dicom:
        remedy += " and another --output_format, since no option writes a refused volume as DICOM"
    return f"{'; '.join(told['reasons'])}; check the source, or {remedy}"
