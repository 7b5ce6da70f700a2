"""Two sites train one model without sharing cases: MONAI's client algorithm, one round, weights aggregated."""

from __future__ import annotations

import json

import pytest
import torch
from bundle_commands import Bundle
from monai.fl.client import MonaiAlgo
from monai.fl.utils.constants import ExtraItems, FlStatistics, WeightType
from monai.fl.utils.exchange_object import ExchangeObject

from common.data.layouts.data_sets import find_cases

BUNDLE = Bundle("mr2ct_pix2pix")
STEPS = 2
LEARNING_RATE = 1e-3


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """Two clients, each with two cases of its own to train on and the same one to validate."""
    root = tmp_path_factory.mktemp("federation")
    phantoms = BUNDLE.parser("train", **{"phantoms::cases": 5, "phantoms::spacing": 5}).get_parsed_content("phantoms")
    phantoms(root / "data")
    cases = find_cases(root / "data", "folders", "mr", "ct", "mask")
    clients = []
    for number, own in enumerate((cases[:2], cases[2:4])):
        datalist = root / f"site_{number}.json"
        datalist.write_text(json.dumps({"training": own, "validation": cases[4:]}))
        settings = {
            "initialize": "%prepare",
            "datalist": str(datalist),
            "output_dir": str(root / f"site_{number}"),
            "samples_per_epoch": STEPS,
            "batch_size": 1,
            "learning_rate": LEARNING_RATE,
            "val_interval": 1,
            "device": torch.device("cpu"),
        }
        clients.append(
            MonaiAlgo(
                str(BUNDLE.folder),
                config_train_filename=["configs/train.yaml", "configs/demo.yaml"],
                config_evaluate_filename=None,
                train_kwargs=settings,
                send_weight_diff=number == 1,  # both ways of sending must work
            )
        )
        clients[-1].initialize(extra={ExtraItems.CLIENT_NAME: f"site_{number}"})
    return clients


@pytest.fixture(scope="module")
def a_round(sites):
    """What the server sent, and what came back from each site."""
    torch.manual_seed(7)
    start = {name: value.detach().clone() for name, value in sites[0].trainer.network.state_dict().items()}
    sent = {name: torch.randn_like(v) * 0.02 if v.dim() == 4 else v.clone() for name, v in start.items()}
    answers = []
    for site in sites:
        site.train(ExchangeObject(weights={name: value.numpy() for name, value in sent.items()}), extra={})
        answers.append(site.get_weights())
    return sent, answers


def test_every_network_travels_the_discriminator_too(a_round):
    sent, _ = a_round
    parts = {name.split(".")[0] for name in sent}
    assert parts == {"generators", "discriminators"}


def test_sites_start_from_what_the_server_sent(a_round):
    sent, (whole, difference) = a_round
    assert whole.weight_type == WeightType.WEIGHTS
    assert difference.weight_type == WeightType.WEIGHT_DIFF
    for name, value in sent.items():
        if value.dim() == 4:
            # Adam moves a weight by at most about the learning rate a step
            assert (whole.weights[name] - value).abs().max() < 3 * STEPS * LEARNING_RATE, name
            assert abs(difference.weights[name]).max() < 3 * STEPS * LEARNING_RATE, name


def test_sites_come_back_with_weights_of_their_own(a_round):
    sent, (whole, difference) = a_round
    for name in (name for name, value in sent.items() if value.dim() == 4):
        own = whole.weights[name] - sent[name]
        other = torch.as_tensor(difference.weights[name])
        assert own.abs().max() > 1e-5, name
        assert not torch.allclose(own, other, atol=1e-7), name


def test_the_mean_of_both_is_a_model_that_both_can_take(sites, a_round):
    sent, (whole, difference) = a_round
    assert whole.statistics[FlStatistics.NUM_EXECUTED_ITERATIONS] == STEPS
    assert difference.statistics[FlStatistics.NUM_EXECUTED_ITERATIONS] == STEPS
    second = {name: value + torch.as_tensor(difference.weights[name]) for name, value in sent.items()}
    mean = {
        name: (whole.weights[name] + second[name]) / 2 if value.is_floating_point() else value
        for name, value in sent.items()
    }
    for site in sites:
        site.trainer.network.load_state_dict(mean)
        made = site.trainer.method.deployed.eval()(torch.zeros(1, 1, 96, 96))
        assert torch.isfinite(made).all()
    first, other = (site.trainer.method.deployed.eval()(torch.ones(1, 1, 96, 96) * 0.3) for site in sites)
    assert torch.equal(first, other)
