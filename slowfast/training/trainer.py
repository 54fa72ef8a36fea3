"""The training loop: any :class:`TrainTask`, on accelerate, exactly resumable.

Everything a step does is a function of (config, step, weights), apart from torch's global generator, which dropout
uses, and from the state that some tasks have; both are part of a checkpoint. So a killed run that is continued on one
device ends with the same bits.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import gather_object, set_seed
from diffusers.training_utils import EMAModel
from torch import nn

from slowfast.training.checkpoint import (
    Position,
    checkpoints,
    load_checkpoint,
    load_task_state,
    save_checkpoint,
    stage_task_state,
)
from slowfast.training.config import TrainConfig
from slowfast.training.log import MetricsLog
from slowfast.training.prefetch import Prefetch
from slowfast.training.processes import on_cpu
from slowfast.training.random import global_state, set_global_state, untouched_global_state
from slowfast.training.run_lock import only_run
from slowfast.training.task import StatefulTask, TrainTask

ProgressCallback = Callable[..., None]
"""``progress(done, total, **figures)`` after every step."""


class Trainer:
    """Trains ``task`` in ``folder``: ``checkpoints/``, ``model/`` (the export), ``sheets/``, ``metrics.jsonl``.

    Raises ValueError when ``folder`` holds checkpoints and ``resume`` is False, or those of another network.
    """

    def __init__(
        self,
        task: TrainTask,
        config: TrainConfig,
        folder: Path,
        progress: ProgressCallback | None = None,
        resume: bool = True,
    ) -> None:
        self.task, self.config, self.folder, self.progress = task, config, Path(folder), progress
        AcceleratorState._reset_state()  # one process may train twice, in different precisions
        self.accelerator = Accelerator(
            cpu=on_cpu(),
            mixed_precision=config.mixed_precision,
            gradient_accumulation_steps=config.gradient_accumulation,
        )
        self.device = self.accelerator.device
        task.module.to(self.device).train()
        self.parameters = [parameter for parameter in task.module.parameters() if parameter.requires_grad]
        self.adam = torch.optim.AdamW(
            self.parameters,
            lr=config.learning_rate,
            betas=config.betas,
            weight_decay=config.weight_decay,
            fused=self.device.type in ("cpu", "cuda"),
        )
        self.average = EMAModel(task.module.parameters(), decay=config.ema_decay, foreach=True)
        self.position = Position(config=asdict(config))
        self._stop = False
        self._resume(resume)
        self.loss, self.optimizer = self.accelerator.prepare(_TaskLoss(task), self.adam)

    @property
    def finished(self) -> bool:
        return self.position.step >= self.config.steps

    def request_stop(self) -> None:
        """Ends :meth:`train` after the step in hand, with a checkpoint; safe to call from a signal handler."""
        self._stop = True

    def train(self) -> dict[str, float]:
        """Runs to ``config.steps`` and returns the last validation's figures. A finished run is exported anew, with
        the names and settings that it has now.

        Raises FloatingPointError when the loss is no longer finite; the last checkpoint is from before that.
        Raises ValueError when another process trains in ``folder``.
        """
        with only_run(self.folder) if self.is_main else nullcontext():
            return self._train()

    def _train(self) -> dict[str, float]:
        log = MetricsLog(self.folder, self.position.step, self.config.tensorboard) if self.is_main else None
        started, saved = time.monotonic() - self.position.seconds, time.monotonic()
        recent: list[dict[str, torch.Tensor]] = []
        if self.finished and self.is_main:
            with self.averaged():
                self._export()
        try:
            with Prefetch(self.task.batch, self._indices()) as batches:
                while not self.finished and not self._stop:
                    recent.append(self._update(batches))
                    self.position.step += 1
                    self.position.seconds = time.monotonic() - started
                    if self._due(self.config.log_every):
                        figures = self._means(recent)
                        recent = []
                        if log:
                            log.write("train", self.position.step, figures | {"seconds": self.position.seconds})
                        self._report(figures)
                    else:
                        self._report({})
                    if self._due(self.config.validate_every):
                        self._validate(log)
                    self._stop = self._anyone(self._stop)
                    late = self._anyone(time.monotonic() - saved > 60 * self.config.checkpoint_minutes)
                    if self._due(self.config.checkpoint_every) or late or self._stop:
                        self.position.seconds = time.monotonic() - started
                        self._checkpoint()
                        saved = time.monotonic()
        finally:
            if log:
                log.close()
        return self.position.validation

    @property
    def is_main(self) -> bool:
        """Whether this is the process that validates, logs and writes."""
        return bool(self.accelerator.is_main_process)

    def _anyone(self, flag: bool) -> bool:
        """Whether any process says so: what clocks and signals decide, all processes have to do at the same step."""
        if self.accelerator.num_processes == 1:
            return flag
        total = self.accelerator.reduce(torch.tensor(float(flag), device=self.device), "sum")
        return bool(total > 0)

    def _due(self, every: int) -> bool:
        return self.position.step % every == 0 or self.finished

    def _indices(self) -> Iterator[int]:
        """Micro-batch indices of this process, from the present step on."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        first = self.position.step * self.config.gradient_accumulation
        for micro in range(first, self.config.steps * self.config.gradient_accumulation):
            yield micro * world + rank

    def _update(self, batches: Iterator[Any]) -> dict[str, torch.Tensor]:
        """One optimiser step; returns detached figures."""
        rate = learning_rate(self.config, self.position.step)
        for group in self.adam.param_groups:
            group["lr"] = rate
        parts = []
        first = self.position.step * self.config.gradient_accumulation
        norm = torch.zeros(())
        for micro in range(first, first + self.config.gradient_accumulation):
            index = micro * self.accelerator.num_processes + self.accelerator.process_index
            with self.accelerator.accumulate(self.loss):
                loss, figures = self.loss(next(batches), index)
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    norm = self.accelerator.clip_grad_norm_(self.parameters, self.config.clip)
                self.optimizer.step()
                self.optimizer.zero_grad()
            parts.append({"loss": loss.detach(), **figures})
        self.average.step(self.task.module.parameters())
        means = {name: torch.stack([part[name].float() for part in parts]).mean() for name in parts[0]}
        return means | {"gradient_norm": norm.detach(), "learning_rate": torch.tensor(rate)}

    def _means(self, recent: list[dict[str, torch.Tensor]]) -> dict[str, float]:
        """Means over the steps since the last line; a figure that only some steps give is averaged over those."""
        names = dict.fromkeys(name for figures in recent for name in figures)
        means = {}
        for name in names:
            values = [float(figures[name]) for figures in recent if name in figures]
            means[name] = sum(values) / len(values)
        if not math.isfinite(means["loss"]):
            raise FloatingPointError(
                f"the loss is not finite at step {self.position.step}; lower learning_rate or clip, or use "
                f"mixed_precision no. The last checkpoint in {self.folder / 'checkpoints'} is from before."
            )
        return means

    def _report(self, figures: dict[str, float]) -> None:
        if self.progress and self.is_main:
            shown = {name: figures[name] for name in ("loss",) if name in figures}
            self.progress(self.position.step, self.config.steps, **shown)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The module in ``eval`` mode with the averaged weights, without gradients; training's weights and random state
        come back."""
        module = self.task.module
        with untouched_global_state(), torch.no_grad():
            self.average.store(module.parameters())
            self.average.copy_to(module.parameters())
            module.eval()
            try:
                yield
            finally:
                self.average.restore(module.parameters())
                module.train()

    def _validate(self, log: MetricsLog | None) -> None:
        if self.is_main:
            with self.averaged():
                self.position.validation = self.task.validate(self.position.step, self.folder / "sheets")
                self._export()
            if log:
                log.write("validation", self.position.step, self.position.validation)
        self.accelerator.wait_for_everyone()

    def _export(self) -> None:
        """Replaces ``model/`` by an export of the module as it is now."""
        final, new, old = (self.folder / name for name in ("model", ".model.new", ".model.old"))
        for folder in (new, old):
            shutil.rmtree(folder, ignore_errors=True)
        self.task.save(new)
        if final.exists():
            os.rename(final, old)
        os.rename(new, final)
        shutil.rmtree(old, ignore_errors=True)

    def _checkpoint(self) -> None:
        for parameter in self.parameters:
            if not bool(torch.isfinite(parameter).all()):
                raise FloatingPointError(f"weights are not finite at step {self.position.step}; no checkpoint written")
        states = [global_state()]
        if self.accelerator.num_processes > 1:
            states = gather_object(states)
        if isinstance(self.task, StatefulTask):
            rank, tensors = self.accelerator.process_index, self.task.state()
            if tensors:
                stage_task_state(self.folder / "checkpoints", self.position.step, rank, tensors)
            self.accelerator.wait_for_everyone()
        if self.is_main:
            save_checkpoint(
                self.folder / "checkpoints",
                self.position,
                self.task.module,
                self.average,
                self.adam,
                states,
                self.config.keep,
            )
        self.accelerator.wait_for_everyone()

    def _resume(self, resume: bool) -> None:
        found = checkpoints(self.folder / "checkpoints")
        if not found:
            set_seed(self.config.seed + 1, device_specific=True)
            return
        if not resume:
            raise ValueError(
                f"{self.folder} already holds checkpoints up to {found[-1].name}; continue them with --resume auto, "
                "or give another --run"
            )
        position, states = load_checkpoint(found[-1], self.task.module, self.average, self.adam)
        self.position = Position(position.step, position.seconds, position.validation, asdict(self.config))
        set_global_state(*states[min(self.accelerator.process_index, len(states) - 1)])
        tensors = load_task_state(found[-1], self.accelerator.process_index)
        if tensors is not None and isinstance(self.task, StatefulTask):
            self.task.load_state(tensors)


class _TaskLoss(nn.Module):
    """The task's loss as a forward pass, for accelerate to wrap (autocast, gradients shared between processes)."""

    def __init__(self, task: TrainTask) -> None:
        super().__init__()
        self.module = task.module
        self.task_loss = task.loss

    def forward(self, batch: Any, index: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return self.task_loss(batch, index)


def learning_rate(config: TrainConfig, step: int) -> float:
    """The learning rate of step ``step`` (from 0): linear warm-up, then constant or cosine."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    done = (step - config.warmup_steps) / max(config.steps - config.warmup_steps, 1)
    floor = config.final_learning_rate
    return config.learning_rate * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))
