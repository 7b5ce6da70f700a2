"""Checks that run a bundle's code: modules, components, MONAI's workflows, networks and weights."""

from __future__ import annotations

import importlib
import socket
from collections.abc import Iterator, Mapping
from pydoc import locate
from typing import Any

import torch
from monai.bundle import ConfigWorkflow
from monai.bundle.config_item import ComponentLocator
from monai.bundle.scripts import _get_fake_spatial_shape
from monai.utils import ensure_tuple
from torch import Tensor, nn

from tools.verify.bundle import Bundle, all_leaves
from tools.verify.files import read_weights
from tools.verify.verdicts import Fault, Found, NotApplicableError, check, deepest, expect, one_line

WORKFLOWS = {"infer": ["inference"], "train": ["train"], "train to evaluate": ["train", "evaluate"]}
"""Configs of each kind of workflow, one over the other; its first word is MONAI's name for it."""
TINY = {"phantoms::cases": 4, "phantoms::spacing": 5, "max_epochs": 1, "batch_size": 2}
"""Settings that keep the data small which bundles generate."""
WEIGHTS = "models/model.pt"
SLACK = 1e-5
"""Of the stated range: float32 rounds."""
REMEDY = "correct metadata or network"
REACHING = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname")
_tried: list[str] = []


def block_network(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook, which cannot be taken away again, that lets nothing in this process reach a network."""
    if event in REACHING and getattr(arguments[0], "family", None) != socket.AF_UNIX:  # workers of a DataLoader
        _tried.append(f"{event} {arguments[event == 'socket.connect']}")
        raise OSError(f"the network is blocked while bundles are verified: {_tried[-1]}")


@check("code.imports")
def imports(bundle: Bundle) -> Found:
    """Every module can be imported."""
    paths = [path.relative_to(bundle.folder).with_suffix("") for path in bundle.sources if path.stem != "__main__"]
    for name in sorted(".".join(path.parts).removesuffix(".__init__") for path in paths):
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # whatever the code does
            yield Fault(f"module {name}", "can be imported", deepest(error), "fix it or install what it needs")


@check("code.targets")
def targets(bundle: Bundle) -> Found:
    """Every _target_ exists."""
    locator = ComponentLocator()
    for name, value in all_leaves(bundle):
        if name.endswith("_target_") and isinstance(value, str) and value[:1] not in "$@%":
            module = ensure_tuple(locator.get_component_module_name(value) if "." not in value else None)[0]
            found = locate(f"{module}.{value}" if module else value)
            yield expect(found, name, "names a component that exists", value, "correct the name")


@check("code.workflows")
def workflows(bundle: Bundle) -> Found:
    """Inference, training and evaluation can be initialised and have the properties of MONAI's workflows.

    At the size of the demo on a few small phantoms; weights that are there know their network, which the demo's size
    would contradict.
    """
    for kind, stems in WORKFLOWS.items():
        fitted = (bundle.folder / WEIGHTS).is_file() and kind != "train"
        listed = [str(bundle.config(stem)) for stem in (stems[0], *([] if fitted else ["demo"]), *stems[1:])]
        settings: dict[str, Any] = {"device": torch.device("cpu")}
        settings |= {key: value for key, value in TINY.items() if key.split("::")[0] in bundle.whole(stems[0])}
        name, meta = f"configs/{stems[-1]}", str(bundle.configs / "metadata.json")
        try:
            workflow = ConfigWorkflow(listed, meta, False, workflow_type=kind.split()[0], **settings)
            workflow.initialize()
            wrong = workflow.check_properties() or []
        except Exception as error:  # whatever the code does
            yield Fault(name, "can be initialised", deepest(error), "fix what raises it")
            continue
        for key in wrong:
            yield Fault(name, f"has the workflow's property {key}", "no such id", "see monai.bundle.properties")


def networks(bundle: Bundle) -> Iterator[tuple[str, nn.Module]]:
    """Every network that metadata describe, with random weights, in evaluation mode on the CPU."""
    for name in sorted(bundle.formats, key=lambda name: name != "network"):
        torch.manual_seed(0)
        yield name, bundle.parser("train").get_parsed_content(f"{name}_def").to("cpu").eval()


def _inputs(sides: Mapping[str, Any], batch: int = 1, n: int = 1) -> Tensor:
    """A random tensor (B, C, ...) as metadata describe the source."""
    tensor = sides["inputs"]["image"]
    low, high = tensor["value_range"] or (-1, 1)
    shape = (batch, tensor["num_channels"], *_get_fake_spatial_shape(tensor["spatial_shape"], n=n))
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * (high - low) + low


def _sound(name: str, pred: Tensor, tensor: Mapping[str, Any]) -> Fault | None:
    """A fault where values are not finite or leave the stated range."""
    if count := int((~torch.isfinite(pred)).sum()):
        return Fault(name, "is finite", f"{count} values that are not", "correct the network, or use other weights")
    low, high = tensor["value_range"] or (-torch.inf, torch.inf)
    slack = SLACK * (high - low) if tensor["value_range"] else 0
    found = f"[{pred.min().item():.4g}, {pred.max().item():.4g}]"
    inside = pred.min() >= low - slack and pred.max() <= high + slack
    return expect(inside, name, f"lies in {[low, high]}", found, "bound the output, or write [] as value_range")


@check("networks.output")
def output(bundle: Bundle) -> Found:
    """Untrained, each has the output that metadata describe, of finite values in range, at two sizes."""
    for name, network in networks(bundle):
        sides = bundle.formats[name]
        tensor = sides["outputs"]["pred"]
        for batch, n in ((2, 1), (1, 2)):
            with torch.no_grad():
                pred = network(_inputs(sides, batch, n))
            case = f"{name}_def, n = {n}"
            shape = (batch, tensor["num_channels"], *_get_fake_spatial_shape(tensor["spatial_shape"], n=n))
            yield expect(tuple(pred.shape) == shape, case, f"has shape {shape}", tuple(pred.shape), REMEDY)
            same = pred.dtype == getattr(torch, tensor["dtype"])
            yield expect(same, case, f"has dtype {tensor['dtype']}", pred.dtype, REMEDY)
            yield _sound(case, pred, tensor)


@check("networks.weights")
def weights(bundle: Bundle) -> Found:
    """Those of a release fit its network, key by key, and give finite values in range."""
    path = bundle.folder / WEIGHTS
    if not (bundle.packed and path.is_file()):
        raise NotApplicableError(f"no release with {WEIGHTS}")
    name, network = next(networks(bundle))
    try:
        network.load_state_dict(read_weights(path))
    except RuntimeError as error:
        yield Fault(WEIGHTS, f"has the weights of {name}_def, key by key", one_line(error, 600), "pack it again")
        return
    with torch.no_grad():
        pred = network(_inputs(bundle.formats[name]))
    # a one-hot class is part of a latent vector, and random numbers are none
    yield None if bundle.latent else _sound(f"{name}_def, trained", pred, bundle.formats[name]["outputs"]["pred"])


@check("code.offline")
def offline(bundle: Bundle) -> Found:
    """None of the checks before reached for a network."""
    for what in sorted(set(_tried)):
        yield Fault("the bundle's code", "reaches no network", what, "ship what it fetches")
