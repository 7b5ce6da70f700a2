"""A row for each training of shipped weights, and for each that shows what such weights do on unseen scans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tools.checks.train_weights import fast_mr, low_dose


class Training(NamedTuple):
    """Bundle, overlays on ``train.yaml``, options as written in a command, and the name of exported weights, if any.

    ``DATA`` in an option stands for the folder of the program's ``--data``.
    """

    bundle: str
    overlays: tuple[str, ...]
    options: Mapping[str, str]
    weights: str = ""

    @property
    def run_name(self) -> str:
        """Folder of its run in that of the outputs."""
        return "pretraining" if "pretrain" in self.overlays else "."


LOW_DOSE = {
    "max_epochs": "30",
    "constant_epochs": "20",
    "decay_epochs": "10",
    "val_interval": "5",
    "ema_decay": "0.999",
    "batch_size": "8",
    "samples_per_epoch": "1600",
    "learning_rate": "1.0e-3",
    "augmentation": "{'flip': 0.5}",
}
"""Noise is not resampled."""

HEADS = {"label_maps": "DATA/heads"}
LONG = {"max_epochs": "400", "constant_epochs": "100", "decay_epochs": "300", "val_interval": "50"}
"""40,000 steps; after 5,600 the weights were not good enough to ship."""
PRETRAININGS = {
    "mr2ct": Training("mr2ct_pix2pix", ("pretrain",), HEADS, "pretrained_mr2ct_basicunet.pt"),
    "pd2t2": Training("pd2t2_dcgan_acm", ("pretrain",), HEADS, "pretrained_pd2t2_residualunet.pt"),
    "mri_unrolled": Training("mri_dagan", ("pretrain", "unrolled"), HEADS, "simulated.pt"),
    "t1": Training("mr2ct_pix2pix", ("pretrain", "t1"), HEADS | LONG),
    "cect2ct": Training("cect2ct_rescyclegan", ("pretrain",), HEADS, "pretrained.pt"),
}
"""On simulated heads alone, as their ``pretrain.yaml`` has it."""


def _low_dose(datalist: str, weights: str = "") -> Training:
    options = LOW_DOSE | {"datalist": f"DATA/{datalist}.json"}
    return Training("ldct_wgan_vgg", ("all_doses",), options, weights)


KSPACE = {
    "pretrained": "true",
    "shipped_weights": "simulated.pt",
    "max_epochs": "8",
    "constant_epochs": "4",
    "decay_epochs": "4",
    "val_interval": "8",
    "keep": "last",
    "samples_per_epoch": "1100",
    "learning_rate": "1.0e-3",
    "precision": "bf16",
}
"""From weights of simulated heads on. Shipped weights had two runs: 5,500 steps without heads, then 3,300 with."""


def _kspace(datalist: str, weights: str = "") -> Training:
    return Training("mri_dagan", ("unrolled",), KSPACE | {"datalist": f"DATA/{datalist}.json"}, weights)


TRAININGS = (
    PRETRAININGS
    | {f"ldct_{scan}": _low_dose(scan) for scan in low_dose.SCANS}
    | {"ldct": _low_dose(low_dose.ALL, "pretrained_ldct_chain.pt")}  # on all scans; the others tell how good it is
    | {f"mri_{patient}": _kspace(patient) for patient in fast_mr.PATIENTS}
    | {"mri": _kspace(fast_mr.ALL, "pretrained_mri_unrolled.pt")}
)
