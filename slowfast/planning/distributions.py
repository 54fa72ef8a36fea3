"""Distributions over action sequences: one for each component, episode and step, independent but for their noise.

All are sampled by transforming standard normal noise, so that coloured noise makes coloured sequences of any kind of
action, and refitted to weighted samples, which is all that cross-entropy and path-integral methods do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import torch

from slowfast.action_components import Component, Continuous, Discrete, Keyboard
from slowfast.actions import ActionSpec
from slowfast.planning.plan import Actions, ahead

LEAST_DEVIATION = 0.01
"""Of a continuous action, as a share of its range: a search never quite stops looking."""


class Steps(Protocol):
    """A component's distribution at every step: H of them for each of E episodes."""

    @property
    def width(self) -> int:
        """Numbers of noise that one action takes."""
        ...

    def sample(self, noise: torch.Tensor) -> torch.Tensor:
        """``[E, K, H, width]`` standard normal to values ``[E, K, H, ...]``."""
        ...

    def mode(self) -> torch.Tensor:
        """The likeliest values ``[E, H, ...]``."""
        ...

    def refit(self, values: torch.Tensor, weights: torch.Tensor, momentum: float) -> Self:
        """To values ``[E, K, H, ...]`` of weights ``[E, K]`` that sum to 1; ``momentum``: how much of the old stays."""
        ...

    def after(self, steps: int) -> Self:
        """Moved on by ``steps``; what comes in at the end is as uncertain as at first."""
        ...


@dataclass(frozen=True)
class Categorical:
    """``chances`` ``float32 [E, H, n]``."""

    chances: torch.Tensor
    width: int = 1

    @classmethod
    def at_first(cls, component: Discrete, episodes: int, horizon: int) -> Categorical:
        count = len(component.labels)
        return cls(torch.full((episodes, horizon, count), 1 / count))

    def sample(self, noise: torch.Tensor) -> torch.Tensor:
        uniform = _uniform(noise)  # [E, K, H, 1]
        reached = self.chances.cumsum(-1)[:, None] <= uniform
        return reached.sum(-1).clamp(max=self.chances.shape[-1] - 1)

    def mode(self) -> torch.Tensor:
        return self.chances.argmax(-1)

    def refit(self, values: torch.Tensor, weights: torch.Tensor, momentum: float) -> Categorical:
        chosen = torch.nn.functional.one_hot(values, self.chances.shape[-1]).float()
        new = torch.einsum("ek,ekhn->ehn", weights, chosen)
        return replace(self, chances=torch.lerp(new, self.chances, momentum))

    def after(self, steps: int) -> Categorical:
        moved = ahead(self.chances, steps, 1)
        moved[:, moved.shape[1] - steps :] = 1 / moved.shape[-1]
        return replace(self, chances=moved)


@dataclass(frozen=True)
class Bernoulli:
    """``chances`` ``float32 [E, H, k]`` that a key is held."""

    chances: torch.Tensor

    @classmethod
    def at_first(cls, component: Keyboard, episodes: int, horizon: int) -> Bernoulli:
        return cls(torch.full((episodes, horizon, len(component.keys)), 0.5))

    @property
    def width(self) -> int:
        return self.chances.shape[-1]

    def sample(self, noise: torch.Tensor) -> torch.Tensor:
        return (_uniform(noise) < self.chances[:, None]).long()

    def mode(self) -> torch.Tensor:
        return (self.chances > 0.5).long()

    def refit(self, values: torch.Tensor, weights: torch.Tensor, momentum: float) -> Bernoulli:
        new = torch.einsum("ek,ekhn->ehn", weights, values.float())
        return replace(self, chances=torch.lerp(new, self.chances, momentum))

    def after(self, steps: int) -> Bernoulli:
        moved = ahead(self.chances, steps, 1)
        moved[:, moved.shape[1] - steps :] = 0.5
        return replace(self, chances=moved)


