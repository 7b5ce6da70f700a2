"""The way back: does the network of the opposite direction give a source back from what was synthesised of it?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from monai.bundle.config_parser import ConfigParser
from torch import Tensor, nn

from ...errors import ConfigError
from ...weights import checkpoints
from ...weights.info import read_info


class InverseNetwork:
    """The generator of the opposite direction, which a cycle-consistent training keeps next to its weights.

    It takes outputs of the other generator as they are, without a change of unit or grid, as in the cycle of the
    training (Zhu et al. 2017, equation 2).

    Args:
        path: of its weights.
        device: to compute on.

    Raises:
        CheckpointError: they are missing, or nothing is known of them.
        ConfigError: the way there takes slabs of slices, which the way back does not.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        about = read_info(path)
        about.require_safe()
        settings = about.settings
        if (neighbours := settings.get("neighbours", 1)) != 1:
            rule, remedy = "is for networks of single slices", "omit the option"
            raise ConfigError("--quality::inverse", rule, f"neighbours {neighbours}", remedy)
        network: nn.Module = ConfigParser(dict(settings)).get_parsed_content("network_def")
        checkpoints.load_weights(network, path)
        self.device = device
        self.network = network.to(device).eval()
        self.sha256 = checkpoints.sha256(path)

    def __call__(self, output: Tensor, inferer: Callable[[Tensor, nn.Module], Tensor]) -> Tensor:
        """What the way back makes of an output of the way there.

        Args:
            output: (C', X, Y, Z) as the network gave it.
            inferer: of the way there.

        Returns:
            (C, X, Y, Z) as the network took its source, in host memory.
        """
        with torch.no_grad():
            return inferer(output[None].to(self.device), self.network)[0].cpu()


def inverse_of(weights: Path) -> Path:
    """Where the weights of the opposite direction lie, if there are any."""
    return weights.with_name(f"{weights.stem}_backward.pt")
