"""Release zips for platforms that refuse bundles with Python: a TorchScript network and MONAI's own classes."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import torch
import yaml
from monai.bundle import ConfigParser
from monai.data import save_net_with_metadata
from torch import nn

from common.errors import ConfigError
from common.stitching import PlaneInferer
from common.transforms import AirOutsideBodyd, ScaleWindowd, StandardiseHeadd, ToUnitd
from common.transforms.body import COARSE_MM
from common.weights import checkpoints
from common.weights.info import bundle_metadata, read_info
from medical_image_synthesis.catalogue import Bundle
from tools.release.pack import archive, overlay
from tools.release.pack.release import MODEL, model_info, weights_of, write_zip
from tools.release.python_free import networks

HERE = Path(__file__).parent
FOLDER = "python_free"
"""In ``dist``: zips have the names of those with code."""
NETWORK, UNIT = "models/model.ts", "models/to_unit.ts"
AT_ONCE = 16
"""Slices."""
NEEDED = ("pytorch-ignite", "nibabel", "fire")
"""Packages besides MONAI, PyTorch and NumPy."""


def translates_volumes(root: Path, bundle: str) -> bool:
    """Whether a bundle has weights, shipped or trained in its own folder, that take volumes and no k-space."""
    known = Bundle(bundle, root / "bundles" / bundle)
    return known.weights is not None and not known.takes_kspace


def python_free(root: Path, bundle: str, run: Path | None = None) -> dict[str, bytes]:
    """Every file of the release of a bundle with weights, by its path inside the bundle's folder.

    Args:
        root: of the repository.
        bundle: its name.
        run: the folder of the training whose weights are packed; by default the bundle's own.

    Raises:
        ConfigError: for a bundle without weights, or whose inference has a step that no form without Python has.
    """
    folder = root / "bundles" / bundle
    sources = weights_of(folder, run or folder)
    if MODEL not in sources:
        raise ConfigError(f"{bundle} has no weights", "train it, or choose a bundle that ships some")
    about = read_info(sources[MODEL])
    about.require_safe()
    settings = overlay.of_weights(about, (folder / "configs" / "inference.yaml").read_text())
    parser = ConfigParser(yaml.safe_load(settings))
    network = parser.get_parsed_content("network_def").eval()
    checkpoints.load_weights(network, about.path)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, but all that MONAI's own loader reads
        model, to_unit = _scripted(Steps(bundle, parser), network)
    metadata = _metadata(bundle_metadata(folder), parser, to_unit is not None)
    made_by = f"{bundle} {metadata['version']}" + (", simulation-trained" if about.origin else "")
    config = _config(made_by, parser, to_unit is not None)
    files = {place: (folder / place).read_bytes() for place in ("LICENSE", "docs/data_license.txt")}
    files |= {
        "configs/inference.json": _json(config),
        "configs/metadata.json": _json(metadata),
        "configs/logging.conf": (folder / "configs" / "logging.conf").read_bytes(),
        "docs/README.md": Template((HERE / "card.txt").read_text()).substitute(metadata, bundle=bundle).encode(),
        NETWORK: _saved(model, metadata, {"inference.json": _json(config)}),
    } | ({UNIT: _saved(to_unit, {}, {})} if to_unit is not None else {})
    info: dict[str, str | None] = {"name": bundle, "version": str(metadata["version"]), "made_from": about.sha256}
    return files | {"model_info.json": model_info(info, files)}


def written(root: Path, bundles: Sequence[str], run: Path | None, out: Path) -> list[Path]:
    """Write zips in the folder ``python_free``, see :func:`python_free`.

    TorchScript numbers the classes of a process: each bundle has one of its own, and its zip the same bytes each time.
    """
    with get_context("spawn").Pool(1, maxtasksperchild=1) as fresh:
        return fresh.map(partial(_written, root, run, out / FOLDER), bundles, chunksize=1)


def _written(root: Path, run: Path | None, out: Path, bundle: str) -> Path:
    return write_zip(python_free(root, bundle, run), out)


class Steps:
    """The steps of a bundle's inference, each found by its class, or refused."""

    def __init__(self, bundle: str, parser: ConfigParser) -> None:
        self.bundle, self.spacing = bundle, list(parser.get_parsed_content("spacing") or [])
        self.require(not parser.get("mirrored"))
        inferer: Any = parser.get_parsed_content("inferer")
        steps = [inferer]
        while hasattr(steps[-1], "inferer"):
            steps.append(steps[-1].inferer)
        for name in ("preprocessing", "postprocessing"):
            steps += parser.get_parsed_content(name).transforms
        self.found = [each for each in steps if tuple(getattr(each, "keys", ())) != ("label",)]

    def of(self, kind: type) -> Any:
        """The step of a class; None without one."""
        return next((each for each in self.found if isinstance(each, kind)), None)

    def require(self, holds: object) -> None:
        """Refuse an inference that has no form without Python.

        Raises:
            ConfigError: where something does not hold.
        """
        if not holds:
            raise ConfigError(f"the inference of {self.bundle} has no form without Python", "omit PYTHON_FREE")


def _scripted(steps: Steps, network: Any) -> tuple[Any, Any]:
    """The network of volumes; what gives its output its unit on the scan's grid, or None where that is no step."""
    if steps.of(StandardiseHeadd):
        return _standardised(steps, network), None
    return (_mr_to_ct if steps.of(ScaleWindowd).percentiles else _ct_to_ct)(steps, network)


