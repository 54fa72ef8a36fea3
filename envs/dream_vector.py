"""``slowfast/Dream-v0`` as a true vector environment: one batched denoise serves all E environments.

Each has its own noise, its own episodic memory and its own time: draws and resets are exactly those of the same
environment alone, values agree up to batched arithmetic, and ``exact=True`` makes them equal to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space, iterate

from slowfast.actions import Columns
from slowfast.dream import Dream
from slowfast.dream_state import DreamState, from_random_words, random_words
from slowfast.envs.dream_parts import DEFAULT_FPS, check_choices, loaded_world, observation_space, starting_point
from slowfast.envs.dream_rewards import check_reward, told_by_head
from slowfast.fast import MemoryRule
from slowfast.rewards import RewardFunction, judge
from slowfast.world_model import WorldModel

Observations = np.ndarray
Infos = dict[str, Any]


class DreamVectorEnv(gymnasium.vector.VectorEnv[Observations, Any, np.ndarray]):
    """E environments of :class:`~slowfast.envs.dream.DreamEnv`, whose arguments of the same name it takes.

        gymnasium.make_vec("slowfast/Dream-v0", num_envs=16, vectorization_mode="vector_entry_point")

    Observations ``uint8 [E, H, W, 3]`` or ``float32 [E, C, h, w]``; actions as ``action_space`` says, or a sequence of
    E actions in any form that the world's ``ActionSpec`` reads.

    **Reset.** An integer seed gives environment i the seed ``seed + i``. ``options``: ``start``, an index for all or E
    of them; or ``frames`` and ``actions``, E of each; and ``reset_mask`` ``bool [E]``, which resets those alone.

    **Autoreset.** ``NEXT_STEP`` (the default): the step after an end resets that environment, whatever its action.
    ``SAME_STEP``: an end resets at once, ``info["final_obs"]`` and ``info["final_info"]`` hold what it was.
    ``DISABLED``: call ``reset(options={"reset_mask": ...})``; a step before that raises RuntimeError.

    Arguments beside those of the single environment:
        num_envs: E.
        max_episode_steps: steps after which an episode is truncated; None for no limit.
        autoreset_mode: an ``AutoresetMode`` or its name.
        exact: denoise and learn environment by environment: slower, and equal to the bit to each alone.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": DEFAULT_FPS}  # noqa: RUF012 - as Gymnasium

    def __init__(
        self,
        num_envs: int = 1,
        world: str | Path | WorldModel = "doom-rooms",
        memory: str = "off",
        memory_rule: str | Mapping[str, Any] | MemoryRule | None = None,
        memory_every: int | None = None,
        observation: str = "frames",
        steps: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | str | None = None,
        compile: bool = False,
        render_mode: str | None = None,
        max_episode_steps: int | None = 500,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        exact: bool = False,
        reward_fn: RewardFunction | None = None,
        reward: str | None = None,
    ) -> None:
        check_choices(memory, observation, memory_rule is not None or memory_every is not None)
        if num_envs < 1:
            raise ValueError(f"num_envs={num_envs}: at least one environment")
        if max_episode_steps is not None and max_episode_steps < 1:
            raise ValueError(f"max_episode_steps={max_episode_steps}: at least 1, or None for no limit")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode={render_mode!r} is not None or 'rgb_array'")
        self.num_envs, self.observation, self.render_mode, self.exact = num_envs, observation, render_mode, exact
        self.max_episode_steps, self.reward_fn, self.reward = max_episode_steps, reward_fn, reward
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.world = loaded_world(world, device, dtype, compile)
        check_reward(self.world, reward, reward_fn)
        self.metadata = {
            **self.metadata,
            "render_fps": self.world.config.fps or DEFAULT_FPS,
            "autoreset_mode": self.autoreset_mode,
        }
        self.action_spec = self.world.action_spec
        self.single_action_space = self.action_spec.to_space()
        self.single_observation_space = observation_space(self.world, observation)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.rule = None if memory == "off" else self.world.memory_rule(memory_rule, memory_every, memory)
        self.dream = Dream(
            self.world, num_envs, self.world.new_memory(num_envs, 0, self.rule) if self.rule else None, 0, steps
        )
        """The latent state of all environments, and their memories."""
        self._random = [seeding.np_random()[0] for _ in range(num_envs)]
        self._elapsed = np.zeros(num_envs, np.int64)
        self._starts = np.full(num_envs, -1, np.int64)
        self._ended = np.ones(num_envs, bool)  # until the first reset

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, Infos]:
        options = dict(options or {})
        mask = self._mask(options.pop("reset_mask", None))
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else list(seed or ())
        if seeds and len(seeds) != self.num_envs:
            raise ValueError(f"{len(seeds)} seeds for num_envs={self.num_envs}: one each, an integer, or None")
        chosen = np.flatnonzero(mask)
        for number, own in enumerate(seeds):
            if own is not None and mask[number]:
                self._random[number] = seeding.np_random(own)[0]
        self._begin(chosen, [self._options(options, int(number)) for number in chosen])
        return self._seen(), self._infos(mask)

    def step(self, actions: Any) -> tuple[Observations, np.ndarray, np.ndarray, np.ndarray, Infos]:
        if self._ended.any() and self.autoreset_mode is not AutoresetMode.NEXT_STEP:
            ended = np.flatnonzero(self._ended).tolist()
            raise RuntimeError(f"environments {ended} have ended or not begun: reset them first (options 'reset_mask')")
        if not self.dream.lengths.all() and self._ended.all():
            raise RuntimeError("the dream has not begun: call reset() first")
        given = list(iterate(self.action_space, actions))
        if len(given) != self.num_envs:
            raise ValueError(f"{len(given)} actions for num_envs={self.num_envs}")
        anew, going = np.flatnonzero(self._ended), np.flatnonzero(~self._ended)
        if len(anew):
            self._begin(anew, [{}] * len(anew))
        before = self.dream.latents
        self._advance(going, [[given[number]] for number in going])
        self._elapsed[going] += 1
        rewards, terminated = self._judged(going, given, before)
        truncated = np.zeros(self.num_envs, bool)
        if self.max_episode_steps is not None:
            truncated[going] = self._elapsed[going] >= self.max_episode_steps
        over = terminated | truncated
        self._ended = over.copy()
        infos: Infos = {}
        if over.any() and self.autoreset_mode is AutoresetMode.SAME_STEP:
            infos = self._begin_at_once(over)
        return (
            self._seen(),
            rewards,
            terminated,
            truncated,
            {**infos, **self._infos(np.ones(self.num_envs, bool))},
        )

    def observe(
        self, frames: np.ndarray, actions: Sequence[Any] | Columns, episodes: Sequence[int] | None = None
    ) -> tuple[Observations, Infos]:
        """True frames ``uint8 [E', T, H, W, 3]`` of the environments ``episodes`` (default: all) take the place of what
        was dreamed and teach their memories, as in :meth:`DreamEnv.observe`; ``actions`` are E' sequences."""
        chosen = range(self.num_envs) if episodes is None else [int(number) for number in episodes]
        given = actions if isinstance(actions, Mapping) else [list(own) for own in actions]
        self.dream.observe(np.asarray(frames), given, chosen)
        return self._seen(), self._infos(np.isin(np.arange(self.num_envs), chosen))

    def snapshot(self) -> DreamState:
        """This moment of all environments, as a value: dreams, memories, random state, steps done."""
        own = {
            "env.random": random_words(self._random),
            "env.elapsed": torch.from_numpy(self._elapsed.copy()),
            "env.start": torch.from_numpy(self._starts.copy()),
            "env.ended": torch.from_numpy(self._ended.copy()),
        }
        state = self.dream.snapshot()
        return replace(state, tensors={**state.tensors, **own})

    def restore(self, snapshot: DreamState | Sequence[DreamState]) -> tuple[Observations, Infos]:
        """Goes on from a snapshot, or from E snapshots of one environment each (also of single environments: they begin
        to count steps here). Returns the observations and infos of that moment. Raises ValueError when they do not fit.
        """
        state = snapshot if isinstance(snapshot, DreamState) else DreamState.joined(list(snapshot))
        self.dream.restore(state)
        self._random = from_random_words(state.tensors["env.random"])
        self._elapsed = state.tensors["env.elapsed"].numpy().copy()
        self._starts = state.tensors["env.start"].numpy().copy()
        self._ended = state.tensors["env.ended"].numpy().copy()
        return self._seen(), self._infos(np.ones(self.num_envs, bool))

    def render(self) -> tuple[np.ndarray, ...] | None:
        """The present frame of each environment, ``uint8 [H, W, 3]``."""
        if self.render_mode is None:
            return None
        return tuple(self.world.decode(self.dream.latents[:, None])[:, 0])

    def _begin(self, chosen: np.ndarray, options: Sequence[Mapping[str, Any]]) -> None:
        """Resets the environments ``chosen``; those that start from equally many frames in one batch."""
        points, seeds = [], []
        for number, own in zip(chosen, options, strict=True):
            points.append(starting_point(self.world, own, self._random[number]))
            dream_seed, memory_seed = (int(drawn) for drawn in self._random[number].integers(2**63, size=2))
            seeds.append((dream_seed, memory_seed))
        lengths = np.array([len(frames) for frames, _, _ in points])
        for group in self._groups(lengths):
            self.dream.start(
                np.stack([points[row][0] for row in group]),
                self.action_spec.concat([self.action_spec.columns(points[row][1]) for row in group]),
                chosen[group].tolist(),
                [seeds[row] for row in group],
            )
        self._elapsed[chosen], self._ended[chosen] = 0, False
        self._starts[chosen] = [start for _, _, start in points]

    def _groups(self, lengths: np.ndarray) -> list[np.ndarray]:
        if self.exact:
            return [np.array([row]) for row in range(len(lengths))]
        return [np.flatnonzero(lengths == length) for length in np.unique(lengths)]

    def _begin_at_once(self, ended: np.ndarray) -> Infos:
        """Resets what has ended; what it was, as ``final_obs`` and ``final_info``."""
        infos: Infos = {}
        last, told = self._seen(), self._infos(ended)
        for number in np.flatnonzero(ended):
            own = {name: value[number].item() for name, value in told.items() if not name.startswith("_")}
            infos = self._add_info(infos, {"final_obs": last[number], "final_info": own}, int(number))
        chosen = np.flatnonzero(ended)
        self._begin(chosen, [{}] * len(chosen))
        return infos

    def _advance(self, going: np.ndarray, actions: list[list[Any]]) -> None:
        if self.exact:
            for number, own in zip(going, actions, strict=True):
                self.dream.step([own], [int(number)])
        elif len(going):
            self.dream.step(actions, None if len(going) == self.num_envs else going.tolist())

    def _judged(self, going: np.ndarray, actions: list[Any], before: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Rewards ``float64 [E]`` and ends ``bool [E]`` of this step; nothing for those that were only reset.
        ``before``: the latents ``[E, C, h, w]`` that it led on from."""
        rewards, ends = np.zeros(self.num_envs), np.zeros(self.num_envs, bool)
        if (self.reward is None and self.reward_fn is None) or not len(going):
            return rewards, ends
        columns = self.action_spec.stack([self.action_spec.columns([actions[number]]) for number in going])
        if self.reward_fn is None:
            chosen = torch.from_numpy(going)
            latents = (before[chosen], self.dream.latents[chosen])
            rewards[going], ends[going] = told_by_head(self.world, *latents, columns, self.exact)
            return rewards, ends
        frames = self._pictures(going)[:, None]
        told = {name: value[going] for name, value in self._infos(ends).items() if not name.startswith("_")}
        judged = judge(self.reward_fn, frames, columns, told)
        rewards[going], ends[going] = (array[:, 0] for array in judged)
        return rewards, ends

    def _options(self, options: Mapping[str, Any], number: int) -> dict[str, Any]:
        """Those of one environment."""
        found = dict(options)
        if np.ndim(found.get("start", 0)):
            found["start"] = found["start"][number]
        for name in ("frames", "actions"):
            if name in found:
                whole = found[name]
                found[name] = {k: v[number] for k, v in whole.items()} if isinstance(whole, Mapping) else whole[number]
        return found

    def _mask(self, mask: Any) -> np.ndarray:
        if mask is None:
            return np.ones(self.num_envs, bool)
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != bool or not mask.any():
            raise ValueError(
                f"reset option 'reset_mask' is bool [{self.num_envs}] with at least one True, got {mask.dtype} "
                f"{mask.shape}"
            )
        return mask

    def _seen(self) -> Observations:
        """What all environments show now; zeros where one has not begun."""
        latents = self.dream.latents
        if self.observation == "latents":
            return latents.float().cpu().numpy().copy()
        return self._pictures(np.arange(self.num_envs))

    def _pictures(self, chosen: np.ndarray) -> np.ndarray:
        """The present frames ``uint8 [E', H, W, 3]`` of the environments ``chosen``."""
        latents = self.dream.latents[torch.from_numpy(chosen)]
        if self.exact:
            return np.stack([self.world.decode(own[None, None])[0, 0] for own in latents])
        return self.world.decode(latents[:, None])[:, 0]

    def _infos(self, mask: np.ndarray) -> Infos:
        memory = self.dream.memory
        pending = np.zeros(self.num_envs, np.int64) if memory is None else memory.frames_pending.numpy().copy()
        values = {
            "memory_updates": self.dream.updates.numpy().copy(),
            "memory_frames_pending": pending,
            "start": self._starts.copy(),
        }
        return values | {f"_{name}": mask.copy() for name in values}
