"""What the ``slowfast train`` verbs share: the bar, a clean stop on a signal, the figures and the gate at the end."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from slowfast import config as configs
from slowfast.cli.progress import Bar
from slowfast.training.gate import failures
from slowfast.training.task import TrainTask
from slowfast.training.trainer import Trainer

if TYPE_CHECKING:
    from slowfast.cli.train.codec import TrainCodec
    from slowfast.cli.train.odometry import TrainOdometry
    from slowfast.cli.train.slow import TrainSlow


def train(task: TrainTask, config: TrainCodec | TrainSlow | TrainOdometry) -> int:
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
