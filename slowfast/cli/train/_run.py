"""What the ``slowfast train`` verbs share: the bar, a clean stop on a signal, the figures and the gate at the end; and
what a head on latents is trained on."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from slowfast import config as configs
from slowfast.cli.progress import Bar
from slowfast.training.gate import failures
from slowfast.training.task import TrainTask
from slowfast.training.trainer import Trainer

if TYPE_CHECKING:
    from slowfast.cli.train.codec import TrainCodec
    from slowfast.cli.train.instruction import TrainInstruction
    from slowfast.cli.train.inverse_dynamics import TrainInverseDynamics
    from slowfast.cli.train.odometry import TrainOdometry
    from slowfast.cli.train.outcome import TrainOutcome
    from slowfast.cli.train.slow import TrainSlow
    from slowfast.datasets.sources import EpisodeSource
    from slowfast.training.splits import Splits
    from slowfast.world_model import WorldModel


def train(
    task: TrainTask,
    config: TrainCodec | TrainSlow | TrainOdometry | TrainOutcome | TrainInverseDynamics | TrainInstruction,
) -> int:
    """Trains and prints the last figures. Status 0, 1 when the gate fails, 130 when a signal ended it early.

    Of several processes (``accelerate launch``, ``torchrun``) the first one speaks for all.
    """
    with Bar("train") as bar:
        trainer = Trainer(task, config.train, config.run, bar, config.resume == "auto")
        if trainer.is_main:
            configs.save(config, config.run / "config.yaml")
        previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in previous:
            signal.signal(number, lambda *_: trainer.request_stop())
        try:
            figures = trainer.train()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
    if not trainer.is_main:
        return 0
    if not trainer.finished:
        print(f"stopped at step {trainer.position.step} of {config.train.steps}; the same command goes on from there")
        return 130
    for name, value in figures.items():
        print(f"{name:>28}  {value:.4f}")
    print(f"model: {config.run / 'model'}")
    missed = failures(config.gate, figures)
    for line in missed:
        print(f"gate failed: {line}")
    return 1 if missed else 0


def head_data(
    config: TrainOutcome | TrainInverseDynamics | TrainInstruction,
) -> tuple[WorldModel, Splits, Callable[[], EpisodeSource]]:
    """The world that gets the head, the data, and what encodes its training part: not called before the rest of the
    data has been looked at, because it takes a while."""
    from slowfast.codecs import load_codec
    from slowfast.training.latents import latents_of
    from slowfast.training.processes import processes
    from slowfast.training.splits import open_splits
    from slowfast.world_model import WorldModel

    splits = open_splits(config.data, config.task.validation_episodes)
    world = WorldModel.from_pretrained(config.world)

    def latents() -> EpisodeSource:
        with processes().main_process_first(), Bar("latents", unit="episode") as bar:
            codec = load_codec(config.codec) if config.codec else world.codec
            return latents_of(splits.train, codec, config.latents or config.run / "latents", processes().device, bar)

    return world, splits, latents
