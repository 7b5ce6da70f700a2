"""The bundles that stand in the repository, and their commands as a user types them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import in_process
import nibabel as nib
import numpy as np
from monai.bundle import ConfigParser
from PIL import Image

from common.config import read_config
from common.errors import UserError, user_error_in
from common.raw_settings import settings_of
from common.weights import info

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = sorted(path.parents[1].name for path in ROOT.glob("bundles/*/configs/train.yaml"))
ONE_OF_EACH = ["mr2ct_pix2pix", "lesion_dcgan_aug"]
"""A bundle of pairs and one of patches by class; each has a selection of cases of its own."""
WHOLE = ("train", "inference", "study")
"""Configs that are each complete in one file; a study is a task of bundles that have one. The others are overlays."""
LINE = re.compile(r"error: .+[:;] .+")
"""Fault and remedy, on the last line of stderr."""
TINY = {"max_epochs": 1, "samples_per_epoch": 8, "val_interval": 1, "batch_size": 2}
"""Settings beside those of the demo overlay that end a training within two seconds."""


def _typed(value: Any) -> str:
    """A value as it is typed; MONAI takes the word None as an option that was not given."""
    return "null" if value is None else str(value)


@dataclass(frozen=True)
class Bundle:
    """A bundle's folder, in the repository or in a copy of it."""

    name: str
    root: Path = ROOT

    @property
    def folder(self) -> Path:
        return self.root / "bundles" / self.name

    @property
    def configs(self) -> Path:
        return self.folder / "configs"

    @property
    def overlays(self) -> list[Path]:
        return [path for path in sorted(self.configs.glob("*.yaml")) if path.stem not in WHOLE]

    @property
    def conditional(self) -> bool:
        """Whether there is a source to synthesise from.

        Bundles that synthesise from a latent vector and a class have no pairs, no copied input and no grid to keep:
        tests marked ``translation`` are not for them, their own test files say what holds instead.
        """
        return self.traits["translation"]

    @cached_property
    def traits(self) -> dict[str, Any]:
        """What holds for this bundle and not for all, as its metadata state it."""
        return json.loads((self.configs / "metadata.json").read_text())["traits"]

    @property
    def ending(self) -> str:
        """Of the files that it reads and writes by default."""
        return ".png" if self.traits.get("pictures") else ".nii.gz"

    @property
    def baseline(self) -> str:
        """Row of the evaluation without a network: the source as it is, or by a line fitted on the training cases."""
        return "linear_fit" if self.own("evaluate")["evaluation"].get("linear_fit", True) else "copy_input"

    @property
    def variants(self) -> dict[str, Path]:
        """Overlays that train a variant of the method, by the name that they give it."""
        named = {self.own(path.stem).get("variant"): path for path in self.overlays}
        return {name: path for name, path in named.items() if name}

    @property
    def compared(self) -> str:
        """The variant that tests train next to the method."""
        return next(name for name in ("no_adversarial", "acgan", "vae") if name in self.variants)

    @property
    def few_samples(self) -> dict[str, Any]:
        """Settings that make an evaluation of samples short; none where volumes are translated."""
        return {} if self.conditional else {"samples": 20}

    @property
    def stages(self) -> int:
        """How many times ``max_epochs`` a training of the demo has: stages of a cascade follow each other."""
        return self.raw("train", "demo").get("stages", 1)

    @property
    def small_patches(self) -> dict[str, Any]:
        """The setting that makes the steps of a method on 3-D patches short; none for the others."""
        return {"patch_size": [16, 16, 16]} if isinstance(self.raw("train").get("patch_size"), list) else {}

    def files(self, *configs: str) -> list[str]:
        return [str(self.configs / f"{name}.yaml") for name in configs]

    def own(self, config: str) -> dict[str, Any]:
        """One file as it stands; an overlay may name a leaf as ``a::b``."""
        return ConfigParser.load_config_file(self.configs / f"{config}.yaml")

    def raw(self, *configs: str) -> dict[str, Any]:
        """The merged files as MONAI merges them, before anything is resolved."""
        parser = ConfigParser()
        parser.read_config(self.files(*configs))
        return {key: value for key, value in parser.get().items() if key != ConfigParser.meta_key}

    def parser(self, *configs: str, **settings: Any) -> ConfigParser:
        """The configuration in this process, with settings overridden as on the command line (``a::b`` for a leaf)."""
        return read_config(self.files(*configs), **settings)

    def arguments(self, run_id: str | None, configs: Sequence[str], settings: Mapping[str, Any]) -> list[str]:
        """``-m monai.bundle run ...``; configs by their stem, or by a path."""
        files = [name if name.endswith(".yaml") else str(self.configs / f"{name}.yaml") for name in configs]
        listed = files[0] if len(files) == 1 else "[" + ",".join(f"'{file}'" for file in files) + "]"
        words = ["-m", "monai.bundle", "run", *([run_id] if run_id else []), "--config_file", listed]
        return words + [word for key, value in settings.items() for word in (f"--{key}", _typed(value))]

    def words(self, run_id: str | None, configs: Sequence[str], settings: Mapping[str, Any]) -> list[str]:
        return [sys.executable, "-W", "ignore", *self.arguments(run_id, configs, settings)]

    def run(
        self, run_id: str | None, configs: Sequence[str], cwd: Path = ROOT, **settings: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end in this process and return exit code, stdout and stderr; a copy uses its own packages."""
        path = [] if self.root == ROOT else [self.root, self.folder]
        return in_process.run("monai.bundle", *self.arguments(run_id, configs, settings)[2:], cwd=cwd, path=path)

    def run_anew(self, run_id: str | None, configs: Sequence[str], **settings: Any) -> subprocess.CompletedProcess[str]:
        """The same in a Python that is started for it, as a user starts it."""
        words = self.words(run_id, configs, settings)
        done = subprocess.run(words, cwd=ROOT, env=self.environment(), capture_output=True, timeout=600)
        return subprocess.CompletedProcess(words, done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, run_id: str, configs: Sequence[str], log: Path, **settings: Any) -> subprocess.Popen[bytes]:
        """Start such a Python and return at once; everything it prints goes to ``log``."""
        with open(log, "wb") as file:
            words = self.words(run_id, configs, settings)
            return subprocess.Popen(words, cwd=ROOT, env=self.environment(), stdout=file, stderr=subprocess.STDOUT)

    def environment(self) -> dict[str, str]:
        """On the CPU, where equality of bits is promised; a copy of the repository uses its own packages."""
        own = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        if self.root != ROOT:
            own["PYTHONPATH"] = os.pathsep.join([str(self.root), str(self.folder)])
        return {**os.environ, **own}


def save_drawn(parser: ConfigParser, bundle: Bundle, path: Path) -> Path:
    """Weights of a configuration's network as it is drawn, with what is known of them."""
    about = info.described(settings_of(parser), bundle.name)
    info.save(parser.get_parsed_content("network_def").state_dict(), path, about)
    return path


def voxels(path: str | Path) -> np.ndarray:
    """The values of a NIfTI file, or the levels of a picture."""
    return np.asarray(Image.open(path) if str(path).endswith(".png") else nib.load(path).dataobj)


def run_files(bundle: Bundle) -> set[str]:
    """What a training writes into its folder; a method with a way back keeps that generator too."""
    own = {"datalist.json", "log.csv", "run.json", "models/.lock", "models/last_checkpoint.pt", "models/model.pt"}
    own.add("models/model.json")
    more = (
        {"models/model_backward.pt", "models/model_backward.json"} if "backward_def" in bundle.own("train") else set()
    )
    return own | more


def ok(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """The finished command, if it ended well; otherwise what it said last."""
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
    return done


def last_line(text: str) -> str:
    """The last line that is not blank; a progress bar that returns to the start of its line is still on it."""
    return text.rstrip().split("\n")[-1]


def refused(done: subprocess.CompletedProcess[str], pattern: str) -> None:
    """The command ended as one that the user can fix: exit code 2, and the last line says how."""
    line = last_line(done.stderr)
    assert LINE.fullmatch(line), done.stderr[-2000:]
    assert re.search(pattern, line), line
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


def mistake(error: BaseException) -> UserError:
    """The user's mistake in a chain of errors, which MONAI wraps while it instantiates."""
    cause = user_error_in(error)
    assert cause is not None, f"no mistake of the user in {error!r}"
    return cause


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file under a folder with its bytes; caches of Python itself left out."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
