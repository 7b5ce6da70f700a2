"""``synthesize score``: the metrics of one synthetic volume, or of a folder of them, as JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import ConfigError, DataError, OutputError, failure, path_option
from medical_image_synthesis.places import PICTURES, VOLUMES, require_writable

if TYPE_CHECKING:
    import pandas as pd

BESIDE_VOLUMES = (".csv", ".json", ".npy", ".npz", ".pkl", ".txt", ".yaml")
"""Endings of files next to synthetic volumes of other programs."""
CONDITIONS = ("value_range", "mask_voxels", "unit", "hfen_sigma_voxels")
"""What is printed of a row's ``attrs``."""

EXAMPLES = """examples:
  synthesize score ct.nii.gz TRUTH.nii.gz --mask HEAD.nii.gz
  synthesize score t2.nii.gz TRUTH.nii.gz --mask HEAD.nii.gz --unit arbitrary --value_range 0 4000
  synthesize score ct.nii.gz TRUTH.nii.gz --mask HEAD.nii.gz --attenuation --kvp 120
  synthesize score stained.png TRUTH.png
  synthesize score MADE DATA --target ct --out scores.csv"""


def add(command: argparse.ArgumentParser, _: str) -> None:
    """Add the options of the command."""
    command.epilog = EXAMPLES
    named = {"pred": "synthetic volume or picture", "truth": "real one on the same grid"}
    for name, metavar in (("pred", "SYNTHETIC"), ("truth", "TRUTH")):
        command.add_argument(name, metavar=metavar, type=path_option, help=f"{named[name]}: a file or a DICOM series")
    about = "mask of the voxels to score, on the same grid; pictures need none"
    command.add_argument("--mask", type=path_option, help=about)
    command.add_argument("--unit", help="unit of both volumes (default: from JSON of SYNTHETIC or DICOM headers)")
    about = "range that psnr, ssim and ms_ssim clip to (default: that of CT for HU)"
    command.add_argument("--value_range", type=float, nargs=2, metavar=("LOW", "HIGH"), help=about)
    about = "score a synthetic CT as attenuation map of PET instead, compared with water and four classes"
    command.add_argument("--attenuation", action="store_true", help=about)
    about = "tube voltage of the CT in kV, with --attenuation (default: %(default)s)"
    command.add_argument("--kvp", type=int, default=120, help=about)
    about = "bone threshold of the four classes in HU, with --attenuation (default: %(default)s)"
    command.add_argument("--bone_hu", type=float, default=250.0, help=about)
    about = "SYNTHETIC/<case>*.nii.gz against TRUTH/<case>/<target>.nii.gz"
    group = command.add_argument_group("two folders", about)
    group.add_argument("--target", default="ct", help="name of the truth in each case (default: %(default)s)")
    group.add_argument("--mask_name", default="mask", help="name of the mask in each case (default: %(default)s)")
    group.add_argument("--out", type=path_option, metavar="FILE.csv", help="receives a row for each case")
    group.add_argument("--overwrite", action="store_true", help="replace an existing --out")
    command.set_defaults(run=score)


def score(options: argparse.Namespace) -> int:
    """Print the scores."""
    from medical_image_synthesis import scoring

    files = (options.pred, options.truth, options.mask)
    if _is_folder_of_cases(options.pred):
        return _of_folder(options)
    if options.out:
        raise ConfigError("--out is for two folders, the scores of one volume are printed", "omit it")
    if options.attenuation:
        if options.mask is None:
            raise ConfigError("--attenuation needs --mask", "pass the head")
        rows = scoring.attenuation_rows(*files, options.kvp, options.bone_hu)
        measures = {name: _plain(row) for name, row in rows.items()}
        result = {**measures, "kvp": options.kvp, "bone_hu": options.bone_hu}
    else:
        row = scoring.score_row(*files, options.unit, options.value_range)
        result = _plain(row) | {name: row.attrs[name] for name in CONDITIONS if name in row.attrs}
    print(json.dumps(result, allow_nan=False))
    return 0


def _is_folder_of_cases(path: Path) -> bool:
    """Whether a folder holds volumes or pictures, or no file but tables and settings, and is no DICOM series."""
    if not path.is_dir():
        return False
    files = [each for each in path.iterdir() if each.is_file() and each.suffix.lower() not in BESIDE_VOLUMES]
    return not files or any(each.name.lower().endswith((*VOLUMES, *PICTURES)) for each in files)


def _of_folder(options: argparse.Namespace) -> int:
    """Print means over the cases of a folder.

    Raises:
        CasesFailedError: some cannot be scored, after the others are.
        DataError: none can.
    """
    if options.attenuation or options.mask:
        raise ConfigError("--attenuation and --mask are for one volume", "omit them; --mask_name names those of cases")
    if not options.truth.is_dir():
        raise DataError(f"{options.pred} is a folder, and {options.truth} is not", "pass the folder of the cases")
    if options.out:
        if options.out.exists() and not options.overwrite:
            raise OutputError(f"{options.out} exists (from --out)", "add --overwrite, or choose another file")
        require_writable(options.out, "--out")
    from medical_image_synthesis import folder_scores

    pairs, missing, unpaired = folder_scores.pairs_of(options.pred, options.truth, options.target, options.mask_name)
    rows, unscored = folder_scores.case_rows(pairs, options.unit, options.value_range)
    faults = unpaired | unscored
    failed = failure(faults, len(rows) + len(faults), "the JSON") if faults else None
    if failed and not rows:
        raise DataError(str(failed))
    if options.out:
        import pandas as pd

        from common.files import as_cell, write_text

        write_text(options.out, pd.DataFrame(rows).rename(index=as_cell).to_csv(index_label="case"))
    print(json.dumps(folder_scores.summary_of(rows, missing, faults), allow_nan=False))
    if failed:
        raise failed
    return 0


def _plain(row: pd.Series) -> dict[str, object]:
    """A row as JSON has it: None for a metric without a value, and why under ``undefined``."""
    undefined = row.attrs["undefined"]
    plain = {name: None if name in undefined else value for name, value in row.items()}
    return plain | ({"undefined": undefined} if undefined else {})
