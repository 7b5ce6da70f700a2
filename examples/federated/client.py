"""One site of the federation: in each round, train on the site's own images and send the weights of all networks.

NVIDIA FLARE runs this script at every site (see job.py); by hand it has no server to talk to.

``MonaiAlgo`` trains with the bundle's own trainer, as installed at the site. Images stay where they are. What the site
last received and sent is kept in its folder, as ``run/received.pt`` and ``run/sent.pt``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import nvflare.client as flare
from monai.fl.client import MonaiAlgo
from monai.fl.utils.constants import ExtraItems, FlStatistics
from monai.fl.utils.exchange_object import ExchangeObject
from mr2ct_pix2pix import bundle_root
from nvflare.apis.fl_constant import FLMetaKey

from common.weights import checkpoints


def trainer_of(site: Path, settings: Path, name: str) -> MonaiAlgo:
    """The bundle's training at demo size, on ``site/data``, one epoch a round; its records go to ``site/run``."""
    algorithm = MonaiAlgo(
        bundle_root(),
        local_epochs=1,
        send_weight_diff=False,
        config_train_filename=["configs/train.yaml", "configs/demo.yaml", str(settings)],
        config_evaluate_filename=None,
        train_kwargs={"initialize": "%prepare", "dataset_dir": str(site / "data"), "output_dir": str(site / "run")},
    )
    algorithm.initialize(extra={ExtraItems.CLIENT_NAME: name})
    return algorithm


def a_round(algorithm: MonaiAlgo, received: flare.FLModel, run: Path) -> flare.FLModel:
    """Train from the weights received; the answer counts as many times as there were steps."""
    checkpoints.save(received.params, run / "received.pt")
    algorithm.train(ExchangeObject(weights=received.params), extra={})
    answer = algorithm.get_weights()
    steps = answer.statistics[FlStatistics.NUM_EXECUTED_ITERATIONS]
    checkpoints.save({"weights": answer.weights, "steps": steps}, run / "sent.pt")
    workflow: Any = algorithm.train_workflow
    validator = workflow.parser.get_parsed_content("validate::evaluator")
    found = {**workflow.trainer.state.metrics, **validator.state.metrics}
    print(f"round {received.current_round}: {steps} steps, " + ", ".join(f"{key} {found[key]:.4g}" for key in found))
    meta = {FLMetaKey.NUM_STEPS_CURRENT_ROUND: steps}
    return flare.FLModel(params_type=flare.ParamsType.FULL, params=answer.weights, meta=meta)


def main() -> None:
    """Answer the server until it ends the job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", type=Path, required=True, help="folder with the site's data/<case>/*.nii.gz")
    parser.add_argument("--settings", type=Path, required=True, help="the site's own settings, a YAML file")
    options = parser.parse_args()
    flare.init()
    algorithm = trainer_of(options.site, options.settings, flare.get_site_name())
    while flare.is_running():
        received = flare.receive()
        if received is not None:  # the server has ended the job meanwhile
            flare.send(a_round(algorithm, received, options.site / "run"))
    algorithm.finalize()


if __name__ == "__main__":
    main()
