"""Auto-context cascades: generators in sequence; each takes the source and the output of the one before."""

# TorchScript reads the annotation of in_use, which therefore is not deferred
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .strict_loading import refuse_other_weights


class Cascade(nn.Module):
    """Stages in sequence, as one network: y_1 = G_1(x), y_k = G_k([x, y_{k-1}]) (auto-context, Tu and Bai 2010).

    Input (B, C, X, Y, Z), output (B, C', X, Y, Z) of the last stage in use. The number of stages in use is saved with
    the weights, so that a cascade whose training is not finished never uses an untrained stage. On a patch every stage
    takes a patch; :class:`common.stitching.CascadeInferer` gives it the whole stitched image instead.

    Args:
        stages: the first takes C channels, the others C + C'.
        in_channels: C.
    """

    in_use: Tensor

    def __init__(self, stages: Sequence[nn.Module], in_channels: int = 1) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.stages = nn.ModuleList(stages)
        self.register_buffer("in_use", torch.tensor(len(stages)))
        refuse_other_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Output of the last stage in use, for stages that all take the same region ``x``."""
        y = x
        for number, stage in enumerate(self.stages):
            if number == 0:
                y = stage(x)
            else:
                later = stage(torch.cat([x, y], dim=1))
                # an export to ONNX could not follow a branch on the value of a tensor
                y = torch.where(self.in_use > number, later, y)
        return y


class SingleStage(Cascade):
    """One network of any kind in the place of a cascade, so that the same training and inference take it.

    Args:
        stage: takes C channels.
        in_channels: C.
        scaled: whether the weights keep ``target_scale``, mean and standard deviation of the training targets, as those
            of a network of z-scores do.
    """

    def __init__(self, stage: nn.Module, in_channels: int = 1, scaled: bool = False) -> None:
        super().__init__([stage], in_channels)
        if scaled:
            self.register_buffer("target_scale", torch.tensor([0.0, 1.0]))
