"""The commands that are fuzzed, each with small inputs of its own and the kinds of mutation that it is given."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BOX = "{box}"
"""Stands for the folder of one command in its words: ``in`` holds copies of its inputs, ``out`` takes its outputs."""
CASES = ("phantom_000", "phantom_001")
TRAINED = "mr2ct_pix2pix"
TRAINING: Mapping[str, Mapping[str, str]] = {
    "brain_fanogan": {"size": "32", "width": "4", "latent_dim": "8", "spacing": "[6.5,6,6.5]"},
    "cect2ct_rescyclegan": {"depth": "3", "width": "4", "crop_size": "32", "pad_size": "40"},
    "ldct_wgan_vgg": {"width": "4", "crop_size": "32", "neighbours": "1"},
    "mr2ct_pix2pix": {
        "depth": "4", "width": "4", "crop_size": "32", "pad_size": "40", "plane": "axial",
        "source_percentiles": "[1,99]", "target_window": "[-900,1800]", "spacing": "[6.5,6,6.5]",
    },
    "mri_dagan": {
        "depth": "3", "width": "4", "discriminator_width": "2", "crop_size": "32", "pad_size": "40", "neighbours": "3",
    },
    "pd2t2_dcgan_acm": {"width": "4", "patch_size": "[16,16,16]", "stages": "1"},
    "mri2pet_sketcher_refiner": {"width": "4", "patch_size": "[16,16,16]", "stages": "1", "target_window": "[0,3]"},
    "lesion_dcgan_aug": {"width": "4", "target_window": "[-100,300]"},
    "brain3d_alphagan": {"width": "2", "latent_dim": "20", "spacing": "3.5"},
}  # fmt: skip
SAMPLING = ("brain3d_alphagan", "lesion_dcgan_aug")
"""Bundles without a source."""
"""Settings of every bundle's training of one epoch besides those of the demo; odd ones, which weights must know."""
ONE_EPOCH = {"max_epochs": "1", "val_interval": "1", "batch_size": "2", "samples_per_epoch": "4"}
SURROUNDINGS = {"environment": 1, "stream": 1}
INFERENCE = {"option": 5, "nifti": 8, "weights": 3, "sidecar": 3, "overlay": 1, "name": 3, **SURROUNDINGS}


@dataclass(frozen=True)
class Scene:
    """A command that ends well as it stands.

    Args:
        name: of the command in reports.
        program: its first words, those of Python.
        options: further words by their option, which a mutation may change.
        share: how often it is drawn.
        kinds: the kinds of mutation, with how often each is drawn.
        inputs: files and folders below ``in`` and where they are copied from, below the folder of what was prepared.
        out: what lies below ``out`` before the command, likewise.
        kept: patterns of files below ``out`` that the command must not change.
        configs: the files whose settings are its options; none for commands that read no configs.
        volumes: patterns, below ``in``, of the volumes that it reads, separated by commas.
        whole: whether one damaged volume may end the whole command rather than its case alone.
    """

    name: str
    program: tuple[str, ...]
    options: Mapping[str, str]
    share: int
    kinds: Mapping[str, int]
    inputs: Mapping[str, str] = field(default_factory=dict)
    out: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    configs: tuple[Path, ...] = ()
    volumes: str = ""
    whole: bool = False

    def words(self, options: Mapping[str, str], box: Path) -> list[str]:
        """The whole command; an option's several values are separated by a newline."""
        given = [word for name, value in options.items() for word in (f"--{name}", *value.split("\n"))]
        words = [word.replace(BOX, str(box)) for word in (*self.program, *given)]
        return [sys.executable, "-W", "ignore", *words]

    def lay_out(self, prepared: Path, box: Path) -> None:
        """Copy the inputs into an empty folder."""
        for name in ("in", "cwd", "home", "tmp"):
            (box / name).mkdir(parents=True)
        for below, places in (("in", self.inputs), ("out", self.out)):
            for name, source in places.items():
                target = box / below / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if (prepared / source).is_dir():
                    shutil.copytree(prepared / source, target, dirs_exist_ok=True)
                else:
                    shutil.copyfile(prepared / source, target)


def bundle_command(run_id: str, bundle: str, *configs: str) -> tuple[str, ...]:
    """``-m monai.bundle run ...`` of a bundle in the repository, without options."""
    files = [str(path) for path in config_files(bundle, *configs)]
    listed = files[0] if len(files) == 1 else "[" + ",".join(f"'{file}'" for file in files) + "]"
    return ("-m", "monai.bundle", "run", run_id, "--config_file", listed)


