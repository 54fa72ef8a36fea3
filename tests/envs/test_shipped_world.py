"""The world that ships with the package, as a user meets it: offline, by name, through Gymnasium."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest

from slowfast.cli import main
from slowfast.envs.doom_rooms.env import MOVES, action_spec
from slowfast.envs.doom_rooms.splits import world_seeds
from slowfast.evaluation.tours import known_rooms
from slowfast.video import read_video
from slowfast.world_model import WorldModel


@pytest.fixture(scope="module")
def world() -> WorldModel:
    return WorldModel.from_pretrained("doom-rooms")


def test_it_is_stepped_by_name() -> None:
    env = gymnasium.make("slowfast/Dream-v0", world="doom-rooms", memory="temp_lora")
    observation, info = env.reset(seed=0)
    assert (observation.shape, observation.dtype) == ((64, 64, 3), np.uint8)
    for _ in range(4):
        observation, _, _, _, info = env.step(MOVES.index("turn left"))
    assert info["memory_updates"] >= 1


def test_its_actions_are_those_of_the_real_rooms(world: WorldModel) -> None:
    assert world.action_spec == action_spec()


def test_its_starts_are_enough_and_small(world: WorldModel) -> None:
    assert world.folder is not None
    assert len(world.starts) >= 64
    assert (world.folder / "starts.safetensors").stat().st_size <= 2e6
    assert sum(path.stat().st_size for path in world.folder.rglob("*.safetensors")) <= 22e6


def test_left_and_right_turn_the_picture_apart(world: WorldModel) -> None:
    """What was on the right of the picture is in its middle after turns to the right, and the other way round."""
    correct = 0
    for start in range(8):
        frame = world.starts.frames[start]
        actions = {name: column[start] for name, column in world.starts.actions.items()}
        moved = {}
        for name in ("turn left", "turn right"):
            turns = world.action_spec.columns([MOVES.index(name)] * 2)
            future = {key: np.concatenate([actions[key], turns[key]]) for key in actions}
            moved[name] = world.imagine(frame, future)[-1].astype(float)
        last = frame[-1].astype(float)
        # Two turns are 45 degrees, half of the view: the middle of the picture moves to one of its sides.
        halves = {"turn left": last[:, :32], "turn right": last[:, 32:]}
        seen = {"turn left": np.s_[:, 32:], "turn right": np.s_[:, :32]}
        errors = {
            (done, asked): np.square(moved[done][seen[asked]] - halves[asked]).mean()
            for done in moved
            for asked in moved
        }
        correct += all(errors[name, name] < errors[other, name] for name, other in (MOVES[:2], MOVES[1::-1]))
    assert correct >= 6


def test_it_remembers_what_turning_back_shows(world: WorldModel) -> None:
    """A circle to the left is seen, turning right is asked for: what it shows beyond the context was never seen so."""
    turns, walks = 16, []
    env = known_rooms(world, "validation")
    for seed in world_seeds("validation", 2):
        frames = [env.reset(seed=seed)[0]]
        frames += [env.step(MOVES.index("turn left"))[0] for _ in range(turns)]
        walks.append(np.stack(frames))
    env.close()
    seen, truth = np.stack(walks), np.stack(walks)[:, turns - 8 : turns][:, ::-1]
    read = world.read_actions(np.ascontiguousarray(seen[:, ::-1]))["move"]
    assert (read == MOVES.index("turn right")).mean() > 0.9
    memory = world.new_memory(2, rule="associative")
    moves = np.zeros((2, turns), np.int64)
    world.observe(seen, moves, memory)
    back = np.concatenate([moves[:, -3:], np.full((2, 8), MOVES.index("turn right"))], 1)
    errors = [
        np.square(world.imagine(seen[:, -4:], back, memory=which)[:, 3:].astype(float) - truth[:, 3:]).mean()
        for which in (memory, None)
    ]
    assert errors[0] < errors[1]


def test_it_rolls_out_to_a_video(tmp_path: Path) -> None:
    out = tmp_path / "dream.mp4"
    assert main(["rollout", "--actions", "turn left*4,forward*2", "--frames", "12", "--out", str(out)]) == 0
    assert read_video(out).shape == (12, 384, 384, 3)
