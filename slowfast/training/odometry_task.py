"""Training a world's odometry: steps of recorded episodes in, what they did to the pose out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from slowfast.actions import Columns
from slowfast.datasets.sources import EpisodeSource
from slowfast.datasets.windows import WindowLoader, WindowShape
from slowfast.evaluation.one_chunk import TrueWindows, has_text_route, route
from slowfast.heads.odometry import Odometry, OdometryConfig
from slowfast.heads.poses import distances, motions, moved
from slowfast.slow.windows import ActionTensors
from slowfast.training.held_out import device_of
from slowfast.training.odometry_config import OdometryTaskConfig
from slowfast.training.random import numpy_generator, torch_generator
from slowfast.training.recalled import EpisodePoses
from slowfast.training.routes import draw_routes
from slowfast.training.splits import Subset
from slowfast.world_model import WorldModel

DRAW, LOSS = 20, 21  # streams of random numbers
Steps = tuple[Tensor, ActionTensors, Tensor]
"""Latents ``[B, 2, C, h, w]``, the actions ``[B, 1]`` between them, poses ``[B, 2, 3]``."""


class OdometryTask:
    """A :class:`~slowfast.training.task.TrainTask` for ``world.odometry``, a new one; the export is the whole world.

    ``train`` holds latents of ``world.codec``, seen from ``poses``; ``measured`` holds frames with poses.
    Loss: Huber's, in steps and turns of the world, in a share of the batch without what is seen after the step.
    """

    def __init__(
        self,
        world: WorldModel,
        config: OdometryTaskConfig,
        train: EpisodeSource,
        poses: EpisodePoses,
        measured: dict[str, Subset],
        seed: int = 0,
    ) -> None:
        self.world, self.config, self.seed, self.poses, self.spec = world, config, seed, poses, world.action_spec
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            head = OdometryConfig(
                world.codec.latent_channels, world.slow.actions.config.width, poses.scale.step, poses.scale.turn
            )
            self.module = Odometry(head)
        world.odometry = self.module
        self.loader = WindowLoader(train, [WindowShape(1, 1)], config.batch_size, seed)
        self.measured = {name: _measured(part) for name, part in measured.items()}

    def batch(self, index: int) -> Steps:
        raw = self.loader[index]
        columns = draw_routes(self.spec, raw["actions"], self.config, numpy_generator(self.seed, DRAW, index))
        actions = self.world.slow.actions.tensors(columns, "cpu")
        pairs = zip(raw["episodes"], raw["starts"], strict=True)
        poses = torch.stack([self.poses[int(i)][start : start + 2] for i, start in pairs])
        return torch.from_numpy(raw["latents"]), {name: own[:, 1:] for name, own in actions.items()}, poses

    def loss(self, batch: Steps, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        device = device_of(self.module)
        latents, poses = batch[0].to(device), batch[2].to(device)
        generator = torch_generator(self.seed, LOSS, index)
        seen = torch.rand(len(latents), 1, generator=generator) >= self.config.unseen
        share = self.config.noise * torch.rand(len(latents), 1, 1, 1, 1, generator=generator)
        noise = torch.randn(latents.shape, generator=generator)
        noisy = torch.lerp(latents, noise.to(device), share.to(device))
        vectors = self._vectors(batch[1])
        told = self.module.paces(noisy[:, :1], noisy[:, 1:], vectors, seen.to(device))
        loss = functional.huber_loss(told, self.module.in_paces(motions(poses)), delta=0.5)
        return loss, {}

    @torch.no_grad()
    def validate(self, step: int, folder: Path) -> dict[str, float]:
        """In steps of the world: the root mean square error of one step, looked back on and foretold, its action by
        index or (``text_``) in words alone; and how far off dead reckoning is after ``config.drift`` steps, on
        average."""
        self.world.codec.to(self.world.device)  # type: ignore[attr-defined]  # codecs are modules
        results: dict[str, float] = {}
        for name, episodes in self.measured.items():
            for text in (False, True) if has_text_route(self.spec) else (False,):
                found = [self._errors(*episode, text) for episode in episodes]
                seen, foretold, drift = (torch.cat(part) for part in zip(*found, strict=True))
                start = f"{name}text_" if text else name
                results[f"{start}step_error"] = float(seen.mean().sqrt())
                results[f"{start}foretold_step_error"] = float(foretold.mean().sqrt())
                results[f"{start}drift"] = float(drift.mean())
        return results

    def _errors(self, frames: np.ndarray, columns: Columns, poses: Tensor, text: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Of an episode: squared errors of its steps, looked back on and foretold, and its drifts."""
        told = route(self.spec, TrueWindows(frames[None, 1:], self.spec.stack([columns]), 1), text).actions
        latents = self.world.encode(frames[None]).to(device_of(self.module))
        vectors = self._vectors(self.world.action_tensors(told))
        truth, poses = motions(poses)[None].to(latents.device), poses.to(latents.device)
        seen = self.module(latents[:, :-1], latents[:, 1:], vectors)
        foretold = self.module(latents[:, :-1], None, vectors)
        errors = [self.module.in_paces(part - truth).square().sum(-1).flatten() for part in (seen, foretold)]
        return errors[0], errors[1], self._drift(poses, seen[0])

    def save(self, folder: Path) -> None:
        """The world's folder with its odometry."""
        self.world.save_pretrained(folder)

    @torch.no_grad()
    def _vectors(self, actions: ActionTensors) -> Tensor:
        here = {name: own.to(self.world.device) for name, own in actions.items()}
        return self.world.slow.action_vectors(here).to(device_of(self.module))

    def _drift(self, poses: Tensor, motion: Tensor) -> Tensor:
        """How far dead reckoning is off after some steps, from every pose that has as many after it."""
        count = len(motion) - self.config.drift + 1
        if count < 1:
            return poses.new_zeros(0)
        reached = poses[:count]
        for step in range(self.config.drift):
            reached = moved(reached, motion[step : step + count])
        return distances(reached[:, None], poses[self.config.drift :, None], self.module.scale).flatten()


def _measured(part: Subset) -> list[tuple[np.ndarray, dict[str, np.ndarray], Tensor]]:
    poses = EpisodePoses.of(part)
    if poses is None:
        raise ValueError(NO_POSES.format(part.metadata(0).get("environment", "this data set")))
    return [(part.read(i, 0, int(part.lengths[i]) + 1), part.actions(i), poses[i]) for i in range(len(part))]


NO_POSES = "{}: no info 'pose' (x, y, heading in degrees) in every step; an odometry is trained on poses"
