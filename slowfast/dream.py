"""Dreaming in latent space: the state of E episodes that a world makes up, chunk after chunk.

Nothing is decoded between chunks. Episodes of equal context length are denoised in one batch. All tensors are replaced,
never written in place, so that a copy of the state costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from slowfast.actions import ActionSpec, Columns
from slowfast.dream_state import DreamState
from slowfast.fast import EpisodicMemory
from slowfast.fast.generators import episode_generator, from_states, states
from slowfast.fast.reading import generate
from slowfast.fast.replay import Stream
from slowfast.fast.state_io import state_from_tensors, state_tensors
from slowfast.rolling import RollingPrefix
from slowfast.slow.windows import ActionTensors, concat_actions, select_actions
from slowfast.world_model import WorldModel

Actions = Columns | ActionTensors | Sequence[Any]
"""One action a frame for each episode, ``[E', n]``: columns, tensors, or E' sequences that the action spec reads."""


class Dream:
    """E episodes of ``world``: :meth:`start` them from frames, then :meth:`step`.

    ``memory``: an :class:`~slowfast.EpisodicMemory` of as many episodes, read by every step and taught every frame that
    was made or observed; None dreams without. ``seed``: episode e draws its noise from
    ``SeedSequence(seed).spawn(E)[e]`` alone; a memory draws from its own seed, which should be another one. ``steps``:
    sampling steps, by default the world's. Raises ValueError when the memory is of another size, or the codec
    compresses time.
    """

    def __init__(
        self,
        world: WorldModel,
        episodes: int = 1,
        memory: EpisodicMemory | None = None,
        seed: int = 0,
        steps: int | None = None,
    ) -> None:
        if memory is not None and len(memory) != episodes:
            raise ValueError(f"the memory is of {len(memory)} episodes, the dream of {episodes}")
        if world.codec.temporal_factor != 1:
            raise ValueError(
                f"a dream steps frame by frame, the codec of {world.config.name!r} joins {world.codec.temporal_factor}"
            )
        self.world, self.memory, self.steps = world, memory, steps
        self.generators = [episode_generator(seed, episode) for episode in range(episodes)]
        self.context = Stream.empty(
            episodes,
            world.config.context,
            torch.zeros(1, 1, *world.latent_shape, device=world.device),
            world.slow.null_actions(1, 1),
        )
        self.rolling = RollingPrefix.empty(episodes)
        """What is kept of the contexts from frame to frame, where the world has ``roll_prefix``."""
        self.updates = torch.zeros(episodes, dtype=torch.int64)
        """``int64 [E]``: memory updates since each episode began."""

    def __len__(self) -> int:
        return len(self.generators)

    @property
    def lengths(self) -> torch.Tensor:
        """``int64 [E]``: frames of context; 0 before :meth:`start`, growing to the world's f_p."""
        return self.context.frames.clamp(max=self.world.config.context)

    @property
    def latents(self) -> torch.Tensor:
        """``float32 [E, C, h, w]``: the present frame of each episode."""
        return self.context.latents[:, -1]

    def start(
        self,
        frames: np.ndarray,
        actions: Actions,
        episodes: Sequence[int] | None = None,
        seeds: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        """Begins episodes at the last of ``frames`` ``uint8 [E', T, H, W, 3]``, with the T - 1 actions between them.

        Their memories are fresh, and are taught all T frames. ``seeds``: of the dream and of the memory of each, so
        that it goes on as the only episode of a new dream and a new memory of these seeds.
        """
        index = self._index(episodes)
        if seeds is not None:
            for episode, (dream_seed, _) in zip(index.tolist(), seeds, strict=True):
                self.generators[episode] = episode_generator(dream_seed, 0)
        if self.memory is not None:
            self.memory.reset(index, None if seeds is None else [memory_seed for _, memory_seed in seeds])
        self.updates = self.updates.index_fill(0, index, 0)
        latents, tensors = self._encoded(frames, actions, index)
        if self._frames(tensors) != latents.shape[1] - 1:
            raise ValueError(f"{latents.shape[1]} frames start with {latents.shape[1] - 1} actions between them")
        self._replace(index, latents, tensors)

    def step(self, actions: Actions, episodes: Sequence[int] | None = None) -> torch.Tensor:
        """Dreams n frames, 1 <= n <= f_g, in one denoising; ``actions`` ``[E', n]`` lead into them.

        Returns latents ``float32 [E', n, C, h, w]``. What was made joins the context and is taught to the memory, which
        learns whenever its own rhythm says. Raises ValueError for another n, RuntimeError before :meth:`start`.
        """
        index, tensors, chunk = self._index(episodes), self._tensors(actions), self.world.config.chunk
        count = self._frames(tensors)
        if not 1 <= count <= chunk:
            raise ValueError(f"one step dreams 1 to {chunk} frames, got {count} actions")
        self._check_episodes(tensors, index)
        lengths = self.lengths[index]
        if not lengths.all():
            raise RuntimeError(f"episodes {index[lengths == 0].tolist()} have not begun: call start() first")
        kinds = lengths * (self.world.config.context + 1) + self.rolling.entered[index]
        alike = bool((kinds == kinds[0]).all())
        made = self._made(index, tensors, count) if alike else self._apart(index, tensors, count, kinds)
        self._extend(index, made, tensors, dreamed=True)
        return made

    def observe(self, frames: np.ndarray, actions: Actions, episodes: Sequence[int] | None = None) -> None:
        """True frames ``uint8 [E', T, H, W, 3]`` take the place of what was dreamed, and teach the memory.

        With T - 1 actions the frames stand for themselves and replace the context. With T actions they go on from the
        present frame: the first action led from there to ``frames[:, 0]``.
        """
        index = self._index(episodes)
        latents, tensors = self._encoded(frames, actions, index)
        given, count = self._frames(tensors), latents.shape[1]
        if given == count:
            self.rolling = self.rolling.cut(index)
            self._extend(index, latents, tensors)
        elif given == count - 1:
            if self.memory is not None:
                self.memory.cut(index)
            self._replace(index, latents, tensors)
        else:
            raise ValueError(f"{count} frames come with {count - 1} actions, or {count} when they go on; got {given}")

    def rollout(self, actions: Actions, chunk: int | None = None) -> Iterator[np.ndarray]:
        """Dreams all of ``actions`` ``[E, T]``, ``chunk`` (by default f_g) at a time: yields ``uint8 [E, n, H, W, 3]``.

        What it holds does not grow with T, but for the actions.
        """
        tensors = self._tensors(actions)
        size = chunk or self.world.config.chunk
        for first in range(0, self._frames(tensors), size):
            yield self.world.decode(self.step(select_actions(tensors, (slice(None), slice(first, first + size)))))

    def snapshot(self) -> DreamState:
        """This moment, without copying: context and what is kept of it, noise, memory with its optimiser and frames."""
        context = {"latents": self.context.latents, "frames": self.context.frames}
        context |= {f"actions.{name}": tensor for name, tensor in self.context.actions.items()}
        tensors = {f"context.{name}": tensor for name, tensor in context.items()}
        tensors |= {"random": states(self.generators), "updates": self.updates, **self.rolling.named()}
        if self.memory is not None:
            tensors |= {f"memory.{name}": own for name, own in state_tensors(self.memory.snapshot()).items()}
        return DreamState(tensors, self.world.base_hash, None if self.memory is None else self.memory.rule)

    def restore(self, state: DreamState) -> None:
        """Back to (or on to) the moment of ``state``: what follows repeats the same bits on the same device.

        Raises ValueError when it is of other weights, of another rule, or of another number of episodes.
        """
        state.check_fits(self.world.base_hash, None if self.memory is None else self.memory.rule)
        if len(state) != len(self):
            raise ValueError(f"the snapshot is of {len(state)} episodes, the dream of {len(self)}")
        parts = {
            place: {name[len(place) :]: own for name, own in state.tensors.items() if name.startswith(place)}
            for place in ("context.", "context.actions.", "memory.")
        }
        if self.memory is not None:
            self.memory.restore(state_from_tensors(parts["memory."], self._device))
        context = parts["context."]
        self.context = Stream(
            context["latents"].to(self._device),
            {name: own.to(self._device) for name, own in parts["context.actions."].items()},
            context["frames"],
        )
        self.rolling = RollingPrefix.of_named(state.tensors, len(self), self._device)
        self.generators, self.updates = from_states(state.tensors["random"]), state.tensors["updates"]

    @torch.no_grad()
    def imagine(
        self,
        actions: ActionTensors,
        generators: Sequence[torch.Generator],
        episodes: Sequence[int] | torch.Tensor | None = None,
    ) -> torch.Tensor:
        """What ``actions`` ``[B, n, ...]`` would lead to, latents ``[B, n, C, h, w]``; nothing is changed.

        B = k * E': k candidates of each of ``episodes`` (default: all), episode-major, with a generator each. Raises
        RuntimeError when an episode has not begun, ValueError when contexts differ in length.
        """
        index, world = self._index(episodes), self.world
        lengths = self.lengths[index].unique().tolist()
        if lengths[0] == 0:
            raise RuntimeError("an episode of the dream has not begun: call start() first")
        if len(lengths) > 1:
            raise ValueError(f"episodes have contexts of {lengths} frames; imagining needs them equally long")
        batch, frames = next(iter(actions.values())).shape[:2]
        context, count = self.context.windows(index, lengths[0], 0), batch // len(index)
        past = {name: own.repeat_interleave(count, 0) for name, own in context.actions.items()}
        return generate(
            world.slow,
            self.memory,
            context.latents.repeat_interleave(count, 0),
            concat_actions([past, actions]),
            frames,
            generators,
            self.steps,
            index,
            world.config.chunk,
            world.config.context,
        )

    def _apart(self, index: torch.Tensor, actions: ActionTensors, count: int, kinds: torch.Tensor) -> torch.Tensor:
        """New latents for episodes of several ``kinds``, which are dreamed one kind after the other."""
        groups = [(kinds == kind).nonzero().flatten() for kind in kinds.unique()]
        parts = [self._made(index[group], select_actions(actions, group.to(self._device)), count) for group in groups]
        return torch.cat(parts)[torch.cat(groups).argsort().to(self._device)]

    @torch.no_grad()
    def _made(self, index: torch.Tensor, actions: ActionTensors, count: int) -> torch.Tensor:
        """New latents for episodes whose contexts are equally long, and of which as much is kept."""
        length = int(self.lengths[index[0]])
        context = self.context.windows(index, length, 0)
        given = (context.latents, concat_actions([context.actions, actions]), count)
        generators = [self.generators[episode] for episode in index.tolist()]
        slow = self.world.slow
        if self.memory is not None or not slow.roll_prefix or not count < length == self.world.config.context:
            self.rolling = self.rolling.cut(index)
            return generate(slow, self.memory, *given, generators, self.steps, index)
        kept = self.rolling.of(index, length)
        made = slow.generate(*given, generators, self.steps, kept=kept)
        self.rolling = self.rolling.keep(index, kept, count)
        return made

    def _replace(self, index: torch.Tensor, latents: torch.Tensor, actions: ActionTensors) -> None:
        self.context = self.context.cut(index)
        self.rolling = self.rolling.cut(index)
        self._extend(index, latents, concat_actions([self.world.slow.null_actions(len(index), 1), actions]))

    def _extend(
        self, index: torch.Tensor, latents: torch.Tensor, actions: ActionTensors, dreamed: bool = False
    ) -> None:
        self.context = self.context.extend(index, latents, actions)
        if self.memory is not None:
            learned = self.memory.append(latents, actions, index, dreamed)
            self.updates = self.updates.index_add(0, index, learned["updates"])

    def _encoded(self, frames: np.ndarray, actions: Actions, index: torch.Tensor) -> tuple[torch.Tensor, ActionTensors]:
        frames = np.asarray(frames)
        if frames.ndim != 5 or len(frames) != len(index) or not frames.shape[1]:
            raise ValueError(f"{len(index)} episodes need frames [{len(index)}, T, H, W, 3], got {frames.shape}")
        tensors = self._tensors(actions)
        self._check_episodes(tensors, index)
        return self.world.encode(frames), tensors

    def _tensors(self, actions: Actions) -> ActionTensors:
        spec = self.world.action_spec
        if isinstance(actions, Mapping):
            if all(isinstance(value, torch.Tensor) for value in actions.values()):
                return {name: torch.as_tensor(tensor, device=self._device) for name, tensor in actions.items()}
            return self.world.action_tensors(spec.columns(actions))
        return self.world.action_tensors(spec.stack([spec.columns(list(episode)) for episode in actions]))

    def _index(self, episodes: Sequence[int] | torch.Tensor | None) -> torch.Tensor:
        return torch.arange(len(self)) if episodes is None else torch.as_tensor(episodes, dtype=torch.int64)

    def _check_episodes(self, actions: ActionTensors, index: torch.Tensor) -> None:
        for name, tensor in actions.items():
            if tensor.ndim < 2 or len(tensor) != len(index):
                raise ValueError(
                    f"{len(index)} episodes need actions [{len(index)}, n], got {tuple(tensor.shape)} in {name!r}"
                )

    @staticmethod
    def _frames(actions: ActionTensors) -> int:
        return next(iter(actions.values())).shape[1]

    @property
    def _device(self) -> torch.device:
        return self.context.latents.device


def repeated(spec: ActionSpec, actions: Sequence[Any], count: int) -> Columns:
    """``count`` actions as columns ``[1, count]``: those given, over and over."""
    columns = spec.columns(list(actions))
    index = np.arange(count) % len(next(iter(columns.values())))
    return {name: column[index][None] for name, column in columns.items()}
