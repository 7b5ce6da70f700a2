"""Two sites train mr2ct_pix2pix without sharing images: federated averaging in the simulator of NVIDIA FLARE.

    python -m venv federated-venv
    federated-venv/bin/pip install -r examples/federated/requirements.txt -r requirements.txt
    federated-venv/bin/pip install --no-deps -e .
    federated-venv/bin/python examples/federated/job.py OUTPUT

OUTPUT then has ``start.pt`` (the weights that the server began with), ``sites/<name>`` (phantoms of the site, and what
it received and sent), ``simulation`` (NVIDIA FLARE's workspace) and ``model.pt``, the mean over the sites of the last
round, each weighted by its steps: the deployed network alone, as inference of the bundle takes it.
Environment, limits and what was run: docs/how-to/deployment.md. For research; not for clinical use.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from monai.bundle import ConfigParser
from mr2ct_pix2pix import bundle_root
from nvflare.app_opt.pt.file_model_persistor import PTFileModelPersistor
from nvflare.app_opt.pt.recipes.fedavg import FedAvgRecipe
from nvflare.recipe import SimEnv
from nvflare.recipe.utils import set_per_site_config

from common.config import read_config
from common.errors import ConfigError, OutputError, TrainingError, UserError
from common.raw_settings import settings_of
from common.simulation.dataset import check_at_least
from common.simulation.mr_ct_pairs import write_mr2ct
from common.training.methods.base import GanMethod
from common.weights import checkpoints, info

HERE = Path(__file__).resolve().parent
NAME = "mr2ct_fedavg"
CASES = {"site-1": 5, "site-2": 4}
"""Heads of each site, of whom its split takes 3 and 2 to train on: sites of unlike size weigh unlike."""
SEED = 0


def demo() -> ConfigParser:
    """The demo's training."""
    return read_config([f"{bundle_root()}/configs/{name}.yaml" for name in ("train", "demo")])


def method() -> GanMethod:
    """All networks of the demo with their initial weights."""
    torch.manual_seed(SEED)
    return demo().get_parsed_content("method")


def prepare(output: Path, spacing: float) -> None:
    """Write each site's phantoms, of heads that no other site has, and the weights to begin with.

    Raises:
        ConfigError: a place whose name NVIDIA FLARE would cut in two, or a number out of range.
        OutputError: ``output`` holds something already or cannot be written.
    """
    if any(character.isspace() for character in f"{output}{HERE}"):
        blank = output if any(character.isspace() for character in str(output)) else HERE
        raise ConfigError(f"{blank} has a blank in its name", "choose another place for OUTPUT and the repository")
    if output.exists() and any(output.iterdir()):
        raise OutputError(f"{output} holds files", "choose an empty or new OUTPUT")
    for number, (site, cases) in enumerate(CASES.items()):
        write_mr2ct(output / "sites" / site / "data", cases=cases, spacing=spacing, seed=SEED + number)
    checkpoints.save(method().state_dict(), output / "start.pt")


def simulate(output: Path, rounds: int) -> Path:
    """Run the job and return the global model of its last round, with the weights of all networks under ``model``.

    The server needs a file of weights and no code of the bundle; the sites have bundle, data and settings.

    Raises:
        TrainingError: a site or the server failed.
    """
    recipe = FedAvgRecipe(
        name=NAME,
        min_clients=len(CASES),
        num_rounds=rounds,
        train_script=str(HERE / "client.py"),
        model_persistor=PTFileModelPersistor(source_ckpt_file_full_name=str(output / "start.pt")),
    )
    places = {site: f"--site {output / 'sites' / site} --settings {HERE / 'site.yaml'}" for site in CASES}
    set_per_site_config(recipe, {site: {"train_args": words} for site, words in places.items()})
    workspace = output / "simulation"
    try:
        recipe.run(SimEnv(clients=list(CASES), num_threads=len(CASES), workspace_root=str(workspace)))
    except RuntimeError as error:  # of SimEnv, whatever failed where
        logs = workspace / NAME
        raise TrainingError(f"{NAME} failed ({error})", f"read {logs}/*/error_log.txt") from error
    return workspace / NAME / "server" / "simulate_job" / "app_server" / "FL_global_model.pt"


def deploy(made: Path, output: Path) -> None:
    """Write the deployed network of a global model as the bundle's inference loads it."""
    networks = method()
    networks.load_state_dict(checkpoints.load(made)["model"])
    about = info.described(settings_of(demo()), "mr2ct_pix2pix")
    info.save(networks.deployed.state_dict(), output / "model.pt", about)


def main() -> int:
    """Prepare, simulate, deploy; 2 where an option or the output cannot be used, or a site failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="a folder that is empty or does not exist yet")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--spacing", type=float, default=2.5, help="voxel size of the phantoms in mm")
    options = parser.parse_args()
    output = options.output.resolve()
    try:
        check_at_least("rounds", options.rounds, 1)
        prepare(output, options.spacing)
        deploy(simulate(output, options.rounds), output)
        print(f"mean of {len(CASES)} sites after {options.rounds} rounds: {output / 'model.pt'}")
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
