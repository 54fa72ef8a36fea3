"""Goals in words: what the instruction head says of imagined frames, weighed and searched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from slowfast.dream import Dream
from slowfast.heads.instruction import InstructionConfig, InstructionHead
from slowfast.planning import make_planner
from slowfast.planning.imagination import ImaginedCost
from slowfast.planning.language_goal import LanguageGoal
from slowfast.planning.objectives import Outcome
from slowfast.world_model import WorldModel

TEXTS = ["go left", "go right"]


@pytest.fixture
def world(tiny_world_folder: Path) -> WorldModel:
    """A world whose head was never trained, and hears clearly all the same."""
    world = WorldModel.from_pretrained(tiny_world_folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        world.instruction = InstructionHead(InstructionConfig(4, ("go", "left", "right"), width=16)).eval()
    world.instruction.slope.fill_(30.0)
    return world


def outcome_of(world: WorldModel, count: int, steps: int) -> Outcome:
    latents = torch.randn(count, steps, 4, 4, 4, generator=torch.Generator().manual_seed(2))
    return Outcome(world, latents, {"move": torch.zeros(count, steps, dtype=torch.int64)})


@pytest.mark.parametrize("log", [True, False])
def test_frames_weigh_by_when_they_come_and_the_last_by_its_share(world: WorldModel, log: bool) -> None:
    outcome, head = outcome_of(world, 4, 3), world.instruction
    assert head is not None
    told = head(outcome.latents, head.read(["go left"]).expand(4, -1)).detach()
    told = told.log() if log else told
    goal = LanguageGoal("go left", discount=0.5, last=0.25, log=log)
    along = (told * torch.tensor([1.0, 0.5, 0.25])).sum(1) / 1.75
    torch.testing.assert_close(goal(outcome), -(0.25 * told[:, -1] + 0.75 * along), rtol=1e-4, atol=1e-4)


def test_what_is_far_from_done_is_still_told_apart(world: WorldModel) -> None:
    assert world.instruction is not None
    world.instruction.offset.fill_(-200.0)
    outcome = outcome_of(world, 6, 2)
    assert LanguageGoal("go left", log=False)(outcome).unique().numel() == 1
    assert LanguageGoal("go left")(outcome).unique().numel() == 6


def test_how_soon_counts_where_the_head_has_learned_it(world: WorldModel) -> None:
    outcome, done = outcome_of(world, 4, 3), LanguageGoal("go left")(outcome_of(world, 4, 3))
    with pytest.raises(ValueError, match="has not learned how soon"):
        LanguageGoal.of(world, "go left", soon=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = InstructionConfig(4, ("go", "left", "right"), width=16, soon=0.8)
        world.instruction = head = InstructionHead(config).eval()
    told = head.log_soon(outcome.latents, head.read(["go left"]).expand(4, -1)).detach()
    by_itself, asked = (LanguageGoal.of(world, "go left", last=1.0, soon=soon)(outcome) for soon in (None, True))
    torch.testing.assert_close(by_itself, -told[:, -1])
    assert torch.equal(by_itself, asked)
    assert not torch.allclose(LanguageGoal("go left", soon=False)(outcome), LanguageGoal("go left")(outcome))
    assert done.shape == by_itself.shape


def test_each_episode_may_have_its_own_words(world: WorldModel) -> None:
    outcome = outcome_of(world, 6, 2)
    left, right = (LanguageGoal(text)(outcome) for text in TEXTS)
    both = LanguageGoal(TEXTS)(outcome)  # of two episodes, whose three candidates follow each other
    torch.testing.assert_close(both, torch.cat([left[:3], right[3:]]))
    assert not torch.allclose(left, right)
    with pytest.raises(ValueError, match="4 instructions for 6 candidates"):
        LanguageGoal(TEXTS * 2)(outcome)
    second = replace(outcome, episodes=torch.tensor([1]))
    torch.testing.assert_close(LanguageGoal(TEXTS)(second), right)
    torch.testing.assert_close(LanguageGoal(TEXTS[0])(second), left)
    with pytest.raises(ValueError, match="2 instructions, and none for episode 2"):
        LanguageGoal(TEXTS)(replace(outcome, episodes=torch.tensor([0, 2])))


def test_a_planner_finds_what_the_words_ask_for(world: WorldModel, generators: Any) -> None:
    """Of the 25 ways to go on, one of those that the head likes best; and another way for other words."""
    dream = Dream(world, 2, seed=1)
    frames = np.random.default_rng(3).integers(0, 256, (2, 5, 32, 32, 3), np.uint8)
    dream.start(frames, [[0, 1, 2, 3]] * 2)
    planner = make_planner("cem", world.action_spec, horizon=2, candidates=25, iterations=3, elites=3)
    goal = LanguageGoal.of(world, TEXTS, last=1.0)
    plan = planner.plan(ImaginedCost(dream, goal, seed=4), generators(2))
    every = torch.cartesian_prod(torch.arange(5), torch.arange(5)).expand(2, 25, 2)
    costs = ImaginedCost(dream, goal, seed=4)({"move": every})
    assert (plan.cost <= costs.sort(1).values[:, 4] + 1e-4).all()
    crossed = ImaginedCost(dream, LanguageGoal(TEXTS[::-1], last=1.0), seed=4)
    one = {name: own[:, None] for name, own in plan.actions.items()}
    assert not torch.allclose(crossed(one)[:, 0], plan.cost), "other words, another cost"


def test_what_a_world_cannot_understand_is_said_before_anything_is_imagined(
    world: WorldModel, tiny_world: WorldModel
) -> None:
    with pytest.raises(ValueError, match="'tiny' has none: `slowfast train instruction` adds it"):
        LanguageGoal.of(tiny_world, "go left")
    with pytest.raises(ValueError, match="'tiny' has none"):
        LanguageGoal("go left")(outcome_of(tiny_world, 2, 1))
    with pytest.raises(
        ValueError, match="no word of the instruction 'nach links' is known; this head has learned go, left"
    ):
        LanguageGoal.of(world, "nach links")
    with pytest.raises(ValueError, match="got none"):
        LanguageGoal.of(world, [])
