"""``slowfast/Dream-v0``: a learned world behind Gymnasium. An agent acts, the world answers with a frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from slowfast.actions import Columns
from slowfast.dream import Dream
from slowfast.dream_state import DreamState, from_random_words, random_words
from slowfast.envs.dream_parts import (
    DEFAULT_FPS,
    check_choices,
    loaded_world,
    observation_space,
    one_episode,
    starting_point,
)
from slowfast.envs.dream_rewards import check_reward, told_by_head
from slowfast.envs.window import Window
from slowfast.fast import MemoryRule
from slowfast.rewards import RewardFunction, judge
from slowfast.world_model import WorldModel


class DreamEnv(gymnasium.Env[np.ndarray, Any]):
    """One frame a step, dreamed by a :class:`~slowfast.WorldModel`.

    **Observation.** ``uint8 [H, W, 3]``; with ``observation="latents"`` the frame's latents, ``float32 [C, h, w]``,
    and nothing is decoded but for rendering.

    **Actions.** The space of the world's ``ActionSpec``. ``step`` takes whatever the spec reads besides: a name, a
    sentence (``env.step("turn left")``, through ``env.unwrapped`` when a wrapper insists on the space), a mapping from
    component to value, or None for no action.

    **Reset.** Without options ``np_random`` picks one of the contexts that ship with the world; ``{"start": i}`` names
    it. ``{"frames": uint8 [T, H, W, 3], "actions": the T - 1 between them}`` starts from frames of yours (``actions``
    may be left out if T is 1). All of a start's frames are taught to the memory.

    **Reward and end.** Those of ``reward_fn``, or with ``reward="head"`` those that the world's outcome head tells;
    without either 0.0, and never. ``gymnasium.make`` sets a time limit.

    **Info.** ``memory_updates``: memory updates of this episode; ``memory_frames_pending``: frames not yet learned;
    ``start``: the index of the start, or -1 for frames of yours.

    All randomness comes from ``np_random``: the same seed and actions give the same frames on one device.

    Arguments:
        world: the name of a world that ships, a folder, or a loaded world.
        memory: ``off``; ``temp_lora`` for an adapter that learns the episode while it is dreamed; ``retrieval`` for
            frames that are kept and shown to the network again; ``hybrid`` for both.
        memory_rule: how it learns: None (the world's own), a name, or a mapping of settings.
        memory_every: new frames between two updates; by default the rule's, else the world's chunk.
        observation: ``frames`` or ``latents``.
        steps: sampling steps a frame; by default the world's.
        device, dtype, compile: as in ``WorldModel.from_pretrained``, for a world that is not loaded yet; ``dtype`` may
            be a name such as ``"bfloat16"``.
        render_mode: None, ``rgb_array`` or ``human`` (a window; extra ``play``).
        reward_fn: a reward of your own for the frames, see ``slowfast.rewards``; frames are decoded for it.
        reward: ``head`` for the rewards and ends that the world has learned (``slowfast train outcome``), else None.

    Raises FileNotFoundError for a world or starts that are not there, ValueError for arguments, options or actions that
    make no sense, ImportError that names the extra if ``human`` lacks its package.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": DEFAULT_FPS}  # noqa: RUF012 - as Gymnasium

    def __init__(
        self,
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
        reward_fn: RewardFunction | None = None,
        reward: str | None = None,
    ) -> None:
        check_choices(memory, observation, memory_rule is not None or memory_every is not None)
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode={render_mode!r} is not None, 'rgb_array' or 'human'")
        self.world = loaded_world(world, device, dtype, compile)
        check_reward(self.world, reward, reward_fn)
        self.rule = None if memory == "off" else self.world.memory_rule(memory_rule, memory_every, memory)
        self.observation, self.steps, self.render_mode = observation, steps, render_mode
        self.reward, self.reward_fn = reward, reward_fn
        fps = self.world.config.fps or DEFAULT_FPS
        self.metadata = {**self.metadata, "render_fps": fps}
        self.action_spec = self.world.action_spec
        self.action_space = self.action_spec.to_space()
        self.observation_space = observation_space(self.world, observation)
        self._window = Window(self.world.config.name, fps) if render_mode == "human" else None
        self._dream: Dream | None = None
        self._present: torch.Tensor | None = None
        self._picture: np.ndarray | None = None
        self._start = -1
        self._ahead: deque[tuple[Any, torch.Tensor, np.ndarray | None]] = deque()

    @property
    def dream(self) -> Dream:
        """The latent state of this episode, and its memory. Raises RuntimeError before the first reset."""
        if self._dream is None:
            raise RuntimeError("the dream has not begun: call reset() first")
        return self._dream

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        frames, actions, self._start = starting_point(self.world, options or {}, self.np_random)
        dream_seed, memory_seed = (int(number) for number in self.np_random.integers(2**63, size=2))
        memory = self.world.new_memory(1, memory_seed, self.rule) if self.rule else None
        dream = Dream(self.world, 1, memory, dream_seed, self.steps)
        dream.start(frames[None], actions)
        self._dream = dream
        self._ahead.clear()
        return self._seen(dream.latents[0], None), self._info()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if not self._ahead:
            self.prepare([action])
        prepared, latents, picture = self._ahead.popleft()
        if not _same(prepared, action):
            self._ahead.clear()
            raise RuntimeError(f"the next frame was prepared for action {prepared!r}, not for {action!r}")
        before = self._present
        seen, info = self._seen(latents, picture), self._info()
        reward, ended = self._judged(before, latents, action, info)
        return seen, reward, ended, False, info

    def prepare(self, actions: Sequence[Any]) -> None:
        """Dreams the frames of the next n steps in one denoising (n at most the world's chunk); ``step`` then takes
        these actions in this order and no others. :class:`~slowfast.envs.wrappers.ChunkedActions` uses it.

        What was prepared counts as dreamed: the memory has been taught all n frames.
        """
        self._check_stepped()
        latents = self.dream.step([list(actions)])
        pictures = self.world.decode(latents)[0] if self.observation == "frames" else [None] * len(actions)
        self._ahead.extend(zip(actions, latents[0], pictures, strict=True))

    def observe(self, frames: np.ndarray, actions: Sequence[Any] | Columns) -> tuple[np.ndarray, dict[str, Any]]:
        """True frames ``uint8 [T, H, W, 3]`` take the place of what was dreamed, and teach the memory.

        With the T - 1 actions between them they replace the context; with T actions they go on from the present frame,
        the first action leading to ``frames[0]``. Returns the observation and info of the present frame, which is the
        last of them as the codec sees it.
        """
        self._check_stepped()
        self.dream.observe(np.asarray(frames)[None], one_episode(actions))
        return self._seen(self.dream.latents[0], None), self._info()

    def snapshot(self) -> DreamState:
        """This moment, as a value: dream, memory, random state. What a wrapper counts (a time limit) is not in it."""
        self._check_stepped()
        own = {
            "env.random": random_words([self.np_random]),
            "env.elapsed": torch.zeros(1, dtype=torch.int64),
            "env.start": torch.tensor([self._start]),
            "env.ended": torch.zeros(1, dtype=torch.bool),
        }
        state = self.dream.snapshot()
        return replace(state, tensors={**state.tensors, **own})

    def restore(self, snapshot: DreamState) -> tuple[np.ndarray, dict[str, Any]]:
        """Goes on from a snapshot of one environment, also of a vector environment's ``snapshot().part([i])``; what
        follows repeats the same bits. Returns the observation and info of then. Raises ValueError when it does not fit.
        """
        if self._dream is None:
            memory = self.world.new_memory(1, 0, self.rule) if self.rule else None
            self._dream = Dream(self.world, 1, memory, 0, self.steps)
        self._dream.restore(snapshot)
        self._ahead.clear()
        self.np_random = from_random_words(snapshot.tensors["env.random"])[0]
        self._start = int(snapshot.tensors["env.start"][0])
        return self._seen(self._dream.latents[0], None), self._info()

    def render(self) -> np.ndarray | None:
        """The present frame ``uint8 [H, W, 3]`` for ``rgb_array``; ``human`` draws by itself at every step."""
        if self.render_mode is None:
            return None
        return self._shown().copy() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Closes the window; may be called again."""
        if self._window is not None:
            self._window.close()

    def _judged(
        self, before: torch.Tensor | None, after: torch.Tensor, action: Any, info: Mapping[str, Any]
    ) -> tuple[float, bool]:
        """Reward and end of the step that was just done."""
        if self.reward is None and self.reward_fn is None:
            return 0.0, False
        columns = self.action_spec.stack([self.action_spec.columns([action])])
        if self.reward_fn is None:
            assert before is not None  # a step without a reset was refused
            rewards, ends = told_by_head(self.world, before[None], after[None], columns)
            return float(rewards[0]), bool(ends[0])
        told = {name: np.array([value]) for name, value in info.items()}
        rewards, ends = judge(self.reward_fn, self._shown()[None, None], columns, told)
        return float(rewards[0, 0]), bool(ends[0, 0])

    def _check_stepped(self) -> None:
        if self._ahead:
            raise RuntimeError(f"{len(self._ahead)} prepared frames have not been stepped through yet")

    def _seen(self, latents: torch.Tensor, picture: np.ndarray | None) -> np.ndarray:
        """The observation of a frame that becomes the present one; its picture, if there is none, is made on demand."""
        self._present, self._picture = latents, picture
        if self._window is not None:
            self._window.show(self._shown())
        if self.observation == "frames":
            return self._shown().copy()
        return latents.float().cpu().numpy().copy()

    def _shown(self) -> np.ndarray:
        if self._present is None:
            raise RuntimeError("the dream has no picture yet: call reset() first")
        if self._picture is None:
            self._picture = self.world.decode(self._present[None, None])[0, 0]
        return self._picture

    def _info(self) -> dict[str, Any]:
        memory = self.dream.memory
        return {
            "memory_updates": int(self.dream.updates[0]),
            "memory_frames_pending": 0 if memory is None else int(memory.frames_pending[0]),
            "start": self._start,
        }


def _same(prepared: Any, action: Any) -> bool:
    if prepared is action:
        return True
    if isinstance(prepared, Mapping) and isinstance(action, Mapping):
        return prepared.keys() == action.keys() and all(_same(prepared[name], action[name]) for name in prepared)
    return bool(np.array_equal(np.asarray(prepared), np.asarray(action)))