def config_files(bundle: str, *configs: str) -> tuple[Path, ...]:
    return tuple(ROOT / "bundles" / bundle / "configs" / f"{name}.yaml" for name in configs)


def training(bundle: str) -> Scene:
    """A training of two steps; what it writes are the weights of the other commands."""
    options = {"dataset_dir": f"{BOX}/in/data", "output_dir": f"{BOX}/out", **ONE_EPOCH, **TRAINING[bundle]}
    return Scene(
        f"training {bundle}",
        bundle_command("training", bundle, "train", "demo"),
        options,
        share=3,
        kinds={"option": 12, "overlay": 1, **SURROUNDINGS, "nifti": 2 * (bundle != "lesion_dcgan_aug")},
        inputs={"data": f"data/{bundle}"},
        configs=config_files(bundle, "train", "demo"),
        volumes="data/*/*.nii.gz",
        whole=True,
    )


def _inference(bundle: str, what: str = "", share: int = 8, **changes: object) -> Scene:
    """Inference of two cases by the weights of :func:`training`."""
    options = {"output_dir": f"{BOX}/in/run", "predictions_dir": f"{BOX}/out", "output_dtype": "float32"}
    inputs = {"run": f"runs/{bundle}"}
    if bundle in SAMPLING:
        options["samples"] = "3"
    else:
        options["dataset_dir"] = f"{BOX}/in/data"
        inputs |= {f"data/{case}": f"data/{bundle}/{case}" for case in CASES}
    values: dict[str, object] = {
        "kinds": INFERENCE,
        "inputs": inputs,
        "configs": config_files(bundle, "inference"),
        "volumes": ",".join(f"data/*/{name}.nii.gz" for name in SOURCES[bundle].split(",")),
    }
    options |= changes.pop("options", {})  # type: ignore[arg-type]
    name = f"inference {bundle}{what}"
    return Scene(name, bundle_command("inference", bundle, "inference"), options, share, **(values | changes))  # type: ignore[arg-type]


SOURCES = {
    "brain_fanogan": "flair",
    "cect2ct_rescyclegan": "cect",
    "ldct_wgan_vgg": "ldct",
    "mr2ct_pix2pix": "mr",
    "mri_dagan": "zero_filled",
    "pd2t2_dcgan_acm": "pd",
    "mri2pet_sketcher_refiner": "mtr,fa,rd,ad",
    "lesion_dcgan_aug": "",
    "brain3d_alphagan": "",
}


def _of_series(bundle: str, modality: str, what: str, share: int, **options: str) -> Scene:
    return _inference(
        bundle,
        what,
        share,
        kinds={"dicom": 9, "option": 1, "name": 1},
        inputs={"run": f"runs/{bundle}", "data": f"series/{modality}"},
        options=options,
        volumes="",
    )


def _of_one_file(bundle: str) -> Scene:
    inputs = {"run": f"runs/{bundle}", "scan.nii": f"files/{bundle}.nii"}
    options = {"dataset_dir": f"{BOX}/in/scan.nii"}
    return _inference(
        bundle, " one file", 5, kinds={"nifti": 9, "option": 1}, inputs=inputs, options=options, volumes="scan.nii"
    )


def _of_datalist(bundle: str) -> Scene:
    inputs = {
        "run": f"runs/{bundle}",
        "list.json": "files/list.json",
        **{f"data/{case}": f"data/{bundle}/{case}" for case in CASES},
    }
    options = {"datalist": f"{BOX}/in/list.json"}
    return _inference(bundle, " datalist", 8, kinds={"datalist": 4, "name": 1}, inputs=inputs, options=options)


def _again(bundle: str) -> list[Scene]:
    """What begins from an earlier run: resumed training, evaluation, resumed inference."""
    data = {"dataset_dir": f"{BOX}/in/data"}
    resumed = {**data, "output_dir": f"{BOX}/out", **ONE_EPOCH, **TRAINING[bundle], "max_epochs": "2", "resume": "true"}
    return [
        Scene(
            f"resumed training {bundle}",
            bundle_command("training", bundle, "train", "demo"),
            resumed,
            share=6,
            kinds={"option": 3, "run": 6},
            inputs={"data": f"data/{bundle}"},
            out={"": f"runs/{bundle}"},
            configs=config_files(bundle, "train", "demo"),
            whole=True,
        ),
        Scene(
            f"evaluating {bundle}",
            bundle_command("evaluating", bundle, "train", "evaluate"),
            {**data, "output_dir": f"{BOX}/out"},
            share=6,
            kinds={"option": 3, "run": 5, "nifti": 2, "name": 1, "stream": 1},
            inputs={"data": f"data/{bundle}"},
            out={"": f"runs/{bundle}"},
            kept=("models/*", "datalist.json", "run.json", "log.csv"),
            configs=config_files(bundle, "train", "evaluate"),
            volumes="data/*/*.nii.gz",
            whole=True,
        ),
        _inference(
            bundle,
            " resumed",
            8,
            kinds={"output": 3, "option": 1, "change": 8},
            out={"": f"baselines/inference {bundle}/out"},
            options={"resume": "true"},
        ),
    ]