def _mr_to_ct(steps: Steps, network: Any) -> tuple[Any, Any]:
    scale, unit, air = (steps.of(kind) for kind in (ScaleWindowd, ToUnitd, AirOutsideBodyd))
    steps.require(scale.clip and len(steps.spacing) == 3 and unit and unit.clip and air and air.largest)
    steps.require(all(round(COARSE_MM / s) <= 1 for s in steps.spacing))
    line = unit.piecewise
    heights = np.interp(line.even, [-1, 1], [line.low, line.high]).tolist()
    slabs = _slabs(steps, network)
    model = networks.MrToCt(slabs, list(map(float, scale.percentiles)), list(map(float, steps.spacing)))
    return torch.jit.script(model), torch.jit.script(networks.ToUnit(line.bent, heights, air.air, air.margin_mm))


def _ct_to_ct(steps: Steps, network: Any) -> tuple[Any, None]:
    scale, unit, air = (steps.of(kind) for kind in (ScaleWindowd, ToUnitd, AirOutsideBodyd))
    steps.require(scale.clip and not steps.spacing and unit and unit.clip and not (air and air.largest))
    steps.require(list(scale.window) == [unit.piecewise.low, unit.piecewise.high])
    return torch.jit.script(networks.CtToCt(_slabs(steps, network), list(map(float, scale.window)))), None


def _slabs(steps: Steps, network: Any) -> networks.Slabs:
    planes = steps.of(PlaneInferer)
    steps.require(planes and not planes.roi_size)
    traced = _traced(steps, network, planes.neighbours, [max(planes.multiple_of, 64)] * 2)
    return networks.Slabs(traced, planes.axis, planes.neighbours, AT_ONCE, planes.multiple_of, planes.cval)


def _standardised(steps: Steps, network: Any) -> Any:
    steps.require(len(network.stages) == 1 and getattr(network.stages[0], "neighbours", None))
    slabs = _slabs(steps, network.stages[0].network)
    return torch.jit.script(networks.Standardised(slabs, network.target_scale.tolist()))


def _traced(steps: Steps, network: nn.Module, channels: int, sides: list[int]) -> Any:
    """A 2-D network as TorchScript, refused where it does not take other batches, or gives more than one channel."""
    traced = torch.jit.trace(network, torch.rand(2, channels, *sides), check_trace=False)
    seen = torch.rand(3, channels, *sides)
    made = network(seen)
    steps.require(made.shape[1] == 1 and torch.allclose(traced(seen), made, atol=1e-5))
    return traced


def _config(made_by: str, parser: ConfigParser, has_unit: bool) -> dict[str, Any]:
    """The config with what is the bundle's own."""
    config: dict[str, Any] = yaml.safe_load((HERE / "inference.yaml").read_text())
    if parser["spacing"]:
        config["preprocessing"]["transforms"][-1]["pixdim"] = parser["spacing"]
    else:
        del config["preprocessing"]["transforms"][-1]
    steps, output = config["postprocessing"]["transforms"], parser["output"]
    steps[-1]["output_postfix"] = output["suffix"]
    config |= {"output_dtype": parser["output_dtype"], "description": f"SYNTHETIC {made_by}, not for clinical use"}
    if has_unit:
        function = f"$torch.jit.load(@bundle_root + '/{UNIT}', map_location=@device).forward"
        steps.insert(1, {"_target_": "Activationsd", "keys": "pred", "other": function})
    return config


def _metadata(metadata: dict[str, Any], parser: ConfigParser, has_unit: bool) -> dict[str, Any]:
    """The bundle's, with the tensors of the network of volumes, and without what belongs to the code alone."""
    kinds = {name: metadata["network_data_format"]["inputs"]["image"][name] for name in ("type", "format", "modality")}
    image = kinds | {"num_channels": 1, "spatial_shape": ["*"] * 3, "dtype": "float32", "value_range": [],
                     "is_patch_data": False, "channel_def": {"0": "scan"}}  # fmt: skip
    output = parser["output"]
    named = {"0": "CT scaled to [-1, 1]", "1": "distance from the body in mm"} if has_unit else {"0": output["unit"]}
    pred = image | {"modality": output["modality"], "num_channels": len(named), "channel_def": named}
    kept = {key: value for key, value in metadata.items() if not key.endswith("_data_format") and key != "traits"}
    packages = {name: version for name, version in kept["required_packages_version"].items() if name in NEEDED}
    tensors = {"inputs": {"image": image}, "outputs": {"pred": pred}}
    return {**kept, "required_packages_version": packages, "network_data_format": tensors}


def _saved(network: Any, metadata: Mapping[str, Any], more: Mapping[str, bytes]) -> bytes:
    """TorchScript with metadata inside, where MONAI's ``load_net_with_metadata`` finds them; without lines of code and
    paths of this machine, which it would show in tracebacks.
    """
    whole, kept = io.BytesIO(), io.BytesIO()
    save_net_with_metadata(network, whole, include_config_vals=False, meta_values=metadata, more_extra_files=more)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(kept, "w", zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            if not name.endswith(".debug_pkl"):
                target.writestr(zipfile.ZipInfo(name, archive.DATE), source.read(name))
    return kept.getvalue()


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=4) + "\n").encode()
