"""Video plans: imagined from words alone, read by the inverse dynamics, and without a trace in the dream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from slowfast.actions import ActionError, ActionSpec, Discrete
from slowfast.dream import Dream
from slowfast.heads.inverse_dynamics import InverseDynamics, InverseDynamicsConfig
from slowfast.planning.video_plan import VideoPlanner
from slowfast.world_model import WorldModel

WORDS = ("turn left", "forward")


@pytest.fixture(scope="module")
def world(tiny_world_folder: Path) -> WorldModel:
    """A world whose inverse dynamics has random weights, large enough to tell frames apart."""
    world = WorldModel.from_pretrained(tiny_world_folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        world.inverse_dynamics = InverseDynamics(InverseDynamicsConfig(4, world.action_spec, width=8)).eval()
    for parameter in world.inverse_dynamics.parameters():
        parameter.requires_grad_(False).mul_(4)
    return world


@pytest.fixture
def dream(world: WorldModel) -> Dream:
    """Two episodes that have learned something; the second has a shorter past."""
    frames = np.random.default_rng(3).integers(0, 256, (2, 9, 32, 32, 3), np.uint8)
    dream = Dream(world, 2, world.new_memory(2), seed=5)
    dream.start(frames[:1], [[0, 1, 2, 3, 4, 0, 1, 2]], [0])
    dream.start(frames[1:, :3], [[4, 3]], [1])
    return dream


def test_imagining_changes_nothing(dream: Dream, world: WorldModel, generators: Any) -> None:
    before, weights = dream.snapshot(), {name: own.clone() for name, own in world.slow.state_dict().items()}
    VideoPlanner(dream).plan(WORDS, generators(2)).frames  # noqa: B018 - decoding changes nothing either
    after = dream.snapshot()
    assert before.tensors.keys() == after.tensors.keys()
    assert all(torch.equal(own, after.tensors[name]) for name, own in before.tensors.items())
    assert all(torch.equal(own, weights[name]) for name, own in world.slow.state_dict().items())


def test_actions_are_read_from_the_present_frame_on(dream: Dream, world: WorldModel, generators: Any) -> None:
    plan = VideoPlanner(dream).plan(WORDS, generators(2))
    assert plan.latents.shape == (2, 4, 4, 4, 4)
    assert plan.subgoals == WORDS
    assert world.inverse_dynamics is not None
    read = world.inverse_dynamics.read(torch.cat([dream.latents[:, None], plan.latents], 1))
    assert {name: own.tolist() for name, own in plan.actions.items()} == {k: v.tolist() for k, v in read.items()}
    assert plan.actions["move"].shape == (2, 4)
    assert len(np.unique(plan.actions["move"])) > 1, "the frames are told apart"
    assert plan.actions["text"][0, 0] == world.action_spec["move"].labels[plan.actions["move"][0, 0]]
    assert plan.frames.shape == (2, 4, 32, 32, 3)
    assert (plan.frames == world.decode(plan.latents)).all()


def test_a_plan_is_what_the_dream_would_do_at_these_words_alone(
    dream: Dream, world: WorldModel, generators: Any
) -> None:
    """Each word goes with every frame, the move stays null, and the episode's own memory is read."""
    plan = VideoPlanner(dream).plan(WORDS, generators(2, seed=5))  # the noise that the dream will draw
    dream.step({"move": np.full((2, 4), -1), "text": np.array([[word] * 4 for word in WORDS], object)})
    dreamt = dream.context.latents[:, -4:]
    torch.testing.assert_close(plan.latents, dreamt, atol=1e-4, rtol=1e-4)


def test_words_and_memory_decide(dream: Dream, generators: Any) -> None:
    planner = VideoPlanner(dream)
    plan, other = planner.plan(WORDS, generators(2)), planner.plan(WORDS[::-1], generators(2))
    assert (plan.latents - other.latents).abs().amax((1, 2, 3, 4)).min() > 1e-3
    dream.memory = None
    forgetful = planner.plan(WORDS, generators(2))
    assert (plan.latents - forgetful.latents).abs().amax((1, 2, 3, 4)).max() > 1e-3


def test_an_episodes_plan_does_not_depend_on_its_neighbours(dream: Dream, generators: Any) -> None:
    planner = VideoPlanner(dream)
    both, own = planner.plan(WORDS, generators(2)), generators(2)
    second = planner.plan(WORDS[1:], own[1:], [1])
    torch.testing.assert_close(second.latents, both.latents[1:], atol=1e-4, rtol=1e-4)
    swapped = planner.plan(WORDS[::-1], generators(2)[::-1], [1, 0])
    torch.testing.assert_close(swapped.latents, both.latents.flip(0), atol=1e-4, rtol=1e-4)


def test_a_long_plan_is_made_chunk_after_chunk(dream: Dream, generators: Any) -> None:
    plan = VideoPlanner(dream, frames=6).plan(WORDS, generators(2))
    assert plan.actions["move"].shape == (2, 6)
    first = VideoPlanner(dream).plan(WORDS, generators(2))
    torch.testing.assert_close(plan.latents[:, :4], first.latents, atol=1e-4, rtol=1e-4)
    assert VideoPlanner(dream).plan(WORDS, generators(2), frames=1).latents.shape[1] == 1


def test_what_cannot_be_planned_says_why(world: WorldModel, tiny_world: WorldModel, generators: Any) -> None:
    with pytest.raises(ValueError, match=r"'tiny' has no inverse dynamics.*`slowfast train inverse-dynamics`"):
        VideoPlanner(Dream(tiny_world))
    dream = Dream(world, 2)
    planner = VideoPlanner(dream)
    with pytest.raises(RuntimeError, match=r"episodes \[0, 1\] have not begun"):
        planner.plan(WORDS, generators(2))
    dream.start(np.zeros((2, 1, 32, 32, 3), np.uint8), [[], []])
    with pytest.raises(ValueError, match="2 episodes need a sub-goal and a generator each, got 1 sub-goals and 2"):
        planner.plan(WORDS[:1], generators(2))
    with pytest.raises(ValueError, match="sub-goal 1 has to be words"):
        planner.plan(["forward", ""], generators(2))
    with pytest.raises(ActionError, match="at most 256 characters"):
        planner.plan(["forward", "x" * 300], generators(2))
    with pytest.raises(ValueError, match="at least 1 frame"):
        VideoPlanner(dream, 0)


def test_a_world_without_words_is_refused(dream: Dream, monkeypatch: pytest.MonkeyPatch) -> None:
    wordless = ActionSpec((Discrete("move", ("left", "right")),))
    monkeypatch.setattr(type(dream.world), "action_spec", property(lambda world: wordless))
    with pytest.raises(ValueError, match="sub-goals are words"):
        VideoPlanner(dream)
