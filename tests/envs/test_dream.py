"""``slowfast/Dream-v0``: a Gymnasium environment like any other, whose frames are dreamed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from slowfast.envs.dream import DreamEnv
from slowfast.world_model import WorldModel


def frames_of(env: DreamEnv, actions: list[Any], **reset: Any) -> np.ndarray:
    observation, _ = env.reset(**reset)
    return np.stack([observation, *(env.step(action)[0] for action in actions)])


def some_frames(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), np.uint8)


@pytest.mark.parametrize("memory", ["off", "temp_lora"])
@pytest.mark.parametrize("observation", ["frames", "latents"])
def test_gymnasium_finds_nothing_wrong(tiny_world_folder: Path, memory: str, observation: str) -> None:
    env = gymnasium.make(
        "slowfast/Dream-v0", world=str(tiny_world_folder), memory=memory, observation=observation
    ).unwrapped
    check_env(env, skip_render_check=True)


def test_gymnasium_finds_nothing_wrong_with_rendering(tiny_world_folder: Path) -> None:
    env = gymnasium.make("slowfast/Dream-v0", world=str(tiny_world_folder), render_mode="rgb_array")
    env.reset(seed=0)
    observation = env.step(1)[0]
    assert np.array_equal(env.render(), observation)
    assert env.metadata["render_fps"] == 10.0


def test_time_limit_is_500_steps(tiny_world: WorldModel) -> None:
    env = gymnasium.make("slowfast/Dream-v0", world=tiny_world)
    assert env.spec is not None
    assert env.spec.max_episode_steps == 500


def test_reward_is_zero_and_nothing_ends(tiny_world: WorldModel) -> None:
    env = DreamEnv(tiny_world)
    env.reset(seed=0)
    assert env.step(0)[1:4] == (0.0, False, False)


@pytest.mark.parametrize("memory", ["off", "temp_lora"])
def test_same_seed_and_actions_give_the_same_frames(tiny_world: WorldModel, memory: str) -> None:
    env = DreamEnv(tiny_world, memory=memory)
    actions = [0, 1, 2, 3, 4, 0]
    first = frames_of(env, actions, seed=5)
    assert np.array_equal(first, frames_of(env, actions, seed=5))
    assert not np.array_equal(first, frames_of(env, actions, seed=6))
    assert not np.array_equal(first, frames_of(env, actions))
    assert not np.array_equal(first, frames_of(env, [0, 1, 2, 4, 3, 0], seed=5))


def test_global_random_state_plays_no_part(tiny_world: WorldModel) -> None:
    import torch

    env = DreamEnv(tiny_world, memory="temp_lora")
    torch.manual_seed(1)
    first = frames_of(env, [0] * 5, seed=5)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert np.array_equal(first, frames_of(env, [0] * 5, seed=5))
    assert torch.equal(before, torch.get_rng_state())


def test_reset_picks_one_of_the_starts(tiny_world: WorldModel) -> None:
    env = DreamEnv(tiny_world)
    seen = {env.reset(seed=seed)[1]["start"] for seed in range(20)}
    assert len(seen) > 3
    assert seen <= set(range(8))
    observation, info = env.reset(options={"start": 3})
    last = tiny_world.encode(tiny_world.starts.frames[3, None, -4:])
    assert np.array_equal(observation, tiny_world.decode(last[:, -1:])[0, 0])
    assert info["start"] == 3
    assert env.dream.context.actions["move"][0].tolist() == tiny_world.starts.actions["move"][3, -4:].tolist()


def test_reset_with_given_frames(tiny_world: WorldModel) -> None:
    env = DreamEnv(tiny_world)
    frames = some_frames(3)
    observation, info = env.reset(options={"frames": frames, "actions": [0, "turn right"]})
    assert np.array_equal(observation, tiny_world.decode(tiny_world.encode(frames[None])[:, -1:])[0, 0])
    assert info["start"] == -1
    assert env.dream.lengths.tolist() == [3]
    env.reset(options={"frames": frames[:1]})
    assert env.dream.lengths.tolist() == [1]
    columns = tiny_world.action_spec.columns([0, 1])
    env.reset(options={"frames": frames, "actions": columns})
    assert env.dream.context.actions["move"][0, -2:].tolist() == [0, 1]


def test_frames_given_to_reset_are_taught(tiny_world: WorldModel) -> None:
    env = DreamEnv(tiny_world, memory="temp_lora")
    assert env.reset(options={"frames": some_frames(1)})[1]["memory_updates"] == 0
    info = env.reset(options={"frames": some_frames(7), "actions": [0] * 6})[1]
    assert info["memory_updates"] == 1
    assert info["memory_frames_pending"] == 2


def test_memory_learns_as_often_as_it_is_told(tiny_world: WorldModel) -> None:
    env = DreamEnv(tiny_world, memory="temp_lora", memory_rule={"steps": 2}, memory_every=2)
    env.reset(options={"frames": some_frames(1)})
    infos = [env.step(0)[4] for _ in range(5)]
    assert [info["memory_updates"] for info in infos] == [0, 1, 1, 2, 2]
    assert [info["memory_frames_pending"] for info in infos] == [1, 0, 1, 0, 1]
    assert env.dream.memory is not None
    assert env.dream.memory.steps.tolist() == [4]


def test_memory_without_effect_equals_memory_off(tiny_world: WorldModel) -> None:
    off = frames_of(DreamEnv(tiny_world), [0] * 9, seed=5)
    idle = frames_of(DreamEnv(tiny_world, memory="temp_lora", memory_rule={"learning_rate": 0.0}), [0] * 9, seed=5)
    learned = frames_of(DreamEnv(tiny_world, memory="temp_lora"), [0] * 9, seed=5)
    assert np.array_equal(off, idle)
    assert not np.array_equal(off, learned)


def test_stepping_never_changes_the_base_weights(tiny_world_folder: Path) -> None:
    import torch

    world = WorldModel.from_pretrained(tiny_world_folder)
    before = {name: value.clone() for name, value in world.slow.state_dict().items()}
    frames_of(DreamEnv(world, memory="temp_lora"), [0] * 9, seed=0)
    assert world.base_hash == WorldModel.from_pretrained(tiny_world_folder).base_hash
    assert all(torch.equal(before[name], value) for name, value in world.slow.state_dict().items())


def test_observing_replaces_what_was_dreamed(tiny_world: WorldModel) -> None:
    env = DreamEnv(tiny_world, memory="temp_lora")
    env.reset(seed=0)
    env.step(0)
    true = some_frames(5, seed=4)
    observation, info = env.observe(true, [0, 1, 2, "forward"])
    assert np.array_equal(observation, tiny_world.decode(tiny_world.encode(true[None])[:, -1:])[0, 0])
    assert info["memory_updates"] == 2  # one of the start's six frames, one of these five
    observation, info = env.observe(true[:1], [3])
    assert env.dream.lengths.tolist() == [4]
    assert info["memory_frames_pending"] == 1


def test_actions_are_taken_in_every_form_that_the_spec_reads(tiny_world: WorldModel) -> None:
    env = gymnasium.make("slowfast/Dream-v0", world=tiny_world).unwrapped
    env.reset(seed=0)
    for action in (0, np.int64(1), "turn left", "walk to the red wall", {"move": 2}, {"text": "forward"}, None):
        env.step(action)
    with pytest.raises(ValueError, match=r"takes 0\.\.4"):
        env.step(7)


def test_observations_as_latents_are_the_streams_own(tiny_world: WorldModel) -> None:
    env = DreamEnv(tiny_world, observation="latents", render_mode="rgb_array")
    env.reset(seed=0)
    latents = env.step(0)[0]
    assert latents.shape == (4, 4, 4)
    assert np.array_equal(latents, env.dream.latents[0].numpy())
    pictures = DreamEnv(tiny_world)
    pictures.reset(seed=0)
    assert np.array_equal(env.render(), pictures.step(0)[0])


def test_observations_are_the_callers_own(tiny_world: WorldModel) -> None:
    env = DreamEnv(tiny_world, render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    observation[:] = 0
    picture = env.render()
    assert picture is not None
    assert picture.any()


def test_dtype_by_name(tiny_world_folder: Path) -> None:
    env = DreamEnv(str(tiny_world_folder), dtype="bfloat16", memory="temp_lora")
    observation, _ = env.reset(seed=0)
    assert env.world.slow.unet.conv_in.weight.dtype.itemsize == 2
    assert env.step(0)[0].shape == observation.shape


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"memory": "lora"}, "not one of 'off', 'temp_lora', 'retrieval', 'hybrid'"),
        ({"observation": "pixels"}, "not one of 'frames', 'latents'"),
        ({"memory_every": 2}, "memory='off'"),
        ({"memory": "temp_lora", "memory_rule": "episodical"}, "choose one of paper, ancestor"),
        ({"render_mode": "ansi"}, "render_mode"),
        ({"device": "cpu"}, "loaded already"),
    ],
)
def test_arguments_that_make_no_sense(tiny_world: WorldModel, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DreamEnv(tiny_world, **arguments)


def test_an_unknown_type_is_refused(tiny_world_folder: Path) -> None:
    with pytest.raises(ValueError, match="is not a type of torch"):
        DreamEnv(tiny_world_folder, dtype="float23")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame": some_frames(1)}, "reset takes"),
        ({"frames": some_frames(1), "start": 1}, "reset takes"),
        ({"actions": [0]}, "reset takes"),
        ({"start": 8}, r"0\.\.7"),
        ({"frames": some_frames(1)[0]}, r"\[T, H, W, 3\]"),
        ({"frames": some_frames(2)}, "the 1 actions between"),
        ({"frames": some_frames(2), "actions": [0, 0]}, "1 actions between"),
        ({"frames": some_frames(1).astype(float)}, "uint8"),
    ],
)
def test_reset_options_that_make_no_sense(tiny_world: WorldModel, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DreamEnv(tiny_world).reset(options=options)


def test_a_world_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"world\.json"):
        DreamEnv(tmp_path)


def test_stepping_before_the_first_reset(tiny_world: WorldModel) -> None:
    with pytest.raises(RuntimeError, match="reset"):
        DreamEnv(tiny_world).step(0)
    with pytest.raises(RuntimeError, match="reset"):
        DreamEnv(tiny_world, render_mode="rgb_array").render()


def test_the_window_without_its_package_names_the_extra(
    tiny_world: WorldModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(ImportError, match=r"slowfast\[play\]"):
        DreamEnv(tiny_world, render_mode="human")
