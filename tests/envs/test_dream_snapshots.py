"""State as a value: taken without copying, restored to the bit, forked, handed from one environment to another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from slowfast.dream_state import DreamState, from_random_words, random_words
from slowfast.envs.dream import DreamEnv
from slowfast.envs.dream_vector import DreamVectorEnv
from slowfast.world_model import WorldModel

AHEAD = [0, 1, 2, 3, 4, 0, 1]
both_memories = pytest.mark.parametrize("memory", ["off", "temp_lora"])


def go_on(env: DreamEnv, actions: list[int] = AHEAD) -> np.ndarray:
    return np.stack([env.step(action)[0] for action in actions])


@both_memories
def test_going_on_from_a_snapshot_repeats_the_same_bits(tiny_world: WorldModel, memory: str) -> None:
    env = DreamEnv(tiny_world, memory=memory)
    env.reset(seed=3)
    go_on(env, [0, 1, 2])
    before, _, _, _, told = env.step(1)
    snapshot = env.snapshot()
    first, after = go_on(env), env.reset()[0]
    observation, info = env.restore(snapshot)
    assert np.array_equal(observation, before)
    assert info == told
    assert np.array_equal(go_on(env), first)
    assert np.array_equal(env.reset()[0], after)  # what a reset draws comes back, too
    fresh = DreamEnv(tiny_world, memory=memory)
    fresh.restore(snapshot)
    assert np.array_equal(go_on(fresh), first)


@both_memories
def test_a_snapshot_shares_tensors_and_survives_a_file(tiny_world: WorldModel, memory: str, tmp_path: Path) -> None:
    env = DreamEnv(tiny_world, memory=memory)
    env.reset(seed=3)
    go_on(env)
    one, two = env.snapshot(), env.snapshot()
    assert one.tensors["context.latents"].data_ptr() == two.tensors["context.latents"].data_ptr()
    assert one.nbytes > 0
    first = go_on(env)
    one.save(tmp_path / "moment.safetensors")
    again = DreamState.load(tmp_path / "moment.safetensors")
    assert (again.rule, again.base_hash) == (one.rule, one.base_hash)
    env.restore(again)
    assert np.array_equal(go_on(env), first)


def test_forks_share_all_and_go_on_alike_or_with_noise_of_their_own(tiny_world: WorldModel) -> None:
    env = DreamEnv(tiny_world, memory="temp_lora")
    env.reset(seed=3)
    go_on(env)
    snapshot = env.snapshot()
    alike, apart = snapshot.fork(2), snapshot.fork(2, seed=1)
    assert alike[0].tensors["memory.rows"] is apart[1].tensors["memory.rows"]
    runs = []
    for fork in (*alike, *apart):
        env.restore(fork)
        runs.append(go_on(env))
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[2], runs[3])


@both_memories
def test_single_and_vector_environments_hand_over_to_each_other(tiny_world: WorldModel, memory: str) -> None:
    vector = DreamVectorEnv(3, tiny_world, memory=memory, exact=True, max_episode_steps=20)
    vector.reset(seed=5)
    for action in (0, 1, 2, 3):
        vector.step([action] * 3)
    whole = vector.snapshot()
    seen = np.stack([vector.step([action] * 3)[0] for action in AHEAD])
    observations, _ = vector.restore([whole.part([2]), whole.part([0]), whole.part([1])])
    assert observations in vector.observation_space
    again = np.stack([vector.step([action] * 3)[0] for action in AHEAD])
    assert np.array_equal(again, seen[:, [2, 0, 1]])
    single = DreamEnv(tiny_world, memory=memory)
    single.restore(whole.part([1]))
    assert np.array_equal(go_on(single), seen[:, 1])
    vector.restore(whole)
    assert not any(vector.step([0] * 3)[3].any() for _ in range(15))
    assert vector.step([0] * 3)[3].all()  # the step counters came back


def test_what_does_not_fit_is_refused(tiny_world: WorldModel, tmp_path: Path) -> None:
    env, plain = DreamEnv(tiny_world, memory="temp_lora"), DreamEnv(tiny_world)
    for each in (env, plain):
        each.reset(seed=0)
    snapshot = env.snapshot()
    with pytest.raises(ValueError, match="memory learns by"):
        plain.restore(snapshot)
    with pytest.raises(ValueError, match="other weights"):
        env.restore(DreamState(snapshot.tensors, "another", snapshot.rule))
    with pytest.raises(ValueError, match="of 2 episodes, the dream of 1"):
        env.restore(DreamState.joined([snapshot, snapshot]))
    with pytest.raises(ValueError, match="memory learns by"):
        DreamState.joined([snapshot, plain.snapshot()])
    env.prepare([0, 1])
    with pytest.raises(RuntimeError, match="2 prepared frames"):
        env.snapshot()
    path = tmp_path / "memory.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="no snapshot of a dream"):
        DreamState.load(path)


def test_random_states_survive_as_words() -> None:
    generators = [np.random.default_rng(seed) for seed in range(3)]
    for generator in generators:
        generator.integers(5, dtype=np.int32)  # leaves half a word over
    copies = from_random_words(random_words(generators))
    for one, other in zip(generators, copies, strict=True):
        assert (
            one.integers(2**31, size=9, dtype=np.int32).tolist()
            == other.integers(2**31, size=9, dtype=np.int32).tolist()
        )
