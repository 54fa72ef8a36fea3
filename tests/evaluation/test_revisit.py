"""Measuring what a world remembers: the arms, the truth they are held against, and the figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from slowfast.evaluation.dreamed_return import Return, measure_return
from slowfast.evaluation.intervals import compare
from slowfast.evaluation.recall.teaching import teach
from slowfast.evaluation.revisit import Frames, Recall, RevisitConfig, encoded, measure_recall, memory_of, seeds
from slowfast.evaluation.tours import NEVER, Stage, Tours, lap, record, rooms, turn_and_return
from slowfast.fast import memory_rule
from slowfast.world_model import WorldModel

TURN = 90.0
WORLDS = 3


@dataclass(frozen=True)
class Walked:
    laps: Tours
    stages: list[Stage]
    returns: Tours
    world: WorldModel

    @property
    def seen(self) -> int:
        return self.laps.frames.shape[1] // 2


@pytest.fixture(scope="module")
def walked(rooms_world_folder: Path) -> Walked:
    """Two short laps (quarter turns, one step) in three worlds, and a tour out and back in two."""
    world = WorldModel.from_pretrained(rooms_world_folder)
    env = rooms("slowfast/DoomRooms-v0", world.config.frame_size, world.action_spec, {"turn_degrees": TURN})
    moves, stages = lap(TURN, 1)
    laps = record(env, range(2_000_000, 2_000_020), WORLDS, moves * 2, 1)
    returns = record(env, range(2_000_000, 2_000_020), 2, turn_and_return(4), 0)
    env.close()
    return Walked(laps, stages, returns, world)


@pytest.fixture(scope="module")
def recall(walked: Walked) -> tuple[Recall, Frames]:
    return measure_recall(walked.world, walked.laps, walked.seen, walked.stages, RevisitConfig(seed=5, draws=500))


@pytest.fixture(scope="module")
def back(walked: Walked) -> tuple[Return, Frames]:
    return measure_return(walked.world, walked.returns, RevisitConfig(seed=5, draws=500))


def test_a_second_lap_shows_what_the_first_one_showed(walked: Walked) -> None:
    frames, seen = walked.laps.frames, walked.seen
    assert seen == 10
    assert np.array_equal(frames[:, 1 : seen + 1], frames[:, seen + 1 :])
    assert len({frame.tobytes() for frame in frames[:, 0]}) == WORLDS
    assert [(stage.start, stage.stop) for stage in walked.stages] == [(0, 4), (4, 5), (5, 7), (7, 8), (8, 10)]


def test_a_tour_out_and_back_meets_its_views_again(walked: Walked) -> None:
    assert np.array_equal(walked.returns.frames, walked.returns.frames[:, ::-1])


def test_frames_since_seen_counts_from_the_last_time_the_pose_was_held() -> None:
    poses = np.zeros((1, 6, 3), np.float32)
    poses[0, :, 2] = [0, 90, 0, 90, 180, 0]
    tours = Tours(np.zeros((1, 6, 1, 1, 3), np.uint8), {}, poses, (0,))
    assert tours.frames_since_seen(2).tolist() == [[2, NEVER, 3]]


def test_worlds_without_room_to_walk_are_passed_over_and_too_few_are_an_error(walked: Walked) -> None:
    env = rooms("slowfast/DoomRooms-v0", (32, 32), walked.world.action_spec, {"turn_degrees": TURN})
    with pytest.raises(ValueError, match=r"only \d of 2 worlds have room for 70 steps"):
        record(env, range(2_000_000, 2_000_003), 2, [0], 70)
    env.close()


def test_an_environment_of_another_kind_or_with_other_actions_is_refused(walked: Walked) -> None:
    with pytest.raises(ValueError, match="seven moves"):
        rooms("slowfast/DoomRooms-v0", (32, 32), walked.world.action_spec, {"continuous": True})


def test_figures_are_those_of_the_frames(walked: Walked, recall: tuple[Recall, Frames]) -> None:
    measured, frames = recall
    truth = walked.laps.frames[:, walked.seen + 1 :].astype(np.float64)
    assert np.array_equal(frames["truth"], truth)
    for arm in ("on", "off", "other", "repeat", "codec"):
        errors = np.square(frames[arm].astype(np.float64) - truth).mean((2, 3, 4))
        assert measured.arms[arm].pixel == pytest.approx(errors.mean())
        assert measured.arms[arm].pixel_frames == pytest.approx(errors.mean(0))
        assert measured.arms[arm].pixel_worlds == pytest.approx(errors.mean(1))
        assert measured.arms[arm].psnr == pytest.approx(10 * np.log10(255**2 / errors.mean()))
    ratio = measured.arms["on"].latent / measured.arms["off"].latent  # type: ignore[operator]
    assert measured.effects["memory"].latent.reduction.value == pytest.approx(1 - ratio)
    assert measured.effects["memory"].latent.decibels.value == pytest.approx(-10 * np.log10(ratio))


def test_the_ceiling_is_the_truth_through_the_codec_and_the_baseline_stands_still(
    walked: Walked, recall: tuple[Recall, Frames]
) -> None:
    world, frames = walked.world, recall[1]
    through = np.concatenate([world.decode(world.encode(one[None])) for one in frames["truth"]])
    assert np.abs(frames["codec"].astype(int) - through).max() <= 1
    assert np.array_equal(frames["repeat"], np.repeat(walked.laps.frames[:, walked.seen, None], walked.seen, 1))


def test_memory_off_is_the_world_alone_after_the_last_true_frames(
    walked: Walked, recall: tuple[Recall, Frames]
) -> None:
    actions = walked.laps.actions["move"]
    alone = walked.world.imagine(walked.laps.frames[:, : walked.seen + 1], actions, seed=seeds(5)[0])
    assert np.abs(alone.astype(int) - recall[1]["off"]).max() <= 1


def test_a_memory_that_takes_steps_of_no_length_changes_nothing(walked: Walked) -> None:
    settings = dict(walked.world.config.memory) | {"learning_rate": 0.0}
    config = RevisitConfig(seed=5, rule=memory_rule(settings.pop("name"), **settings), draws=10)
    measured, frames = measure_recall(walked.world, walked.laps, walked.seen, walked.stages, config)
    assert measured.taught.steps > 0
    for arm in ("on", "other"):
        assert np.array_equal(frames[arm], frames["off"])
        assert measured.effects["memory"].latent.reduction.value == 0


def test_memory_is_taught_every_frame_that_was_seen_and_no_other(walked: Walked, recall: tuple[Recall, Frames]) -> None:
    measured, frames = recall
    world = walked.world
    assert measured.taught.updates == walked.seen // world.config.chunk
    assert measured.taught.steps == 2 * measured.taught.updates
    assert measured.taught.pending == 0
    memory = world.new_memory(WORLDS, seeds(5)[1])
    world.observe(walked.laps.frames[:, : walked.seen + 1], walked.laps.actions["move"][:, : walked.seen], memory)
    made = world.imagine(
        walked.laps.frames[:, : walked.seen + 1], walked.laps.actions["move"], memory=memory, seed=seeds(5)[0]
    )
    assert np.abs(made.astype(int) - frames["on"]).max() <= 2
    assert not np.array_equal(frames["on"], frames["off"])


def test_the_control_reads_the_neighbours_memory_and_leaves_the_own_one_alone(walked: Walked) -> None:
    world = walked.world
    latents, actions = encoded(world, walked.laps)
    memory = world.new_memory(WORLDS, 1)
    teach(memory, latents, actions)
    before, layer = memory.snapshot(), memory.layout.layers[0].name
    other = memory_of("other", memory)
    assert other is not None
    assert torch.equal(other.snapshot().rows, before.rows[[2, 0, 1]])
    assert not torch.equal(before.rows[0], before.rows[1])
    assert torch.equal(memory.snapshot().rows, before.rows)
    assert torch.equal(other.delta(layer, 0), memory.delta(layer, 2))
    assert memory_of("off", memory) is None


def test_the_same_seed_measures_the_same_and_another_one_does_not(
    walked: Walked, recall: tuple[Recall, Frames]
) -> None:
    def again(seed: int) -> Frames:
        return measure_recall(walked.world, walked.laps, walked.seen, walked.stages, RevisitConfig(seed, draws=10))[1]

    same, different = again(5), again(6)
    assert all(np.array_equal(same[arm], recall[1][arm]) for arm in same)
    assert not np.array_equal(different["off"], recall[1]["off"])


def test_one_world_alone_has_no_control(walked: Walked) -> None:
    lone = Tours(walked.laps.frames[:1], {}, walked.laps.poses[:1], walked.laps.seeds[:1])
    with pytest.raises(ValueError, match="at least two worlds"):
        measure_recall(walked.world, lone, walked.seen, walked.stages)


def test_a_return_compares_visits_that_left_the_context(walked: Walked, back: tuple[Return, Frames]) -> None:
    measured, frames = back
    assert measured.pairs == [(0, 8), (1, 7)]
    assert measured.given == walked.world.config.context
    for arm in ("on", "off"):
        assert frames[arm].shape == walked.returns.frames.shape
        assert np.array_equal(frames[arm][:, :2], walked.returns.frames[:, :2])
        visits = frames[arm].astype(np.float64)
        difference = np.square(visits[:, [8, 7]] - visits[:, [0, 1]]).mean()
        truth = np.square(visits[:, [8, 7]] - walked.returns.frames[:, [8, 7]]).mean()
        motion = np.square(visits[:, 2:5] - visits[:, 0:3]).mean()
        found = measured.arms[arm]
        assert (found.difference, found.truth, found.motion) == pytest.approx((difference, truth, motion))
    assert measured.arms["simulator"].difference == measured.arms["simulator"].truth == 0
    assert measured.updates > 0
    assert not np.array_equal(frames["on"], frames["off"])


def test_a_tour_that_stays_within_the_context_is_no_return(walked: Walked) -> None:
    short = Tours(walked.returns.frames[:, :5], {}, walked.returns.poses, walked.returns.seeds)
    with pytest.raises(ValueError, match="never returns"):
        measure_return(walked.world, short)


def test_an_interval_is_paired_by_world() -> None:
    reference = np.random.default_rng(0).uniform(0.5, 5, 16)
    always = compare(0.8 * reference, reference, draws=500)
    assert always.reduction.low == pytest.approx(0.2)
    assert always.reduction.high == pytest.approx(0.2)
    assert always.reduction.sign == 1
    assert always.decibels.value == pytest.approx(-10 * np.log10(0.8))
    noisy = compare(np.random.default_rng(1).permutation(reference), reference, draws=500)
    assert noisy.reduction.low < 0 < noisy.reduction.high
    assert noisy.reduction.sign == 0
    assert compare(1.5 * reference, reference, draws=500).reduction.sign == -1