def _small_programs(bundle: str) -> list[Scene]:
    """Commands of ``synthesize``."""
    data = {"data": f"data/{bundle}"}
    case = f"{BOX}/in/data/{CASES[0]}"
    scored = {"pred": f"{case}/mr.nii.gz", "truth": f"{case}/ct.nii.gz", "mask": f"{case}/mask.nii.gz"}
    listed = {"list.json": "files/list.json", **{f"data/{name}": f"data/{bundle}/{name}" for name in CASES}}
    one = {f"data/{CASES[0]}": f"data/{bundle}/{CASES[0]}"}
    return [
        Scene(
            "check",
            ("-m", "medical_image_synthesis", "check", str(ROOT / "bundles" / bundle)),
            {"dataset_dir": f"{BOX}/in/data", "layout": "folders"},
            share=5,
            kinds={"nifti": 6, "option": 3, "name": 1, "stream": 1},
            inputs=data,
            volumes="data/*/*.nii.gz",
            whole=True,
        ),
        Scene(
            "check of a datalist",
            ("-m", "medical_image_synthesis", "check"),
            {"datalist": f"{BOX}/in/list.json", "target_range": "-1000\n2000"},
            share=5,
            kinds={"datalist": 6, "option": 2},
            inputs=listed,
            whole=True,
        ),
        Scene(
            "datalist",
            ("-m", "medical_image_synthesis", "datalist"),
            {"dataset_dir": f"{BOX}/in/data", "layout": "folders", "out": f"{BOX}/out/list.json", "seed": "3"},
            share=4,
            kinds={"option": 6, "nifti": 1, "name": 2, "stream": 1},
            inputs=data,
            volumes="data/*/*.nii.gz",
            whole=True,
        ),
        Scene(
            "score",
            ("-m", "medical_image_synthesis", "score", scored["pred"], scored["truth"]),
            {"mask": scored["mask"], "unit": "HU"},
            share=7,
            kinds={"nifti": 6, "option": 3, "name": 2, "stream": 1},
            inputs=one,
            volumes="data/*/*.nii.gz",
            whole=True,
        ),
        Scene(
            "synthesize",
            ("-m", "medical_image_synthesis", bundle.partition("_")[0], f"{BOX}/in/scan.nii"),
            {"output": f"{BOX}/out/made.nii.gz", "weights": f"{BOX}/in/run/models/model.pt"},
            share=4,
            kinds={"option": 3, "nifti": 1, "name": 4, **SURROUNDINGS},
            inputs={"run": f"runs/{bundle}", "scan.nii": f"files/{bundle}.nii"},
            volumes="scan.nii",
            whole=True,
        ),
    ]


def scenes() -> list[Scene]:
    """All commands; those whose outputs another one begins from come first."""
    translating = [name for name in TRAINING if name not in SAMPLING]
    return [
        *map(training, TRAINING),
        *(_inference(name) for name in translating),
        *(_inference(name, share=5, kinds={"option": 4, "weights": 3, "sidecar": 3}, volumes="") for name in SAMPLING),
        *map(_of_one_file, ("mr2ct_pix2pix", "pd2t2_dcgan_acm")),
        _of_series("mr2ct_pix2pix", "mr", " series", 12),
        _of_series("cect2ct_rescyclegan", "ct", " series", 8),
        _of_series("mr2ct_pix2pix", "mr", " series to series", 4, output_format="dicom"),
        _of_datalist(TRAINED),
        *_again(TRAINED),
        *_small_programs(TRAINED),
    ]


def baseline(prepared: Path, scene: Scene) -> Path:
    """Where the unmutated command's outputs (``out``) and what it said (``said.json``) are kept."""
    return prepared / "baselines" / scene.name


def said(prepared: Path, scene: Scene) -> str:
    return str(json.loads((baseline(prepared, scene) / "said.json").read_text())["text"])
