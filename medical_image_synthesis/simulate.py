"""Corruptions of a scan as functions of a volume, those of ``synthesize simulate``.

Each takes a file, a folder of a DICOM series, an image of nibabel or SimpleITK, a MetaTensor, (array, affine) or the
result of an inference, with its axes in any order, and returns a :class:`~medical_image_synthesis.volumes.Volume` on
the same grid. ``seed`` and ``case`` determine what is drawn at random: with the name of a case, it is what the command
draws for that case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from common.errors import DataError
from common.units import HU
from medical_image_synthesis.quiet import own_device, without_traces
from medical_image_synthesis.volumes import Volume, as_volume, require_one_channel

if TYPE_CHECKING:
    from common.simulation.corruptions.magnitude import Corruption


@without_traces()
def low_dose(
    ct: Any,
    dose: float = 0.25,
    *,
    photons: float = 1.0e6,
    electronic_noise: float = 3.0,
    views: int = 360,
    kernel: str = "soft",
    bow_tie: float | None = None,
    noiseless: bool = False,
    seed: int = 0,
    case: str = "",
) -> Volume:
    """CT at a lower dose, by noise inserted into projections.

    See :class:`common.simulation.corruptions.low_dose.LowDose`.

    Args:
        ct: in HU, (X, Y, Z), its pixels square.
        dose: fraction of the full dose, above 0 to 1.
        photons: of a full-dose ray in air.
        electronic_noise: standard deviation of the noise in photons.
        views: number of views in 180 degrees; 720 for 512 x 512 pixels.
        kernel: reconstruction kernel of the noise, ``soft`` or ``sharp``.
        bow_tie: water diameter of a bow-tie filter in mm; None for no filter.
        noiseless: whether the given CT has no noise, as a phantom.
        seed: of the noise.
        case: name of the case; others have other noise.

    Returns:
        The CT in HU, not rounded.

    Raises:
        ConfigError: a setting is out of its range.
        DataError: the volume cannot be read, or is no CT in HU.

    Example::

        from medical_image_synthesis import simulate

        simulate.low_dose("ct.nii.gz", dose=0.25).save("quarter.nii.gz")
    """
    from common.simulation.corruptions.low_dose import SIMULATED, LowDose

    corruption = LowDose(dose, photons, electronic_noise, views, kernel, bow_tie, noiseless)
    return _corrupted(ct, "ct", corruption, SIMULATED, seed, case)


@without_traces()
def undersample(
    mr: Any,
    acceleration: float = 4.0,
    *,
    mask: str = "cartesian",
    centre_fraction: float | None = None,
    noise: float = 0.0,
    coils: int = 1,
    largest_phase: float = 1.5,
    plane: str = "axial",
    seed: int = 0,
    case: str = "",
) -> Volume:
    """Zero-filled MR of a simulated, undersampled k-space.

    See :class:`common.simulation.corruptions.undersampling.Undersampled`.

    Args:
        mr: magnitudes, (X, Y, Z).
        acceleration: factor above 1.
        mask: ``cartesian``, ``equispaced``, ``gaussian``, ``poisson`` or ``radial``.
        centre_fraction: measured central fraction; None for 0.32 / acceleration.
        noise: its standard deviation over the 99.5th percentile.
        coils: number of simulated receive coils.
        largest_phase: of the simulated phase, in radians.
        plane: of the slices, ``sagittal``, ``coronal`` or ``axial``.
        seed: of mask, phase, coils and noise.
        case: name of the case; others have other random numbers.

    Returns:
        The magnitude in the unit of the given one.

    Raises:
        ConfigError: a setting is out of its range, or the slices are too small for the mask.
        DataError: the volume cannot be read, or is no magnitude image.

    Example::

        from medical_image_synthesis import simulate

        fast = simulate.undersample("T1.nii.gz", acceleration=4)
    """
    from common.simulation.corruptions.undersampling import Undersampled

    corruption = Undersampled(mask, acceleration, centre_fraction, noise, coils, largest_phase, plane)
    return _corrupted(mr, "mr", corruption, _text("undersample"), seed, case)


@without_traces()
def thicken(
    volume: Any, thickness: float = 5.0, *, gap: float = 0.0, profile: str = "gaussian", plane: str = "axial"
) -> Volume:
    """MR or CT of thick slices on the thin grid; see :class:`common.simulation.corruptions.slices.ThickSlices`.

    Args:
        volume: MR as magnitudes or CT in HU, (X, Y, Z).
        thickness: of a slice in mm.
        gap: between slices in mm.
        profile: of a slice, ``gaussian`` or ``box``.
        plane: of the slices, ``sagittal``, ``coronal`` or ``axial``.

    Returns:
        The volume in the unit of the given one.

    Raises:
        ConfigError: a setting is out of its range.
        DataError: the volume cannot be read, is neither, or its slices are no thinner than ``thickness``.

    Example::

        from medical_image_synthesis import simulate

        thick = simulate.thicken("T1.nii.gz", thickness=5)
    """
    from common.simulation.corruptions.slices import ThickSlices

    return _corrupted(volume, "volume", ThickSlices(thickness, gap, profile, plane), _text("thicken"))


@without_traces()
def noise(mr: Any, level: float = 0.1, *, seed: int = 0, case: str = "") -> Volume:
    """MR with Rician noise; see :class:`common.simulation.corruptions.noise.RicianNoise`.

    Args:
        mr: magnitudes, (X, Y, Z).
        level: standard deviation of the noise over the 99.5th percentile, above 0.
        seed: of the noise.
        case: name of the case; others have other noise.

    Returns:
        The magnitude in the unit of the given one.

    Raises:
        ConfigError: ``level`` is not above 0.
        DataError: the volume cannot be read, or is no magnitude image.

    Example::

        from medical_image_synthesis import simulate

        noisy = simulate.noise("T1.nii.gz", level=0.1)
    """
    from common.simulation.corruptions.noise import RicianNoise

    return _corrupted(mr, "mr", RicianNoise(level), _text("noise"), seed, case)


@without_traces()
def motion(
    mr: Any,
    distance_mm: float = 2.0,
    degrees: float = 2.0,
    movements: int = 2,
    *,
    plane: str = "axial",
    seed: int = 0,
    case: str = "",
) -> Volume:
    """MR of a head that moved in the plane of the slices; see :class:`common.simulation.corruptions.motion.HeadMotion`.

    Args:
        mr: magnitudes, (X, Y, Z).
        distance_mm: length of each translation in mm.
        degrees: angle of each rotation.
        movements: their number.
        plane: of the slices, ``sagittal``, ``coronal`` or ``axial``.
        seed: of directions and times.
        case: name of the case; others have other movements.

    Returns:
        The magnitude in the unit of the given one.

    Raises:
        ConfigError: a setting is out of its range.
        DataError: the volume cannot be read, or is no magnitude image.

    Example::

        from medical_image_synthesis import simulate

        moved = simulate.motion("T1.nii.gz", distance_mm=3, degrees=3)
    """
    from common.simulation.corruptions.motion import HeadMotion

    return _corrupted(mr, "mr", HeadMotion(distance_mm, degrees, movements, plane), _text("motion"), seed, case)


@without_traces()
@own_device()
def radiograph(
    ct: Any,
    angles: Sequence[float] = (0.0, 90.0),
    *,
    source_to_detector: float = 1500.0,
    source_to_axis: float = 1000.0,
    detector: Sequence[int] = (512, 512),
    pixel_mm: float = 0.8,
    energy: float = 70.0,
) -> list[Volume]:
    """Digitally reconstructed radiographs of a CT; see :class:`common.simulation.radiograph.RadiographBeam`.

    Args:
        ct: in HU, (X, Y, Z).
        angles: of the source in degrees, 0 in front of the patient (AP), 90 at the left.
        source_to_detector: distance in mm.
        source_to_axis: distance in mm of the middle of the CT.
        detector: columns and rows of pixels.
        pixel_mm: side of a pixel of the detector in mm.
        energy: of all photons in keV, 30 to 150.

    Returns:
        For each angle line integrals of attenuation, (columns, rows, 1), the affine to the detector's place in mm.

    Raises:
        ConfigError: a setting is out of its range.
        DataError: the volume cannot be read, or is no CT in HU.

    Example::

        from medical_image_synthesis import simulate

        ap, lateral = simulate.radiograph("ct.nii.gz", detector=(64, 64), pixel_mm=6.4)
    """
    from common.simulation.degraded_cases import checked
    from common.simulation.radiograph import RadiographBeam

    beam = RadiographBeam(angles, source_to_detector, source_to_axis, detector, pixel_mm, energy)
    volume = as_volume(ct, "ct")
    require_one_channel(volume, "ct")
    views = beam.views(checked(volume.array, volume.affine, "ct", "ct", ""), volume.affine)
    texts = map(beam.description, angles)
    return [Volume(view, place, "1", volume.name, text) for (view, place), text in zip(views, texts, strict=True)]


def _text(kind: str) -> str:
    """For the header of a file, as the command writes it."""
    from common.simulation.degraded_cases import DEGRADATIONS

    return DEGRADATIONS[kind][-1]


@own_device()
def _corrupted(source: Any, kind: str, corruption: Corruption, text: str, seed: int = 0, case: str = "") -> Volume:
    """The corrupted volume.

    Args:
        source: as given.
        kind: ``ct``, ``mr``, or ``volume`` for either.
        corruption: of volumes in RAS order.
        text: about it, with places for the corruption and the modality.
        seed: of what is drawn.
        case: of what is drawn.
    """
    from common.io.modality import IN_HU, modality_of
    from common.simulation.degraded_cases import CT, MR, checked, corrupted, random_of, require_seed

    require_seed(seed)
    volume = as_volume(source, case or kind)
    require_one_channel(volume, case or kind)
    is_ct = kind == CT or (kind != MR and (volume.unit == HU or modality_of(volume.array) == IN_HU))
    if is_ct and volume.unit not in (None, HU):
        raise DataError(f"{case or kind} is in {volume.unit}, not in {HU}", "convert it to HU")
    modality = CT if is_ct else MR
    given = checked(volume.array, volume.affine, modality, case or kind, "")
    array = corrupted(corruption, given, volume.affine, random_of(case, seed))
    about, unit = text.format(corruption, modality.upper()), HU if is_ct else volume.unit
    return replace(volume, array=array.astype("float32", copy=False), description=about, unit=unit)
