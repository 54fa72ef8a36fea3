"""Training a world's inverse dynamics: frames that follow each other in, the action between them out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from slowfast.actions import Continuous, Discrete, Keyboard
from slowfast.datasets.sources import EpisodeSource
from slowfast.datasets.windows import WindowLoader, WindowShape
from slowfast.heads.inverse_dynamics import InverseDynamics, InverseDynamicsConfig, is_known
from slowfast.slow.windows import ActionTensors
from slowfast.training.held_out import check_data, device_of, stretches
from slowfast.training.inverse_dynamics_config import InverseDynamicsTaskConfig
from slowfast.training.random import torch_generator
from slowfast.training.splits import Subset
from slowfast.world_model import WorldModel

LOSS = 41  # a stream of random numbers
Steps = tuple[Tensor, ActionTensors]
"""Latents ``[B, 2, C, h, w]`` and the actions ``[B, 1]`` between them."""


class InverseDynamicsTask:
    """A :class:`~slowfast.training.task.TrainTask` for ``world.inverse_dynamics``, a new one; the export is the whole
    world.

    ``train`` holds latents of ``world.codec``; ``measured`` holds frames. The loss is the sum over components. Raises
    ValueError when the data has other actions than the world, or none that can be read.
    """

    def __init__(
        self,
        world: WorldModel,
        config: InverseDynamicsTaskConfig,
        train: EpisodeSource,
        measured: dict[str, Subset],
        seed: int = 0,
    ) -> None:
        check_data(world, train, measured)
        self.world, self.config, self.seed, self.spec, self.measured = world, config, seed, world.action_spec, measured
        self.usual = Usual(train)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            axes = (self.usual.middle, self.usual.spread)
            channels = world.codec.latent_channels
            self.module = InverseDynamics(InverseDynamicsConfig(channels, self.spec, *axes, config.width))
        world.inverse_dynamics = self.module
        self.loader = WindowLoader(train, [WindowShape(1, 1)], config.batch_size, seed)

    def batch(self, index: int) -> Steps:
        raw = self.loader[index]
        actions = {c.name: torch.from_numpy(raw["actions"][c.name][:, 1:]) for c in self.module.config.read}
        return torch.from_numpy(raw["latents"]), actions

    def loss(self, batch: Steps, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        device = device_of(self.module)
        latents, actions = batch[0].to(device), {name: own.to(device) for name, own in batch[1].items()}
        generator = torch_generator(self.seed, LOSS, index)
        share = self.config.noise * torch.rand(len(latents), 1, 1, 1, 1, generator=generator)
        noisy = torch.lerp(latents, torch.randn(latents.shape, generator=generator).to(device), share.to(device))
        parts = self.module.loss(self.module(noisy[:, :1], noisy[:, 1:]), actions)
        return torch.stack(list(parts.values())).sum(), {f"loss_{name}": own.detach() for name, own in parts.items()}

    @torch.no_grad()
    def validate(self, step: int, folder: Path) -> dict[str, float]:
        """Of each component, over all held-out steps in which it is not null: of choices and keys, the share that is
        read right (``accuracy``), the mean of that share over the labels there are (``balanced``), and the share that
        is the training data's commonest (``commonest``); of numbers, the root mean square error in units of their
        spread (``error``), and that of their mean (``error_of_mean``). ``accuracy`` and ``explained`` alone: means over
        components, the latter of the share of the variance that is read."""
        self.world.codec.to(self.world.device)  # type: ignore[attr-defined]  # codecs are modules
        results: dict[str, float] = {}
        for name, part in self.measured.items():
            results |= {f"{name}{figure}": value for figure, value in self._figures(part).items()}
        return results

    def save(self, folder: Path) -> None:
        """The world's folder with its inverse dynamics."""
        self.world.save_pretrained(folder)

    def _figures(self, part: Subset) -> dict[str, float]:
        read, true = self._read(part)
        found: dict[str, float] = {}
        accuracies, explained = [], []
        for component in self.module.config.read:
            known = is_known(component, true[component.name])
            if not known.any():
                continue
            told, right, start = read[component.name], true[component.name], f"{component.name}_"
            if isinstance(component, Continuous):
                told, right = (self.module.scaled(component, own) for own in (told, right))
                error, plain = (float(own[known].square().mean()) for own in (told - right, right))
                found |= {f"{start}error": error**0.5, f"{start}error_of_mean": plain**0.5}
                explained += [1 - error / plain] if plain > 0 else []
                continue
            usual = torch.from_numpy(self.usual.commonest[component.name]).expand_as(right)
            hits = (told == right)[known].float()
            found |= {
                f"{start}accuracy": float(hits.mean()),
                f"{start}balanced": balanced(hits, right[known]),
                f"{start}commonest": float((usual == right)[known].float().mean()),
            }
            accuracies.append(found[f"{start}accuracy"])
        for name, values in (("accuracy", accuracies), ("explained", explained)):
            found |= {name: sum(values) / len(values)} if values else {}
        return found

    def _read(self, part: Subset) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """By component, what is read of all steps of a part, and what they were, ``[N, ...]``."""
        pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {c.name: [] for c in self.module.config.read}
        for i in range(len(part)):
            columns = part.actions(i)
            for steps, latents in stretches(self.world, part, i):
                told = self.module.read(latents.to(device_of(self.module)))
                for name, own in pairs.items():
                    own.append((told[name][0], columns[name][steps]))
        joined = [
            {name: torch.from_numpy(np.concatenate([pair[k] for pair in own])) for name, own in pairs.items()}
            for k in (0, 1)
        ]
        return joined[0], joined[1]


class Usual:
    """What is usual in a data set: of choices and keys the ``commonest`` (``int64 []`` and ``[k]``), of numbers the
    ``middle`` and the ``spread`` of each axis; nulls do not count."""

    def __init__(self, source: EpisodeSource) -> None:
        self.commonest: dict[str, np.ndarray] = {}
        self.middle: dict[str, tuple[float, ...]] = {}
        self.spread: dict[str, tuple[float, ...]] = {}
        every = [source.actions(i) for i in range(len(source))]
        for component in source.spec.components:
            values = np.concatenate([own[component.name] for own in every])
            if isinstance(component, Discrete):
                counts = np.bincount(values[values >= 0], minlength=len(component.labels))
                self.commonest[component.name] = np.asarray(counts.argmax())
            elif isinstance(component, Keyboard):
                self.commonest[component.name] = ((values == 1).sum(0) > (values == 0).sum(0)).astype(np.int64)
            elif isinstance(component, Continuous):
                axes = [axis[np.isfinite(axis)].astype(np.float64) for axis in values.T]
                self.middle[component.name] = tuple(float(axis.mean()) if len(axis) else 0.0 for axis in axes)
                # An axis that never changes has no spread to be measured in.
                self.spread[component.name] = tuple(float(axis.std()) or 1.0 if len(axis) else 1.0 for axis in axes)


def balanced(hits: Tensor, values: Tensor) -> float:
    """The mean over the values there are of the share that was hit; both ``[N]``."""
    return float(torch.stack([hits[values == value].mean() for value in values.unique()]).mean())
