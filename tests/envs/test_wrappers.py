"""Frame skip and goals beside observations, alone and in vectors, through every kind of autoreset."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from slowfast.envs.dream import DreamEnv
from slowfast.envs.dream_vector import DreamVectorEnv
from slowfast.envs.goal_rewards import InstructionReward
from slowfast.envs.wrappers import FrameSkip, GoalObservation, VectorGoalObservation
from slowfast.heads.instruction import InstructionConfig, InstructionHead
from slowfast.world_model import WorldModel

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), np.uint8)
TEXTS = ["make it bright", "make it dark – slowly"]
STEPS = 12


class Brightness(gymnasium.Env[Any, int]):
    """A picture of one grey that each action 1 makes brighter; over after ``length`` steps; its reward is the step."""

    action_space = spaces.Discrete(2)

    def __init__(self, length: int = 4, named: bool = False, speaks: bool = False) -> None:
        self.length, self.named, self.speaks, self.now, self.grey = length, named, speaks, 0, 0
        picture = spaces.Box(0, 255, (4, 6, 3), np.uint8)
        self.observation_space = (
            spaces.Dict({"camera": picture, "now": spaces.Box(0, 100, (1,), np.float32)}) if named else picture
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.now, self.grey = 0, int(self.np_random.integers(50))
        said = (options or {}).get("goal") or f"number {self.grey}"
        return self._seen(), {"instruction": said} if self.speaks else {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.now, self.grey = self.now + 1, self.grey + 10 * int(action)
        return self._seen(), float(self.now), self.now == self.length, False, {"grey": self.grey}

    def _seen(self) -> Any:
        picture = np.full((4, 6, 3), self.grey, np.uint8)
        return {"camera": picture, "now": np.array([self.now], np.float32)} if self.named else picture


def judge(achieved: Any, desired: Any, info: Any) -> Any:
    """Brightness, or darkness, as words ask for it."""
    grey = np.asarray(achieved)[..., 0, 0, 0] / 255
    bright = np.array(["bright" in text for text in ([desired] if isinstance(desired, str) else desired)])
    worth = np.where(bright, grey, 1 - grey)
    return float(worth[0]) if isinstance(desired, str) else worth


# --- frame skip ------------------------------------------------------------------------------------------------------


def test_an_action_is_repeated_and_an_end_ends_it() -> None:
    env = FrameSkip(Brightness(5), 3)
    first, _ = env.reset(seed=1)
    seen, reward, terminated, truncated, info = env.step(1)
    assert int(seen[0, 0, 0]) == int(first[0, 0, 0]) + 30
    assert (reward, terminated, truncated, info["steps"]) == (1 + 2 + 3, False, False, 3)
    _, reward, terminated, _, info = env.step(0)
    assert (reward, terminated, info["steps"]) == (4 + 5, True, 2)
    check_env(FrameSkip(Brightness(5), 2), skip_render_check=True)
    with pytest.raises(ValueError, match="k=0"):
        FrameSkip(Brightness(), 0)


def test_a_dream_makes_skipped_frames_in_few_denoisings(
    tiny_world: WorldModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    generate = tiny_world.slow.generate
    monkeypatch.setattr(tiny_world.slow, "generate", lambda *a, **k: calls.append(a[2]) or generate(*a, **k))
    env = FrameSkip(DreamEnv(tiny_world), 6)  # the world makes 4 frames at once
    env.reset(seed=0, options={"start": 1})
    seen = env.step(2)[0]
    assert calls == [4, 2]
    whole = DreamEnv(tiny_world)
    whole.reset(seed=0, options={"start": 1})
    for count in (4, 2):
        whole.prepare([2] * count)
        for _ in range(count):
            last = whole.step(2)[0]
    assert np.array_equal(seen, last)


# --- one environment -------------------------------------------------------------------------------------------------


def test_a_picture_to_reach_stands_beside_what_is_seen() -> None:
    env = GoalObservation(Brightness(named=True), PICTURES, picture="camera")
    first, _ = env.reset(seed=3)
    assert first in env.observation_space
    assert np.array_equal(first["achieved_goal"], first["observation"]["camera"])
    assert any(np.array_equal(first["desired_goal"], goal) for goal in PICTURES)
    seen, reward, _, _, info = env.step(1)
    difference = (seen["achieved_goal"].astype(float) - first["desired_goal"]) / 255
    assert reward == pytest.approx(-np.sqrt(np.mean(difference**2)))
    assert info["environment_reward"] == 1
    assert env.compute_reward(seen["achieved_goal"], seen["achieved_goal"], {}) == 0
    many = env.compute_reward(np.stack([seen["achieved_goal"]] * 5), PICTURES, [{}] * 5)
    assert many.shape == (5,)
    assert reward in many


def test_goals_follow_the_seed_and_leave_the_environment_s_own_draws_alone() -> None:
    env, alone = GoalObservation(Brightness(), PICTURES), Brightness()
    goals = []
    for _ in range(2):
        greys = [env.reset(seed=5)[0], *(env.reset()[0] for _ in range(8))]
        goals.append(np.stack([seen["desired_goal"] for seen in greys]))
        own = [alone.reset(seed=5)[0], *(alone.reset()[0] for _ in range(8))]
        assert np.array_equal([seen["observation"] for seen in greys], own)
    assert np.array_equal(*goals)
    assert len(np.unique(goals[0], axis=0)) > 2
    chosen = env.reset(options={"goal": PICTURES[4]})[0]["desired_goal"]
    assert np.array_equal(chosen, PICTURES[4])
    with pytest.raises(ValueError, match="option 'goal'"):
        env.reset(options={"goal": PICTURES[0, :2]})


def test_words_are_judged_by_whoever_understands_them_and_may_be_reached() -> None:
    env = GoalObservation(Brightness(9), TEXTS, judge, reach=0.1)
    env.reset(seed=0, options={"goal": TEXTS[0]})
    env.unwrapped.grey = 0  # type: ignore[attr-defined]
    assert env.step(1)[:3][1:] == (pytest.approx(10 / 255), False)
    env.step(1)
    seen, reward, terminated, _, _ = env.step(1)
    assert (reward, terminated) == (pytest.approx(30 / 255), True)
    assert env.compute_terminated(seen["achieved_goal"], TEXTS[0], {})
    assert not GoalObservation(Brightness(), TEXTS, judge).compute_terminated(seen["achieved_goal"], TEXTS[0], {})


def test_the_environment_s_own_words_and_what_it_pays_for_them() -> None:
    env = GoalObservation(Brightness(speaks=True), "instruction")
    seen, info = env.reset(seed=2)
    assert seen in env.observation_space
    assert seen["desired_goal"] == info["instruction"] == f"number {seen['observation'][0, 0, 0]}"
    assert env.step(1)[1] == 1.0
    assert env.reset(options={"goal": "its own option"})[0]["desired_goal"] == "its own option"
    with pytest.raises(ValueError, match="the environment alone knows what its instruction is worth"):
        env.compute_reward(seen["achieved_goal"], "number 3", {})
    with pytest.raises(KeyError, match="says no 'instruction'"):
        GoalObservation(Brightness(), "instruction").reset()


@pytest.mark.parametrize(
    "make",
    [
        partial(GoalObservation, goals=PICTURES),
        partial(GoalObservation, goals=TEXTS, reward=judge, reach=0.9),
        partial(GoalObservation, goals="instruction"),
    ],
)
def test_gymnasium_finds_nothing_wrong(make: Callable[[gymnasium.Env[Any, Any]], gymnasium.Env[Any, Any]]) -> None:
    check_env(make(Brightness(speaks=True)), skip_render_check=True)


def test_what_makes_no_sense_is_said() -> None:
    with pytest.raises(ValueError, match="`picture` names one within a Dict"):
        GoalObservation(Brightness(named=True), PICTURES)
    with pytest.raises(ValueError, match=r"goals are uint8 \[N, 4, 6, 3\]"):
        GoalObservation(Brightness(), PICTURES[:, :2])
    with pytest.raises(ValueError, match="got none"):
        GoalObservation(Brightness(), [])
    with pytest.raises(ValueError, match="goals in words of your own need reward="):
        GoalObservation(Brightness(), TEXTS)
    with pytest.raises(ValueError, match="goals='instructions'"):
        GoalObservation(Brightness(), "instructions")
    venv = SyncVectorEnv([Brightness])
    venv.metadata = {}
    with pytest.raises(ValueError, match="autoreset_mode"):
        VectorGoalObservation(venv, PICTURES)


# --- vectors ---------------------------------------------------------------------------------------------------------

LENGTHS = (3, 5)
Steps = list[tuple[Any, float | None]]


def alone(length: int, seed: int, make: Callable[[Any], Any]) -> Steps:
    """What the single wrapper shows and pays at each reset (None) and step, for a few episodes."""
    env, seen = make(Brightness(length, speaks=True)), []
    for episode in range(6):
        seen.append((env.reset(seed=None if episode else seed)[0], None))
        for _ in range(length):
            observation, reward, *_ = env.step(1)
            seen.append((observation, reward))
    return seen


@pytest.mark.parametrize("kind", ["pictures", "words", "instruction"])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_a_vector_s_goals_are_those_of_each_environment_alone(mode: AutoresetMode, kind: str) -> None:
    arguments: dict[str, Any] = {
        "pictures": {"goals": PICTURES},
        "words": {"goals": TEXTS, "reward": judge},
        "instruction": {"goals": "instruction"},
    }[kind]
    venv = SyncVectorEnv([partial(Brightness, length, speaks=True) for length in LENGTHS], autoreset_mode=mode)
    env = VectorGoalObservation(venv, **arguments)
    found: list[Steps] = [[], []]
    observations, _ = env.reset(seed=7)
    assert observations in env.observation_space
    for number in range(2):
        found[number].append((one(observations, number), None))
    ended = np.zeros(2, bool)
    for _ in range(STEPS):
        only_reset = ended & (mode is AutoresetMode.NEXT_STEP)
        observations, rewards, terminated, truncated, infos = env.step(np.ones(2, int))
        assert observations in env.observation_space
        ended = terminated | truncated
        for number in range(2):
            if only_reset[number]:
                assert rewards[number] == 0
                found[number].append((one(observations, number), None))
            elif mode is AutoresetMode.SAME_STEP and ended[number]:
                found[number].append((infos["final_obs"][number], rewards[number]))
                found[number].append((one(observations, number), None))
            else:
                found[number].append((one(observations, number), rewards[number]))
        if mode is AutoresetMode.DISABLED and ended.any():
            observations, _ = env.reset(options={"reset_mask": ended})
            for number in np.flatnonzero(ended):
                found[number].append((one(observations, number), None))
            ended[:] = False
    for number, length in enumerate(LENGTHS):
        expected = alone(length, 7 + number, lambda own: GoalObservation(own, **arguments))
        assert len(found[number]) > 2 * length
        for (seen, reward), (own, own_reward) in zip(found[number], expected, strict=False):
            assert set(seen) == set(own)
            assert all(np.array_equal(seen[name], own[name]) for name in own)
            assert reward == own_reward


def test_goals_of_a_vector_may_be_given() -> None:
    env = VectorGoalObservation(SyncVectorEnv([Brightness] * 2), PICTURES)
    seen, _ = env.reset(options={"goal": PICTURES[3:]})
    assert np.array_equal(seen["desired_goal"], PICTURES[3:])
    with pytest.raises(ValueError, match="takes 2 goals"):
        env.reset(options={"goal": PICTURES[:1]})


def test_dreams_are_paid_for_words_by_what_their_world_understands(tiny_world_folder: Any) -> None:
    world = WorldModel.from_pretrained(tiny_world_folder)
    with pytest.raises(ValueError, match="'tiny' has no instruction head: `slowfast train instruction`"):
        InstructionReward(world)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        world.instruction = InstructionHead(InstructionConfig(4, ("left", "right", "turn"), width=8)).eval()
    reward, texts = InstructionReward(world), ["turn left", "turn right"]
    env = VectorGoalObservation(DreamVectorEnv(2, world), texts, reward)
    env.reset(seed=0, options={"goal": texts})
    seen, rewards, *_ = env.step(np.array([0, 1]))
    latents = world.encode(seen["achieved_goal"][:, None])
    expected = world.instruction(latents, world.instruction.read(texts))[:, 0]
    assert rewards == pytest.approx(expected.detach().numpy(), rel=1e-5)
    assert 0 < rewards.min() < rewards.max() < 1
    assert reward(seen["achieved_goal"][1], texts[1]) == pytest.approx(rewards[1], rel=1e-5)


def one(observations: dict[str, Any], number: int) -> dict[str, Any]:
    return {name: column[number] for name, column in observations.items()}
