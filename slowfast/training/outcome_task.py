"""Training a world's outcome head: steps of recorded episodes in, their rewards and ends out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.sources import EpisodeSource
from slowfast.datasets.windows import WindowLoader, WindowShape
from slowfast.heads.outcome import OutcomeConfig, OutcomeHead
from slowfast.slow.windows import ActionTensors
from slowfast.training.held_out import check_data, device_of, stretches
from slowfast.training.outcome_config import OutcomeTaskConfig
from slowfast.training.outcome_figures import best_threshold, check_metrics, reward_figures, termination_figures
from slowfast.training.outcomes import BalancedSampler, EpisodeOutcomes
from slowfast.training.random import numpy_generator, torch_generator
from slowfast.training.routes import draw_routes
from slowfast.training.splits import Subset
from slowfast.world_model import WorldModel

DRAW, LOSS = 30, 31  # streams of random numbers
Steps = tuple[Tensor, ActionTensors, Tensor, Tensor, Tensor]
"""Latents ``[B, 2, C, h, w]``, actions ``[B, 1]``, rewards ``[B, 1]``, ends ``[B, 1]``, what each counts ``[B, 1]``."""


class OutcomeTask:
    """A :class:`~slowfast.training.task.TrainTask` for ``world.outcome``, a new one; the export is the whole world.

    ``train`` holds latents of ``world.codec``, which came to ``outcomes``; ``measured`` holds frames with outcomes.
    Loss: cross-entropy of the reward's bins and of the end, each over what it is for a head that looks at nothing:
    where one of them is rare, that is little, and the other would drown it. Raises DatasetError when all steps came to
    the same, ImportError without torchmetrics.
    """

    def __init__(
        self,
        world: WorldModel,
        config: OutcomeTaskConfig,
        train: EpisodeSource,
        outcomes: EpisodeOutcomes,
        measured: dict[str, Subset],
        seed: int = 0,
    ) -> None:
        check_metrics()
        check_data(world, train, measured)
        self.world, self.config, self.seed, self.outcomes, self.spec = world, config, seed, outcomes, world.action_spec
        rewards, ends = np.concatenate(outcomes.rewards), np.concatenate(outcomes.ends)
        low, high = float(rewards.min()), float(rewards.max())
        if low == high and not ends.any():
            raise DatasetError(NOTHING.format(low))
        self.mean, self.share = float(rewards.mean(dtype=np.float64)), float(ends.mean())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            widths = (world.codec.latent_channels, world.slow.actions.config.width)
            high = high if high > low else low + max(1e-3 * abs(low), 1e-3)  # some room, where there is one reward
            self.module = OutcomeHead(OutcomeConfig(*widths, low, high, config.bins))
        world.outcome = self.module
        usual = self.module.two_hot(torch.from_numpy(rewards)).mean(0)
        self.blind = (entropy(usual), entropy(torch.tensor([self.share, 1 - self.share])))
        self.loader = WindowLoader(train, [WindowShape(1, 1)], config.batch_size, seed)
        self.sampler = BalancedSampler(outcomes, config.rare, config.batch_size, seed)
        self.loader.sampler = self.sampler
        self.measured = {name: (part, EpisodeOutcomes.of(part)) for name, part in measured.items()}

    def batch(self, index: int) -> Steps:
        raw = self.loader[index]
        columns = draw_routes(self.spec, raw["actions"], self.config, numpy_generator(self.seed, DRAW, index))
        actions = self.world.slow.actions.tensors(columns, "cpu")
        places = [(int(i), int(step)) for i, step in zip(raw["episodes"], raw["starts"], strict=True)]
        rewards = torch.tensor([[self.outcomes.rewards[i][step]] for i, step in places])
        ends = torch.tensor([[self.outcomes.ends[i][step]] for i, step in places])
        weights = torch.from_numpy(self.sampler.weights_of(raw["episodes"], raw["starts"]))[:, None]
        latents = torch.from_numpy(raw["latents"])
        return latents, {name: own[:, 1:] for name, own in actions.items()}, rewards, ends, weights

    def loss(self, batch: Steps, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        device = device_of(self.module)
        latents, rewards, ends, weights = (batch[place].to(device) for place in (0, 2, 3, 4))  # type: ignore[union-attr]
        generator = torch_generator(self.seed, LOSS, index)
        share = self.config.noise * torch.rand(len(latents), 1, 1, 1, 1, generator=generator)
        noise = torch.randn(latents.shape, generator=generator)
        noisy = torch.lerp(latents, noise.to(device), share.to(device))
        vectors = self._vectors(batch[1])
        told, ended = self.module.logits(noisy[:, :1], noisy[:, 1:], vectors)
        surprise = -(self.module.two_hot(rewards) * told.log_softmax(-1)).sum(-1)
        missed = functional.binary_cross_entropy_with_logits(ended, ends.float(), reduction="none")
        parts = [(weights * own).mean() / blind for own, blind in zip((surprise, missed), self.blind, strict=True)]
        figures = {"reward_loss": parts[0].detach(), "termination_loss": parts[1].detach()}
        return parts[0] + parts[1], figures

    @torch.no_grad()
    def validate(self, step: int, folder: Path) -> dict[str, float]:
        """Rewards and ends of all held-out steps, see :mod:`slowfast.training.outcome_figures`; what a head that looks
        at nothing says comes from the training data. Sets the head's threshold: the best on validation episodes."""
        self.world.codec.to(self.world.device)  # type: ignore[attr-defined]  # codecs are modules
        results: dict[str, float] = {}
        for name, (part, outcomes) in self.measured.items():
            told, chances = self._told(part)
            rewards, ends = (torch.from_numpy(np.concatenate(own)) for own in (outcomes.rewards, outcomes.ends))
            if not name:  # the validation part comes first
                self.module.threshold.fill_(best_threshold(chances, ends))
            found = reward_figures(told, rewards, self.mean)
            if self.share or ends.any():
                found |= termination_figures(chances, ends, self.share, float(self.module.threshold))
            results |= {f"{name}{figure}": value for figure, value in found.items()}
        return results

    def save(self, folder: Path) -> None:
        """The world's folder with its outcome head."""
        self.world.save_pretrained(folder)

    def _told(self, part: Subset) -> tuple[Tensor, Tensor]:
        """Rewards and chances ``float32 [N]`` of all steps of a part, on the CPU."""
        rewards, chances = [], []
        for i in range(len(part)):
            columns = part.actions(i)
            for steps, latents in stretches(self.world, part, i):
                own = self.spec.stack([self.spec.select(columns, steps)])
                latents = latents.to(device_of(self.module))
                told = self.module(latents[:, :-1], latents[:, 1:], self._vectors(self.world.action_tensors(own)))
                rewards.append(told.rewards[0].cpu())
                chances.append(told.chances[0].cpu())
        return torch.cat(rewards), torch.cat(chances)

    @torch.no_grad()
    def _vectors(self, actions: ActionTensors) -> Tensor:
        """Of the world's network, which training leaves where it is, for the head."""
        here = {name: own.to(self.world.device) for name, own in actions.items()}
        return self.world.slow.action_vectors(here).to(device_of(self.module))


def entropy(shares: Tensor) -> float:
    """Of shares that sum to 1, in nats: what a head that knows them and nothing else loses. 1 where they are certain,
    so that it can be divided by."""
    return float(torch.special.entr(shares.double()).sum()) or 1.0


NOTHING = (
    "every step of the training data has reward {:g} and none ends an episode: there is nothing to learn; record an "
    "environment that pays, or write rewards into the episodes"
)
