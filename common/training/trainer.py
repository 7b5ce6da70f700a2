"""The trainer of all methods: seeds, averaging over processes, bookkeeping, deployed weights."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents
from monai.utils import CommonKeys
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .. import devices
from ..errors import ConfigError
from ..runs.acceleration import Acceleration
from ..seeds import derive
from . import resume
from .cuda_graph import GraphedStep
from .methods.base import GanMethod
from .nonfinite import FiniteWatch
from .schedules import ConstantThenLinear
from .step import GanStep

logger = logging.getLogger(__name__)
CHANNELS = re.compile(r"expected input\[[\d, ]+\] to have (\d+) channels, but got (\d+) channels")
"""PyTorch's error of a convolution."""
WITHIN_A_STEP = (
    IterationEvents.FORWARD_COMPLETED,
    IterationEvents.LOSS_COMPLETED,
    IterationEvents.BACKWARD_COMPLETED,
)
"""Events that a step replayed as a CUDA graph cannot fire."""


class SynthesisTrainer(SupervisedTrainer):
    """Train a :class:`~common.training.methods.base.GanMethod`: forward of the generators, then discriminators, then
    generators.

    ``state.output`` holds IMAGE, LABEL, PRED, LOSS (the generators' weighted sum) and every named loss, detached; after
    each epoch ``state.metrics`` holds the means of the losses over the epoch and ``learning_rate``.

    Every step draws its random numbers from (seed, step, process), and the sampler its order and augmentation from
    (seed, epoch), so that an interrupted and resumed run of one process repeats an uninterrupted one. With several
    processes, checkpoints hold the image pools of the first one and, within an epoch, its batch statistics.

    Gradients are averaged over processes here, not by DistributedDataParallel: its reducer expects one backward pass
    through all parameters for each forward, while a discriminator runs three times in each step, once of them frozen.

    Args:
        device: where the networks go.
        max_epochs: total epochs, including those before a resume.
        train_data_loader: yields batches with ``image``, ``label`` and ``case``; its sampler may have ``set_epoch``.
        method: the networks and losses.
        optimizer: creates an optimiser from parameters; called for the generators and for the discriminators.
        schedule: creates a learning-rate schedule from an optimiser, stepped after each epoch; None: constant.
        precision: ``fp32``, ``bf16`` or ``fp16`` (autocast; fp16 with a gradient scaler).
        accumulation_steps: batches whose gradients are averaged for one update, fewer for the last one of an epoch.
            The discriminators are updated before the generators' loss of the last of these batches.
        acceleration: see :class:`~common.runs.acceleration.Acceleration`; each ``true``, ``false`` or ``auto``.
            Where ``cuda_graph`` is on, the next step overwrites the tensors of ``state.output``.
        ema_decay: decay per step of the moving average of the deployed network (None: off). Validation and ``model.pt``
            use the average.
        clip_norm: largest norm of a gradient, over the generators and over the discriminators (None: off).
        critic_steps: n updates of the discriminators for one of the generators, each on a batch of its own (Arjovsky et
            al. 2017, algorithm 1, with n = 5). Every n-th step updates the generators too, whose losses are means over
            these steps. Without effect where no discriminator is trained.
        discriminator_rate: learning rate of the discriminators (two time-scales, Heusel et al. 2017); None: that of
            the generators.
        seed: see above.
        train_handlers: attached after the trainer's own.
        inferer: part of MONAI's interface; methods call their networks themselves.

    Raises:
        ConfigError: for another ``precision``, where an epoch has no batch or fewer updates than ``critic_steps``, for
            a gradient penalty on discriminators with batch normalisation, or a method of pairs on unpaired data; while
            running, where a batch has not what a loss needs.
        TrainingError: while running, when a loss is not finite; names the step and the cases.
    """

    def __init__(
        self,
        device: torch.device | str,
        max_epochs: int,
        train_data_loader: Iterable[Any],
        method: GanMethod,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        schedule: Callable[[Optimizer], LRScheduler] | None = None,
        precision: str = "fp32",
        accumulation_steps: int = 1,
        acceleration: Mapping[str, bool | str] | None = None,
        ema_decay: float | None = None,
        clip_norm: float | None = None,
        critic_steps: int = 1,
        discriminator_rate: float | None = None,
        seed: int = 0,
        train_handlers: Sequence[Any] | None = None,
        inferer: Any = None,
    ) -> None:
        device = torch.device(device)  # servers pass its name
        method.to(device)
        self.acceleration = Acceleration.of(acceleration, device, optimizer, precision, accumulation_steps)
        self.ema = None
        if ema_decay is not None:
            self.ema = AveragedModel(method.deployed, multi_avg_fn=get_ema_multi_avg_fn(ema_decay))
        self.acceleration.prepare(method.trained())
        optimizers = {"generators": self.acceleration.optimizer(optimizer, method.generators.parameters())}
        if weights := list(method.discriminators.parameters()):
            optimizers["discriminators"] = self.acceleration.optimizer(optimizer, weights)
            for group in optimizers["discriminators"].param_groups if discriminator_rate is not None else ():
                group["lr"] = discriminator_rate
        super().__init__(
            device=device,
            max_epochs=max_epochs,
            train_data_loader=train_data_loader,
            network=method,
            optimizer=optimizers["generators"],
            loss_function=method.generator_losses,
            inferer=inferer,
            decollate=False,
            accumulation_steps=accumulation_steps,
        )
        if not self.state.epoch_length:
            size = getattr(train_data_loader, "batch_size", None)
            fault = f"--batch_size is {size}, more than the samples of an epoch on each process"
            raise ConfigError(fault, "lower it, raise --samples_per_epoch, or give more data")
        self.method = method
        self.critic_steps = critic_steps
        self._require_stable()
        self._require_pairs(getattr(train_data_loader, "dataset", None))
        self.optimizers = optimizers
        self.schedulers = [schedule(each) for each in optimizers.values()] if schedule is not None else []
        for scheduler in self.schedulers[:1]:
            if isinstance(scheduler, ConstantThenLinear) and (idle := scheduler.idle_epochs(max_epochs)):
                logger.warning(f"schedule: {idle} of {max_epochs} epochs have the rate 0 and train nothing")
        for each in optimizers.values():
            self.acceleration.rate_on_device(each, self.state.device)
        self.seed = seed
        self.loss_sums: dict[str, Tensor] = {}
        self.loss_counts: dict[str, int] = {}
        self.finite = FiniteWatch(self.state.device, self.state.epoch_length)
        place = self.state.device
        self.step = GanStep(method, optimizers, place, precision, clip_norm, self.finite, self.fire_event)
        self.grad_scaler = self.step.scaler
        self.run_step: GanStep | GraphedStep = self.step
        devices.broadcast([*method.parameters(), *method.buffers()])
        self.add_event_handler(Events.EPOCH_STARTED, SynthesisTrainer._start_epoch)
        self.add_event_handler(Events.EPOCH_COMPLETED, SynthesisTrainer._complete_epoch)
        self._register_handlers(train_handlers or [])
        if self.acceleration.cuda_graph:
            self._record_steps()

    def _require_stable(self) -> None:
        """Refuse settings of the adversary that cannot do what they are meant for."""
        updates = -(-self.state.epoch_length // self.accumulation_steps)
        if self.method.has_adversary and not 1 <= self.critic_steps <= updates:
            fault = f"--critic_steps is {self.critic_steps}, not between 1 and the {updates} updates of an epoch"
            raise ConfigError(fault, "change it, or lengthen the epoch by --samples_per_epoch")
        loss = self.method.adversarial_loss
        batch_norms = [layer for layer in self.method.discriminators.modules() if isinstance(layer, _BatchNorm)]
        if loss is not None and loss.gradient_penalty and batch_norms:
            fault = "--adversarial_loss::gradient_penalty excludes batch normalisation, which mixes images' gradients"
            remedy = "add --discriminator_def::norm instance or none to each discriminator, or use r1"
            raise ConfigError(fault, remedy)

    def _require_pairs(self, dataset: Any) -> None:
        """Refuse images and targets drawn without regard to each other for a method that compares them."""
        if self.method.paired and not getattr(dataset, "paired", True):
            fault = f"{type(self.method).__name__} compares images with their targets, which {type(dataset).__name__}"
            raise ConfigError(f"{fault} draws apart", "name an overlay of unpaired training last, or omit it")

    def _record_steps(self) -> None:
        """Replay steps as a CUDA graph, unless a handler listens to events within them."""
        events = [event.value for event in WITHIN_A_STEP if self._event_handlers.get(event)]
        if events:
            logger.warning(f"--acceleration::cuda_graph is off: a handler listens to {', '.join(events)}")
        else:
            self.run_step = GraphedStep(self.step, self.state.device)

    # ---- one step -----------------------------------------------------------------------------------------------

    def _iteration(self, engine: SupervisedTrainer, batchdata: Mapping[str, Any]) -> dict[str, Tensor | None]:
        step = self.state.iteration
        torch.manual_seed(derive(self.seed, step, devices.rank()))
        self.finite.begin(step, batchdata.get("case", "a batch without case names"))
        batch = self._to_device(batchdata)
        self.method.require_keys(batch)
        self.method.train()
        self.method.begin_step(step)
        window, last, critics_alone = self._window()
        try:
            result = self.run_step(batch, window, last, critics_alone)
        except RuntimeError as error:
            if (found := CHANNELS.search(str(error))) is None:
                raise
            fault = f"a network takes {found[1]} channels, but its images have {found[2]}"
            raise ConfigError(fault, "give as many files of an image, or change the network's in_channels") from error
        if last and not critics_alone and self.ema is not None:
            self.ema.update_parameters(self.method.deployed)
        total = {} if critics_alone else {CommonKeys.LOSS.value: result.total}
        self._record({**result.losses, **result.measures, **total})
        output = {
            CommonKeys.IMAGE: batch["image"],
            CommonKeys.LABEL: batch.get("label"),
            CommonKeys.PRED: result.pred,
            CommonKeys.LOSS: result.total,
            **result.losses,
        }
        self.state.output = output
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return output

    def _to_device(self, batchdata: Mapping[str, Any]) -> dict[str, Tensor]:
        """Plain tensors on the device, since MONAI's MetaTensor slows down every operation."""
        tensors = {key: value for key, value in batchdata.items() if isinstance(value, Tensor)}
        plain = {key: value.as_tensor() if hasattr(value, "as_tensor") else value for key, value in tensors.items()}
        placed = {key: value.to(self.state.device, non_blocking=True) for key, value in plain.items()}
        return {key: self.acceleration.laid_out(value) for key, value in placed.items()}

    def _window(self) -> tuple[int, bool, bool]:
        """Batches accumulated in the coming update, fewer at the end of an epoch, whether this is the last one, and
        whether the update is one of the discriminators alone."""
        epochs, now = divmod(self.state.iteration - 1, self.state.epoch_length)
        update, place = divmod(now, self.accumulation_steps)
        size = min(self.accumulation_steps, self.state.epoch_length - (now - place))
        update += epochs * -(-self.state.epoch_length // self.accumulation_steps)
        critics_alone = self.method.has_adversary and (update + 1) % self.critic_steps > 0
        return size, place == size - 1, critics_alone

    # ---- bookkeeping --------------------------------------------------------------------------------------------

    def _record(self, losses: Mapping[str, Tensor]) -> None:
        # plain names, since a checkpoint holds no enumerations; float32, since sums in bfloat16 stop growing
        for name, loss in losses.items():
            self.loss_sums[name] = self.loss_sums.get(name, 0) + loss.float()
            self.loss_counts[name] = self.loss_counts.get(name, 0) + 1

    def _start_epoch(self) -> None:
        sampler: Any = getattr(self.data_loader, "sampler", None)
        done = self.state.iteration - (self.state.epoch - 1) * self.state.epoch_length
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(self.state.epoch, skip=done * getattr(self.data_loader, "batch_size", 1))

    def _complete_epoch(self) -> None:
        self.finite.require()
        averaged = self.ema.module.buffers() if self.ema is not None else ()
        own = (*self.method.generators.buffers(), *self.method.discriminators.buffers())
        devices.average([*own, *averaged])  # each process has its own batch statistics
        devices.average(self.loss_sums.values())
        # replaced rather than updated: a later stage may have other losses
        self.state.metrics = {name: float(total) / self.loss_counts[name] for name, total in self.loss_sums.items()}
        self.state.metrics["learning_rate"] = float(self.optimizers["generators"].param_groups[0]["lr"])
        self.loss_sums, self.loss_counts = {}, {}
        with warnings.catch_warnings():  # discriminators without a loss have had no step, nor has one that fp16 skips
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
            for scheduler in self.schedulers:
                scheduler.step()

    # ---- deployment and resume ----------------------------------------------------------------------------------

    @contextmanager
    def deployed_weights(self) -> Iterator[nn.Module]:
        """Context in which the deployed network has the weights of deployment: its moving average where that is on."""
        if self.ema is None:
            yield self.method.deployed
            return
        own = {name: value.clone() for name, value in self.method.deployed.state_dict().items()}
        self.method.deployed.load_state_dict(self.ema.module.state_dict())
        try:
            yield self.method.deployed
        finally:
            self.method.deployed.load_state_dict(own)

    def deployed_name(self) -> str:
        """Name of the deployed network among the method's modules, with which its weights begin in a checkpoint."""
        return next(str(name) for name, module in self.method.named_modules() if module is self.method.deployed)

    def load_deployed(self, weights: Mapping[str, Tensor]) -> None:
        """Load weights into the deployed network and its moving average, such as the best ones of an earlier stage."""
        self.method.deployed.load_state_dict(weights)
        if self.ema is not None:
            self.ema.module.load_state_dict(weights)

    def state_to_save(self) -> dict[str, Any]:
        """The state that a resumed run needs: tensors, numbers and strings only."""
        return resume.state_of(self)

    def load_saved_state(self, saved: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_to_save` returned, in the middle of an epoch too."""
        resume.restore(self, saved)
