"""The one trainer of all methods: order of updates, precision, freezing, averaging, bookkeeping."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from ignite.engine import Events
from monai.engines import Evaluator, SupervisedTrainer
from monai.engines.utils import IterationEvents
from monai.handlers import ValidationHandler
from monai.utils import CommonKeys
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from common import devices
from common.errors import ConfigError
from common.finite import FiniteWatch
from common.losses import weighted_sum
from common.methods import GanMethod
from common.seeds import derive

logger = logging.getLogger(__name__)
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class GanTrainer(SupervisedTrainer):
    """Train a :class:`~common.methods.GanMethod`: one forward of the generators, then discriminators, then generators.

    ``state.output`` holds IMAGE, LABEL, PRED, LOSS (the generators' weighted sum) and every named loss, detached; after
    each epoch ``state.metrics`` holds the means of the losses over the epoch and ``learning_rate``.

    Every step draws its random numbers from (seed, step, process), and the sampler its order and augmentation from
    (seed, epoch), so that an interrupted and resumed run of one process repeats an uninterrupted one. Of several
    processes, checkpoints hold the first one's image pools and, in the midst of an epoch, batch statistics.

    Gradients are averaged over processes here, not by DistributedDataParallel: its reducer expects one backward pass
    through all parameters for each forward, while a discriminator runs three times a step and is frozen in one of them.

    Args:
        device: where the networks go.
        max_epochs: epochs in all, those before a resume included.
        train_data_loader: gives batches with ``image``, ``label`` and ``case``; its sampler may have ``set_epoch``.
        method: the networks and losses.
        optimizer: makes an optimiser from parameters; called for the generators and for the discriminators.
        schedule: makes a learning-rate schedule from an optimiser, stepped after each epoch; None: constant.
        precision: ``fp32``, ``bf16`` or ``fp16`` (autocast; fp16 with a gradient scaler).
        accumulation_steps: batches whose gradients are summed before an update; the last ones of an epoch are not lost.
            The discriminators are updated before the generators' loss of the last of them.
        ema_decay: decay a step of the moving average of the deployed network (None: off). Validation and ``model.pt``
            use the average.
        clip_norm: largest norm of a gradient, over the generators and over the discriminators (None: off).
        seed: see above.
        train_handlers: attached after the trainer's own.
        inferer: only for MONAI's interface; methods call their networks themselves.

    Raises:
        ConfigError: for another ``precision``, or where an epoch has not one batch.
        TrainingError: while running, when a loss is not finite; names the step and the cases.
    """

    def __init__(
        self,
        device: torch.device,
        max_epochs: int,
        train_data_loader: Iterable,
        method: GanMethod,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        schedule: Callable[[Optimizer], LRScheduler] | None = None,
        precision: str = "fp32",
        accumulation_steps: int = 1,
        ema_decay: float | None = None,
        clip_norm: float | None = None,
        seed: int = 0,
        train_handlers: Sequence | None = None,
        inferer: Any = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise ConfigError("precision", f"is one of {', '.join(PRECISIONS)}", repr(precision), "choose one of them")
        method.to(device)
        optimizers = {"generators": optimizer(method.generators.parameters())}
        if len(method.discriminators):
            optimizers["discriminators"] = optimizer(method.discriminators.parameters())
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
            rule = "is at most the samples of an epoch on each process, so that there is a batch"
            size = getattr(train_data_loader, "batch_size", None)
            raise ConfigError("batch_size", rule, size, "lower it, or give more data")
        self.method = method
        self.optimizers = optimizers
        self.schedulers = [schedule(each) for each in optimizers.values()] if schedule is not None else []
        self.seed = seed
        self.clip_norm = clip_norm
        self.autocast = torch.autocast(self.state.device.type, PRECISIONS[precision], enabled=precision != "fp32")
        self.grad_scaler = torch.amp.GradScaler(self.state.device.type, enabled=precision == "fp16")
        self.ema = None
        if ema_decay is not None:
            self.ema = AveragedModel(method.deployed, multi_avg_fn=get_ema_multi_avg_fn(ema_decay))
        self._sums: dict[str, Tensor] = {}
        self.finite = FiniteWatch(self.state.device)
        devices.broadcast([*method.parameters(), *method.buffers()])
        self.add_event_handler(Events.EPOCH_STARTED, GanTrainer._start_epoch)
        self.add_event_handler(Events.EPOCH_COMPLETED, GanTrainer._complete_epoch)
        self._register_handlers(train_handlers or [])

    # ---- one step -----------------------------------------------------------------------------------------------

    def _iteration(self, engine: GanTrainer, batchdata: Mapping[str, Any]) -> dict[str, Tensor]:  # type: ignore[override]
        step = self.state.iteration
        torch.manual_seed(derive(self.seed, step, devices.rank()))
        self.finite.begin(step, batchdata.get("case", "a batch without case names"))
        batch = self._to_device(batchdata)
        self.method.train()
        with self.autocast:
            fakes = self.method.generate(batch)
        engine.fire_event(IterationEvents.FORWARD_COMPLETED)
        _, last = self._window()
        losses = self._update_discriminators(batch, fakes, last)
        generator_losses, total = self._update_generators(batch, fakes, last)
        losses |= generator_losses
        self._record(losses, total)
        self.state.output = {
            CommonKeys.IMAGE: batch["image"],
            CommonKeys.LABEL: batch.get("label"),
            CommonKeys.PRED: fakes["pred"].detach(),
            CommonKeys.LOSS: total.detach(),
            **losses,
        }
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return self.state.output

    def _to_device(self, batchdata: Mapping[str, Any]) -> dict[str, Tensor]:
        """Plain tensors on the device; MONAI's MetaTensor would cost time in every operation."""
        tensors = {key: value for key, value in batchdata.items() if isinstance(value, Tensor)}
        plain = {key: value.as_tensor() if hasattr(value, "as_tensor") else value for key, value in tensors.items()}
        return {key: value.to(self.state.device, non_blocking=True) for key, value in plain.items()}

    def _window(self) -> tuple[int, bool]:
        """Batches that the coming update sums, fewer at the end of an epoch, and whether this is the last of them."""
        now = (self.state.iteration - 1) % self.state.epoch_length
        first = now - now % self.accumulation_steps
        size = min(self.accumulation_steps, self.state.epoch_length - first)
        return size, now == first + size - 1

    def _update_discriminators(self, batch: dict, fakes: Mapping[str, Tensor], last: bool) -> dict[str, Tensor]:
        with self.autocast:
            losses = self.method.discriminator_losses(batch, {key: fake.detach() for key, fake in fakes.items()})
            total = sum(losses.values(), start=torch.zeros((), device=self.state.device))
        if losses:
            self.finite.note(total)
            self._backward(total)
            if last:
                self._step("discriminators", self.method.discriminators)
        return {name: loss.detach() for name, loss in losses.items()}

    def _update_generators(self, batch: dict, fakes: Mapping[str, Tensor], last: bool) -> tuple[dict, Tensor]:
        with self.method.frozen_discriminators():
            with self.autocast:
                losses = self.method.generator_losses(batch, fakes)
                total = weighted_sum(losses, self.method.loss_weights)
            self.finite.note(total)
            self.fire_event(IterationEvents.LOSS_COMPLETED)
            self._backward(total)
            self.fire_event(IterationEvents.BACKWARD_COMPLETED)
        if last:
            self._step("generators", self.method.generators)
            self.grad_scaler.update()
            if self.ema is not None:
                self.ema.update_parameters(self.method.deployed)
        return {name: loss.detach() for name, loss in losses.items()}, total

    def _backward(self, loss: Tensor) -> None:
        size, _ = self._window()
        self.grad_scaler.scale(loss / size).backward()

    def _step(self, name: str, networks: nn.Module) -> None:
        optimizer = self.optimizers[name]
        gradients = [p.grad for p in networks.parameters() if p.grad is not None]
        devices.average(gradients)
        self.grad_scaler.unscale_(optimizer)
        if not self.grad_scaler.is_enabled():  # a scaler skips the step itself when gradients overflow
            self.finite.note(nn.utils.get_total_norm(gradients))
        self.finite.disarm(gradients)
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(networks.parameters(), self.clip_norm)
        self.grad_scaler.step(optimizer)
        optimizer.zero_grad(set_to_none=True)

    # ---- bookkeeping --------------------------------------------------------------------------------------------

    def _record(self, losses: Mapping[str, Tensor], total: Tensor) -> None:
        # plain names, since a checkpoint holds no enumerations; 32 bits, since sums of bfloat16 stop growing
        for name, loss in {**losses, CommonKeys.LOSS.value: total.detach()}.items():
            self._sums[name] = self._sums.get(name, 0) + loss.float()

    def _start_epoch(self) -> None:
        sampler: Any = getattr(self.data_loader, "sampler", None)
        done = self.state.iteration - (self.state.epoch - 1) * self.state.epoch_length
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(self.state.epoch, skip=done * getattr(self.data_loader, "batch_size", 1))

    def _complete_epoch(self) -> None:
        self.finite.require()
        averaged = self.ema.module.buffers() if self.ema is not None else ()
        own = (*self.method.generators.buffers(), *self.method.discriminators.buffers())
        devices.average([*own, *averaged])  # each process gathered its own batch statistics
        devices.average(self._sums.values())
        # anew each epoch: a later stage may have other losses
        self.state.metrics = {name: float(total) / self.state.epoch_length for name, total in self._sums.items()}
        self.state.metrics["learning_rate"] = self.optimizers["generators"].param_groups[0]["lr"]
        self._sums = {}
        for scheduler in self.schedulers:
            scheduler.step()

    # ---- state --------------------------------------------------------------------------------------------------

    @contextmanager
    def deployed_weights(self):
        """Within, the deployed network has the weights of deployment: its moving average where that is on."""
        if self.ema is None:
            yield self.method.deployed
            return
        own = {name: value.clone() for name, value in self.method.deployed.state_dict().items()}
        self.method.deployed.load_state_dict(self.ema.module.state_dict())
        try:
            yield self.method.deployed
        finally:
            self.method.deployed.load_state_dict(own)

    def load_deployed(self, weights: Mapping[str, Tensor]) -> None:
        """Give the deployed network and its moving average these weights, as a stage does that builds on an earlier."""
        self.method.deployed.load_state_dict(weights)
        if self.ema is not None:
            self.ema.module.load_state_dict(weights)

    def state_to_save(self) -> dict[str, Any]:
        """Everything that a resumed run needs: tensors, numbers and strings only."""
        return {
            "iteration": self.state.iteration,
            "epoch_length": self.state.epoch_length,
            "networks": self.method.state_dict(),
            "ema": self.ema.state_dict() if self.ema is not None else None,
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "schedulers": [scheduler.state_dict() for scheduler in self.schedulers],
            "scaler": self.grad_scaler.state_dict(),
            "loss_sums": self._sums,
            "seed": self.seed,
        }

    def load_saved_state(self, saved: Mapping[str, Any]) -> None:
        """Go on from :meth:`state_to_save`, in the middle of an epoch too.

        Raises:
            ConfigError: where the epoch has another length, the seed is another, the moving average or the schedule was
                switched on or off, or the networks are others.
        """
        if saved["epoch_length"] != self.state.epoch_length:
            raise ConfigError(
                "resume",
                f"the run to resume has {saved['epoch_length']} steps an epoch",
                self.state.epoch_length,
                "use its data, batch_size and number of processes, or start anew with --resume false",
            )
        now = {"seed": self.seed, "ema_decay": self.ema is not None, "schedule": len(self.schedulers)}
        then = {"seed": saved["seed"], "ema_decay": saved["ema"] is not None, "schedule": len(saved["schedulers"])}
        for name, value in now.items():
            if value != then[name]:
                remedy = "set it as it was, or start anew with --resume false"
                raise ConfigError(name, f"is {then[name]} as in the run to resume", value, remedy)
        try:
            self.method.load_state_dict(saved["networks"])
        except RuntimeError as error:
            raise ConfigError(
                "resume",
                "the networks are those of the run to resume",
                "other names or shapes of weights",
                "use its settings, or start anew with --resume false",
            ) from error
        if self.ema is not None:
            self.ema.load_state_dict(saved["ema"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(saved["optimizers"][name])
        for scheduler, state in zip(self.schedulers, saved["schedulers"], strict=True):
            scheduler.load_state_dict(state)
        self.grad_scaler.load_state_dict(saved["scaler"])
        self._sums = {name: value.to(self.state.device) for name, value in saved["loss_sums"].items()}
        self.state.iteration = saved["iteration"]
        self.state.epoch = saved["iteration"] // self.state.epoch_length


class Validation(ValidationHandler):
    """MONAI's validation handler, run on the weights that would be deployed (the moving average where that is on).

    Validates after every ``interval`` epochs, and after the last, so that each run ends with a ``model.pt``.

    Args:
        interval: in epochs.
        validator: the evaluator.
        stage_epochs: of a method that trains in stages: validates after the last epoch of each, too.
    """

    def __init__(self, interval: int, validator: Evaluator, stage_epochs: int | None = None) -> None:
        super().__init__(interval, validator)
        self.stage_epochs = stage_epochs

    def attach(self, engine: GanTrainer) -> None:  # type: ignore[override]
        """Follow ``engine``."""

        def due(engine: GanTrainer, epoch: int) -> bool:
            last = epoch == engine.state.max_epochs or self.stage_epochs and epoch % self.stage_epochs == 0
            return epoch % self.interval == 0 or bool(last)

        engine.add_event_handler(Events.EPOCH_COMPLETED(event_filter=due), self)

    def __call__(self, engine: GanTrainer) -> None:  # type: ignore[override]
        """Validate now."""
        with engine.deployed_weights():
            super().__call__(engine)
