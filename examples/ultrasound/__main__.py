"""Focal pressure through a real CT, recomputed through the synthetic one; see docs/how-to/focused-ultrasound.md.

A bowl sends a continuous wave from the nearest point of the scalp through the skull to each target. For research; not
for planning a treatment.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.errors import ConfigError, DataError, OutputError, exit_code_of_user_errors, path_option
from common.files import write_text
from common.grids import require_grid
from common.io import VolumeReader
from common.transforms import head_mask
from examples.ultrasound import field, focus
from examples.ultrasound.environment import require_environment
from examples.ultrasound.medium import MAPPINGS, medium, water

TABLE = "ultrasound.csv"
SKIN_HU = -500.0


@exit_code_of_user_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or that of the error whose line ends stderr."""
    options = _parser().parse_args(arguments)
    require_environment()
    if (options.out / TABLE).exists() and not options.overwrite:
        raise OutputError(f"--out {options.out} already holds {TABLE}", "add --overwrite, or choose another --out")
    for name in ("frequency", "spacing"):
        if (value := getattr(options, name)) is not None and not 0 < value < math.inf:
            raise ConfigError(f"--{name} is {value:g}", "pass a finite number above 0")
    targets = _targets(options.targets, options.only)
    kilohertz = options.frequency
    spacing = options.spacing or 300 / kilohertz
    volumes, affine = _read({"real": options.real, "synthetic": options.synthetic, "line": options.line})
    mask = head_mask(volumes["real"], SKIN_HU, 2, "real")
    rows = []
    for name, place in targets.items():
        beam = field.beam_to(place, mask, affine)
        start = time.perf_counter()
        for row in _simulated(volumes, affine, beam, spacing, options, name):
            settings = {"target": name, "kHz": kilohertz, "mapping": options.mapping, "spacing_mm": spacing}
            settings["dimensions"] = options.dimensions
            depth = round(beam.radius - field.STANDOFF_MM, 1)
            rows.append(settings | {"depth_mm": depth} | row | {"seconds": round(time.perf_counter() - start)})
            write_text(options.out / TABLE, pd.DataFrame(rows).to_csv(index=False, float_format="%.4g"))
            print(f"{name}, {row['through']}: {rows[-1]['seconds']} s", file=sys.stderr, flush=True)
    print(pd.DataFrame(rows).round(2).to_string(index=False))
    return 0


def _simulated(
    volumes: dict[str, NDArray[np.float32]],
    affine: NDArray[np.float64],
    beam: field.Beam,
    spacing: float,
    options: argparse.Namespace,
    name: str,
) -> Iterator[dict[str, Any]]:
    """A row for water and each CT; a picture of all fields is written at the end."""
    shape, grid = beam.grid(spacing, options.dimensions)
    on_grid = {kind: field.sampled(volume, affine, shape, grid) for kind, volume in volumes.items()}
    brain = focus.brain_of(on_grid["real"], spacing)
    source = field.bowl(beam, shape, grid, spacing)
    if ((source > 0.1) & (on_grid["real"] > SKIN_HU)).any():
        raise DataError(f"target {name}: the bowl of {beam.aperture:.0f} mm cuts the head", "choose another target")
    hertz = options.frequency * 1e3
    media = {"water": water(shape)}
    media |= {kind: medium(hu, options.mapping, hertz) for kind, hu in on_grid.items()}
    fields, found = {}, {}
    for kind, own in media.items():
        fields[kind] = field.amplitude(own, source, spacing, hertz)
        found[kind] = focus.focus_of(fields[kind], brain)
        if "real" in found:
            shown = ("water", "real") if kind == "real" else (kind,)
            for each in shown:
                yield {"through": each, **focus.compared(found[each], found["real"], found["water"], spacing)}
    _picture(options.out / f"{name}.png", fields, on_grid["real"], found, spacing)


