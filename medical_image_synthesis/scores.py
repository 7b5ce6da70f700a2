"""``synthesize score``: the metrics of one synthetic volume, as JSON."""

from __future__ import annotations

import argparse
import json

from common.errors import DataError, path_option

EXAMPLES = """examples:
  synthesize score ct.nii.gz TRUTH.nii.gz --mask HEAD.nii.gz
  synthesize score t2.nii.gz TRUTH.nii.gz --mask HEAD.nii.gz --unit arbitrary --value_range 0 4000
  synthesize score ct.nii.gz TRUTH.nii.gz --mask HEAD.nii.gz --attenuation --kvp 120"""


def add(command: argparse.ArgumentParser, _: str) -> None:
    """Add the options of the command."""
    command.epilog = EXAMPLES
    named = {"pred": "synthetic volume", "truth": "real volume on the same grid"}
    for name, metavar in (("pred", "SYNTHETIC"), ("truth", "TRUTH")):
        command.add_argument(name, metavar=metavar, type=path_option, help=f"{named[name]}: a file or a DICOM series")
    about = "mask of the voxels to score, on the same grid"
    command.add_argument("--mask", type=path_option, required=True, help=about)
    command.add_argument("--unit", help="unit of both volumes (default: from JSON of SYNTHETIC or DICOM headers)")
    about = "range that psnr, ssim and ms_ssim clip to (default: that of CT for HU)"
    command.add_argument("--value_range", type=float, nargs=2, metavar=("LOW", "HIGH"), help=about)
    about = "score a synthetic CT as attenuation map of PET instead, compared with water and four classes"
    command.add_argument("--attenuation", action="store_true", help=about)
    about = "tube voltage of the CT in kV, with --attenuation (default: %(default)s)"
    command.add_argument("--kvp", type=int, default=120, help=about)
    about = "bone threshold of the four classes in HU, with --attenuation (default: %(default)s)"
    command.add_argument("--bone_hu", type=float, default=250.0, help=about)
    command.set_defaults(run=score)


def score(options: argparse.Namespace) -> int:
    """Print the scores."""
    for name in ("pred", "truth", "mask"):
        if not getattr(options, name).exists():
            raise DataError(f"no file or folder {getattr(options, name)} ({name})", "check the path")
    from medical_image_synthesis.scored_files import attenuation_of_files, score_files

    files = (options.pred, options.truth, options.mask)
    if options.attenuation:
        result = attenuation_of_files(*files, options.kvp, options.bone_hu)
    else:
        limits = tuple(options.value_range) if options.value_range else None
        result = score_files(*files, options.unit, limits)
    print(json.dumps(result, allow_nan=False))
    return 0