@dataclass(frozen=True)
class Gaussian:
    """``mean``, ``deviation`` ``float32 [E, H, d]``, within ``low`` and ``high`` ``[d]``."""

    mean: torch.Tensor
    deviation: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor

    @classmethod
    def at_first(cls, component: Continuous, episodes: int, horizon: int) -> Gaussian:
        """The middle of the range, with half of it as deviation. Raises ValueError for an axis without bounds."""
        low, high = torch.tensor(component.low), torch.tensor(component.high)
        if not (low.isfinite().all() and high.isfinite().all()):
            raise ValueError(f"action component {component.name!r} has no bounds; planning needs a range to search")
        shape = (episodes, horizon, component.size)
        return cls(((low + high) / 2).expand(shape), ((high - low) / 2).expand(shape), low, high)

    @property
    def width(self) -> int:
        return self.mean.shape[-1]

    def sample(self, noise: torch.Tensor) -> torch.Tensor:
        values = self.mean[:, None] + self.deviation[:, None] * noise
        return torch.maximum(torch.minimum(values, self.high), self.low)

    def mode(self) -> torch.Tensor:
        return self.mean

    def refit(self, values: torch.Tensor, weights: torch.Tensor, momentum: float) -> Gaussian:
        mean = torch.einsum("ek,ekhd->ehd", weights, values)
        variance = torch.einsum("ek,ekhd->ehd", weights, (values - mean[:, None]).square())
        deviation = variance.sqrt().maximum(LEAST_DEVIATION * (self.high - self.low))
        return replace(
            self,
            mean=torch.lerp(mean, self.mean, momentum),
            deviation=torch.lerp(deviation, self.deviation, momentum),
        )

    def after(self, steps: int) -> Gaussian:
        deviation = ahead(self.deviation, steps, 1)
        deviation[:, deviation.shape[1] - steps :] = (self.high - self.low) / 2
        return replace(self, mean=ahead(self.mean, steps, 1), deviation=deviation)


KINDS: dict[type, type[Categorical] | type[Bernoulli] | type[Gaussian]] = {
    Discrete: Categorical,
    Keyboard: Bernoulli,
    Continuous: Gaussian,
}


@dataclass(frozen=True)
class ActionDistribution:
    """The joint distribution of an action spec's acting components, which are independent of each other."""

    parts: Mapping[str, Steps]

    @classmethod
    def at_first(cls, spec: ActionSpec, episodes: int, horizon: int) -> ActionDistribution:
        """Nothing is known. Raises ValueError for a spec that acts in words, or without bounds."""
        kinds: dict[str, Any] = {part.name: _kind(part) for part in spec.acting}
        return cls({part.name: kinds[part.name].at_first(part, episodes, horizon) for part in spec.acting})

    @property
    def width(self) -> int:
        """Numbers of noise that one action takes."""
        return sum(part.width for part in self.parts.values())

    def sample(self, noise: torch.Tensor) -> Actions:
        """Standard normal ``[E, K, H, width]`` to candidates."""
        pieces = noise.split([part.width for part in self.parts.values()], -1)
        return {name: part.sample(piece) for (name, part), piece in zip(self.parts.items(), pieces, strict=True)}

    def mode(self) -> Actions:
        return {name: part.mode() for name, part in self.parts.items()}

    def refit(self, candidates: Actions, weights: torch.Tensor, momentum: float) -> ActionDistribution:
        parts = {name: part.refit(candidates[name], weights, momentum) for name, part in self.parts.items()}
        return ActionDistribution(parts)

    def after(self, steps: int) -> ActionDistribution:
        return ActionDistribution({name: part.after(steps) for name, part in self.parts.items()})


def _kind(component: Component) -> type[Categorical] | type[Bernoulli] | type[Gaussian]:
    if type(component) not in KINDS:
        raise ValueError(
            f"action component {component.name!r} ({component.kind}) cannot be searched; planners search discrete, "
            "continuous and keyboard actions"
        )
    return KINDS[type(component)]


def _uniform(noise: torch.Tensor) -> torch.Tensor:
    """Standard normal to uniform in [0, 1)."""
    return torch.special.ndtr(noise).clamp(max=1 - 1e-7)
