"""Perfusion of dynamic susceptibility contrast MR (DSC): circulant deconvolution, its oscillation-limited form, inputs.

Times are in s, changes of R2* in 1/s. The arterial input is found in the series: with the voxels of the highest peak,
of which blood fills a known share, since the contrast agent of pure blood leaves no signal.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.transforms import Transform
from monai.utils import convert_to_dst_type
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from common.errors import ConfigError, DataError, choose
from common.io.modality import TIMES
from common.metrics.masked import checked_volumes, mae

Array = NDArray[np.float64]
HEMATOCRIT = {"artery": 0.45, "capillary": 0.25}
DENSITY = 1.04
"""Of brain in g/ml, with the hematocrits as of Rempp et al. 1994, Radiology 193:637."""
PLASMA = (1 - HEMATOCRIT["artery"]) / (1 - HEMATOCRIT["capillary"]) / DENSITY
"""ml/g: blood of a tissue per its share of the arterial concentration."""
UNITS = {"cbf": "ml/100g/min", "cbv": "ml/100g", "mtt": "s", "tmax": "s"}
BASELINE = 5
"""Time points before the bolus, whose mean is the signal without agent."""
ARTERY_VOXELS = 20
LEAST_SIGNAL = 0.02
"""Of the signal without agent: below is noise."""
TISSUE = 0.2
"""Signal without agent over the 99th percentile of all voxels; an artery has more, air has less."""
LEAST_FALL = 0.2
"""Of the signal of the arteries by a bolus."""
OSCILLATION = 0.035
"""Highest oscillation index of a residue function (Wu et al. 2003)."""
SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
"""Of NIfTI's units of time; a header without one says nothing."""
EVEN = 0.01
"""Part by which the time step of a header may differ from the interval, since headers round it."""
THRESHOLDS = np.linspace(0.02, 0.98, 49)
"""Cut-offs that are tried, lowest first, in parts of the largest singular value."""


def relaxation(series: Array, echo_time: float) -> Array:
    """Change of R2* in 1/s, -ln(S / S0) / TE, by which the concentration is measured; 0 where there is no signal.

    Args:
        series: signal (..., T), whose first ``BASELINE`` points are before the bolus.
        echo_time: TE in s.

    Raises:
        DataError: there are too few time points.
    """
    if series.shape[-1] <= BASELINE:
        fault = f"the series has {series.shape[-1]} time points, no more than the {BASELINE} before the bolus"
        raise DataError(fault, "give the whole DSC series")
    before = series[..., :BASELINE].mean(-1, keepdims=True)
    remaining = np.divide(series, before, out=np.ones(series.shape), where=before > 0)
    return np.asarray(-np.log(np.maximum(remaining, LEAST_SIGNAL)) / echo_time)


def arterial_input(series: Array, echo_time: float, share: float) -> Array:
    """Change of R2* in pure arterial blood (T,) in 1/s, of the mean signal of the voxels with the highest peak.

    Args:
        series: signal (X, Y, Z, T).
        echo_time: in s.
        share: of blood in the voxels of arteries.

    Raises:
        DataError: there are too few time points, or no bolus.
    """
    smooth = uniform_filter(series, (3, 3, 1, 1))
    before = smooth[..., :BASELINE].mean(-1)
    peaks = np.where(before >= TISSUE * np.percentile(before, 99), relaxation(smooth, echo_time).max(-1), 0).ravel()
    signal = series.reshape(len(peaks), -1)[np.argsort(peaks)[-ARTERY_VOXELS:]].mean(0)
    artery = relaxation(signal, echo_time)
    if np.exp(-echo_time * artery.max()) > 1 - LEAST_FALL:
        fault = f"the series shows no bolus, since in its arteries the signal falls by less than {LEAST_FALL:.0%}"
        raise DataError(fault, "give a whole DSC series, as signal")
    return artery / share


def deconvolved(tissue: Array, artery: Array, interval: float, threshold: float) -> Array:
    """Residue functions times flow, (N, 2 T) in 1/s, at the times 0, ..., T - 1, -T, ..., -1 intervals.

    Block-circulant: the singular values of a circulant matrix are the magnitudes of its Fourier transform, so that a
    residue before time 0, of tissue that the agent reaches before the artery, is found as well as one after it.

    Args:
        tissue: changes of R2* (N, T).
        artery: of pure blood (T,).
        interval: of the time points in s.
        threshold: singular values below this part of the largest one are left out.

    Source: Wu et al. 2003, Magn Reson Med 50:164.
    """
    length = 2 * len(artery)
    values = np.fft.rfft(artery, length) * interval
    kept = np.abs(values) >= threshold * np.abs(values).max()
    spectrum = np.fft.rfft(tissue, length, axis=-1)
    return np.fft.irfft(np.where(kept, spectrum, 0) / np.where(kept, values, 1), length, axis=-1)


def oscillation(residues: Array) -> Array:
    """Oscillation index (N,) of residue functions (N, L): mean size of second differences over the maximum."""
    bends = np.abs(np.diff(residues, 2, axis=-1)).sum(-1) / residues.shape[-1]
    return np.asarray(bends / np.maximum(residues.max(-1), np.finfo(float).tiny))


def least_oscillating(tissue: Array, artery: Array, interval: float) -> Array:
    """Residue functions (N, 2 T) of :func:`deconvolved`, each by the lowest threshold that keeps ``OSCILLATION``."""
    residues = deconvolved(tissue, artery, interval, THRESHOLDS[0])
    for threshold in THRESHOLDS[1:]:
        wild = np.flatnonzero(oscillation(residues) > OSCILLATION)
        residues[wild] = deconvolved(tissue[wild], artery, interval, threshold)
    return residues