def _picture(
    path: Path,
    fields: dict[str, NDArray[np.float32]],
    hu: NDArray[np.float32],
    found: dict[str, focus.Focus],
    spacing: float,
) -> None:
    """Planes of the fields through the axis of the beam, next to each other, with the edge of the bone."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(fields), figsize=(3 * len(fields), 4), layout="constrained")
    middle = (slice(None), slice(None), *(size // 2 for size in hu.shape[2:]))
    top = found["real"].pressure
    extent = (0, hu.shape[1] * spacing, hu.shape[0] * spacing, 0)
    for axis, (kind, values) in zip(axes, fields.items(), strict=True):
        shown = axis.imshow(values[middle], vmin=0, vmax=1.5 * top, extent=extent, cmap="inferno")
        if kind != "water":
            axis.contour(hu[middle], [300], colors="w", linewidths=0.5, extent=(*extent[:2], 0, extent[2]))
        across, along = (found[kind].place[[1, 0]] + 0.5) * spacing
        axis.plot(across, along, "c+")
        axis.set_title(f"{kind}: {found[kind].pressure:.2f}")
    axes[0].set_ylabel("mm along the beam")
    figure.colorbar(shown, ax=axes, label="amplitude, that at the bowl being 1")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def _read(paths: dict[str, Path | None]) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float64]]:
    """Volumes of NIfTI files in RAS order on the grid of the real CT, and its affine."""
    volumes, affine = {}, None
    for kind, path in paths.items():
        if path is None:
            continue
        scan = VolumeReader().read(path, path.name)
        image: Any = nib.as_closest_canonical(nib.nifti1.Nifti1Image(scan.values, scan.affine))
        volumes[kind] = np.asarray(image.dataobj, np.float32)
        affine = np.asarray(image.affine) if affine is None else affine
        own = volumes[kind].shape, np.asarray(image.affine)
        require_grid(kind, *own, volumes["real"].shape, affine, "resample it to that grid", "the real CT")
    assert affine is not None
    return volumes, affine


def _targets(path: Path, only: Sequence[str] | None) -> dict[str, NDArray[np.float64]]:
    """Places (3,) in mm by the names of targets."""
    try:
        places = {name: np.array(place, float).reshape(3) for name, place in json.loads(path.read_text()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path.name} has no targets ({error})", 'write {"NAME": [R, A, S]}, in mm') from error
    if unknown := set(only or ()) - places.keys():
        raise ConfigError(f"--only names {sorted(unknown)}, not in {path.name}", f"it has {', '.join(places)}")
    return {name: place for name, place in places.items() if not only or name in only}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.ultrasound", description=(__doc__ or "").split("\n\n")[0])
    add = parser.add_argument
    add("--real", type=path_option, required=True, metavar="FILE", help="real CT in HU, NIfTI")
    add("--synthetic", type=path_option, required=True, metavar="FILE", help="synthetic CT on its grid")
    add("--line", type=path_option, metavar="FILE", help="another CT on it, such as a line fitted to the MR")
    about = "JSON of names and places in mm, right-anterior-superior of the file"
    add("--targets", type=path_option, required=True, metavar="FILE", help=about)
    add("--only", nargs="+", metavar="NAME", help="names to simulate (default: all)")
    add("--frequency", type=float, default=250.0, metavar="KHZ", help="in kHz (default: %(default)g)")
    add("--mapping", choices=list(MAPPINGS), default="marsac", help="from HU (default: %(default)s)")
    add("--spacing", type=float, metavar="MM", help="of the grid (default: 300 / KHZ, five points of a wave in water)")
    about = "3, or 2 for one plane through the axis: seconds, another focal gain (default: %(default)s)"
    add("--dimensions", type=int, choices=(2, 3), default=3, help=about)
    about = f"folder of {TABLE} and pictures (default: %(default)s)"
    add("--out", type=path_option, default=Path("ultrasound"), metavar="DIR", help=about)
    add("--overwrite", action="store_true", help="replace existing files in --out")
    return parser


if __name__ == "__main__":
    sys.exit(main())