def perfusion(tissue: Array, artery: Array, residues: Array, interval: float) -> dict[str, Array]:
    """``cbf`` in ml/100g/min, ``cbv`` in ml/100g, ``mtt`` and ``tmax`` in s, (N,) each.

    CBF is by the residue's maximum, CBV by the areas of tissue and artery, MTT = CBV / CBF, Tmax the maximum's time.

    Args:
        tissue: changes of R2* (N, T).
        artery: of pure blood (T,).
        residues: (N, 2 T), times flow in 1/s.
        interval: of the time points in s.
    """
    flow = 60 * 100 * PLASMA * np.maximum(residues.max(-1), 0)
    volume = 100 * PLASMA * tissue.sum(-1) / artery.sum()
    place = residues.argmax(-1)
    delay = np.where(place < len(artery), place, place - residues.shape[-1]) * interval
    transit = 60 * volume / np.maximum(flow, np.finfo(np.float32).eps)
    return {"cbf": flow, "cbv": volume, "mtt": np.where(flow > 0, transit, 0), "tmax": delay}


def perfusion_scores(pred: Array, truth: Array, mask: Array) -> dict[str, float]:
    """``mae`` and ``bias``, mean of prediction minus truth, inside the mask in the unit of the volumes (X, Y, Z).

    Raises:
        DataError: see :func:`common.metrics.masked.checked_volumes`.
    """
    shown, real, inside = checked_volumes(pred, truth, mask)
    return {"mae": mae(pred, truth, mask), "bias": float((shown - real)[inside].mean())}


class Deconvolution:
    """Classical map of a DSC series.

    Args:
        quantity: ``cbf``, ``cbv``, ``mtt`` or ``tmax``, in the unit of ``UNITS``.
        threshold: of plain circulant deconvolution; None: limited by its oscillation (oSVD).
        echo_time: in s.
        interval: of the time points in s.
        artery_share: of blood in the voxels of arteries.

    Raises:
        ConfigError: for another quantity.
    """

    def __init__(
        self, quantity: str, threshold: float | None, echo_time: float, interval: float, artery_share: float
    ) -> None:
        if quantity not in UNITS:
            raise ConfigError(f"--target is {quantity!r}", choose(UNITS))
        self.quantity = quantity
        self.threshold = threshold
        self.settings = (echo_time, artery_share)
        self.interval = interval

    def __call__(self, series: np.ndarray) -> Array:
        """The map (X, Y, Z) of a series (X, Y, Z, T)."""
        signal = np.asarray(series, np.float64)
        artery = arterial_input(signal, *self.settings)
        tissue = relaxation(signal, self.settings[0]).reshape(-1, len(artery))
        if self.threshold is None:
            residues = least_oscillating(tissue, artery, self.interval)
        else:
            residues = deconvolved(tissue, artery, self.interval, self.threshold)
        return perfusion(tissue, artery, residues, self.interval)[self.quantity].reshape(series.shape[:3])


class PerfusionInputd(Transform):
    """A network's input of a DSC series: changes of R2* of each voxel and of the artery, 1 being ``scale``.

    Args:
        echo_time: in s.
        artery_share: of blood in the voxels of arteries.
        target, unit: of the training; a target of ``UNITS`` has its unit.
        scale: 1/s; that of the artery is larger by 1 / ``artery_share``.
        interval: of the time points in s; the header of a NIfTI file may not say another one. Weights of earlier
            versions do not have it, and nothing is compared.

    Raises:
        ConfigError: for another unit.
        DataError: by a call, for a series with another interval.
    """

    def __init__(
        self,
        echo_time: float,
        artery_share: float,
        target: str = "",
        unit: str = "",
        scale: float = 20.0,
        interval: float | None = None,
    ) -> None:
        if unit != (own := UNITS.get(target, unit)):
            fault = f"--target {target} is in {own}, but --output::unit is {unit}"
            raise ConfigError(fault, f"pass --output::unit {own} and its --target_window, see dsc.yaml")
        self.echo_time = echo_time
        self.artery_share = artery_share
        self.interval = interval
        self.scale = scale

    def channels_after(self, channels: int) -> int:
        """Channels of what is made of ``channels`` time points."""
        return 2 * channels

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace ``image`` (T, X, Y, Z) by (2 T, X, Y, Z)."""
        if self.interval is not None:
            _require_interval(Path(data["image"].meta["filename_or_obj"]), self.interval)
        series = np.moveaxis(np.asarray(data["image"], np.float64), 0, -1)
        artery = arterial_input(series, self.echo_time, self.artery_share) * self.artery_share
        both = [relaxation(series, self.echo_time), np.broadcast_to(artery, series.shape)]
        made = torch.from_numpy(np.moveaxis(np.concatenate(both, -1) / self.scale, -1, 0).astype(np.float32))
        image = convert_to_dst_type(made, data["image"])[0]
        image.meta[TIMES] = len(data["image"])
        return {**data, "image": image}


def _require_interval(path: Path, interval: float) -> None:
    """Refuse a NIfTI series whose header has another time step, of which all times and flows would be wrong."""
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        return
    header: Any = nib.nifti1.load(path).header
    step = float(header["pixdim"][4]) * SECONDS.get(header.get_xyzt_units()[1], 0)
    if step and abs(step - interval) > EVEN * interval:
        fault = f"{path.name} has a time point every {step:g} s, not {interval:g} s"
        raise DataError(fault, f"resample it in time, or train with --interval {step:g}")
