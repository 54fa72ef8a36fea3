"""Training an outcome head: what it learns of rewards and ends, what it reports, and what it asks of the clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from slowfast.cli import main
from slowfast.cli.train.outcome import TrainOutcome, run
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.store import Store, write_episode
from slowfast.training.checkpoint import checkpoints
from slowfast.training.config import TrainConfig
from slowfast.training.gate import OutcomeGate
from slowfast.training.latents import latents_of
from slowfast.training.log import read_metrics
from slowfast.training.outcome_config import OutcomeTaskConfig
from slowfast.training.outcome_task import OutcomeTask
from slowfast.training.outcomes import EpisodeOutcomes
from slowfast.training.splits import open_splits
from slowfast.world_model import WorldModel
from tests.training.conftest import Setting, panorama_episode

PRICE = 10.0


def paid_episode(seed: int) -> Episode:
    """Turning right earns, and all but every fourth episode end in the dark."""
    episode = panorama_episode(seed)
    frames = episode.frames["view"].copy()
    ends = np.zeros(len(episode), bool)
    if seed % 4:
        frames[-1], ends[-1] = 0, True
    rewards = np.where(episode.actions["move"] == 1, PRICE, 0).astype(np.float32)
    return replace(episode, frames={"view": frames}, rewards=rewards, terminations=ends)


@pytest.fixture(scope="module")
def paid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paid")
    for seed in range(16):
        write_episode(folder, paid_episode(seed))
    return folder


@pytest.fixture(scope="module")
def world(setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start") / "world"
    setting[0].save_pretrained(folder)
    return folder


def config_of(data: Path, world: Path, folder: Path, **changes: object) -> TrainOutcome:
    config = TrainOutcome(
        data=data,
        world=str(world),
        run=folder,
        task=OutcomeTaskConfig(batch_size=32, validation_episodes=4),
        train=TrainConfig(
            steps=250, learning_rate=1e-2, warmup_steps=10, ema_decay=0.9, validate_every=250, tensorboard=False
        ),
    )
    return replace(config, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained(paid: Path, world: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainOutcome:
    config = config_of(paid, world, tmp_path_factory.mktemp("run"))
    assert run(replace(config, gate=OutcomeGate(reward_explained=0.8, termination_precision=0.9))) == 0
    return config


def figures_of(config: TrainOutcome) -> dict[str, float]:
    return [line for line in read_metrics(config.run / "metrics.jsonl") if line["kind"] == "validation"][-1]


def test_a_world_gets_a_head_that_knows_what_pays_and_what_ends(trained: TrainOutcome, world: Path) -> None:
    head = WorldModel.from_pretrained(trained.run / "model")
    assert head.outcome is not None
    assert (head.outcome.config.low, head.outcome.config.high) == (0, PRICE)
    assert head.base_hash == WorldModel.from_pretrained(world).base_hash, "nothing else was changed"
    episode = paid_episode(21)  # of another ring
    latents = head.encode(episode.frames["view"][None])
    vectors = head.slow.action_vectors(head.action_tensors(head.action_spec.stack([episode.actions])))
    told = head.outcome(latents[:, :-1], latents[:, 1:], vectors)
    right = episode.actions["move"] == 1
    assert float(told.rewards[0][right].mean()) > 0.8 * PRICE
    assert float(told.rewards[0][~right].mean()) < 0.2 * PRICE
    assert head.outcome.ends(told.chances)[0].tolist() == episode.terminations.tolist()


def test_its_report_stands_beside_what_blind_guesses_reach(trained: TrainOutcome, paid: Path) -> None:
    figures, held_out = figures_of(trained), [paid_episode(seed) for seed in range(12, 16)]
    rewards = np.concatenate([episode.rewards for episode in held_out])
    ends = np.concatenate([episode.terminations for episode in held_out])
    train = [paid_episode(seed) for seed in range(12)]
    mean = np.mean([episode.rewards for episode in train])
    share = np.mean([episode.terminations for episode in train])
    assert figures["reward_error_of_mean"] == pytest.approx(float(np.sqrt(np.mean((rewards - mean) ** 2))), rel=1e-4)
    assert figures["reward_error"] < 0.5 * figures["reward_error_of_mean"]
    assert figures["termination_share"] == pytest.approx(ends.mean())
    assert figures["termination_brier_of_share"] == pytest.approx(np.mean((ends - share) ** 2), rel=1e-4)
    assert figures["termination_brier"] < figures["termination_brier_of_share"]
    assert figures["termination_calibration"] < 0.05, "a rare end is drawn often, and still told as rare as it is"
    assert figures["termination_precision"] > 0.9
    assert figures["termination_f1"] > 0.8


def test_a_finished_run_is_judged_again_and_keeps_its_threshold(trained: TrainOutcome) -> None:
    before = WorldModel.from_pretrained(trained.run / "model").outcome
    assert before is not None
    assert float(before.threshold) != 0.5
    assert run(replace(trained, gate=OutcomeGate(reward_explained=1.1))) == 1
    after = WorldModel.from_pretrained(trained.run / "model").outcome
    assert after is not None
    assert float(after.threshold) == float(before.threshold)
    assert len(checkpoints(trained.run / "checkpoints")) == 1


def test_the_recipe_runs_from_the_command_line(paid: Path, world: Path, tmp_path: Path) -> None:
    arguments = ["train", "outcome", "--recipe", "doom-rooms-outcome", "--data", str(paid), "--world", str(world)]
    short = ["--train.steps", "2", "--train.no-tensorboard", "--task.validation-episodes", "2", "--task.phrases", "{}"]
    assert main([*arguments, "--run", str(tmp_path / "run"), *short]) == 0
    assert WorldModel.from_pretrained(tmp_path / "run/model").outcome is not None


@pytest.mark.parametrize("reward", [0.0, -1e9])
def test_ends_alone_can_be_learned(world: Path, tmp_path: Path, reward: float) -> None:
    same = np.full(24, reward, np.float32)
    data = folder_of(tmp_path / "data", lambda episode: replace(episode, rewards=same))
    config = config_of(data, world, tmp_path / "run")
    assert run(replace(config, train=replace(config.train, steps=2))) == 0
    figures = figures_of(config)
    assert "reward_explained" not in figures, "there is nothing to explain"
    assert figures["reward_error"] <= max(1e-3 * abs(reward), 0.01)
    assert "termination_precision" in figures


def test_rewards_alone_can_be_learned(world: Path, tmp_path: Path) -> None:
    data = folder_of(tmp_path / "data", lambda episode: replace(episode, terminations=None))
    config = config_of(data, world, tmp_path / "run")
    assert run(replace(config, train=replace(config.train, steps=2))) == 0
    assert "reward_explained" in figures_of(config)
    assert not [name for name in figures_of(config) if name.startswith("termination")]


def test_what_cannot_be_foreseen_is_told_as_rare_as_it_is(world: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    data = tmp_path / "data"
    for seed in range(16):
        write_episode(data, replace(panorama_episode(seed), terminations=random.random(24) < 0.04))
    config = config_of(data, world, tmp_path / "run")
    assert run(replace(config, train=replace(config.train, steps=60))) == 0
    figures = figures_of(config)
    assert figures["termination_calibration"] < 0.08, "a fifth of every batch, and yet not told as that likely"
    assert figures["termination_brier"] < 1.2 * figures["termination_brier_of_share"]


def test_a_head_is_trained_on_another_device_than_the_world_s(paid: Path, world: Path, tmp_path: Path) -> None:
    own, splits = WorldModel.from_pretrained(world), open_splits(paid, 4)
    latents = latents_of(splits.train, own.codec, tmp_path / "latents")
    outcomes, measured = EpisodeOutcomes.of(splits.train), dict(splits.measured)
    task = OutcomeTask(own, OutcomeTaskConfig(batch_size=8), latents, outcomes, measured)
    task.module.to("meta")
    assert task.loss(task.batch(0), 0)[0].device.type == "meta"
    assert own.device.type == "cpu"


def test_clips_in_which_nothing_happens_are_refused(clips: Path, world: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has reward 0 and none ends an episode: there is nothing to learn"):
        run(config_of(clips, world, tmp_path / "run"))


def test_a_reward_that_is_no_number_is_named(world: Path, tmp_path: Path) -> None:
    data = folder_of(tmp_path / "data", lambda episode: episode)
    with h5py.File(Store(data).path(2), "r+") as file:
        file["rewards"][5] = np.nan
    with pytest.raises(DatasetError, match=r"000002\.h5: rewards\[5\] is nan, expected a finite number"):
        run(config_of(data, world, tmp_path / "run"))


def test_rewards_that_are_missing_are_named(tmp_path: Path) -> None:
    data = folder_of(tmp_path / "data", lambda episode: episode)
    with h5py.File(Store(data).path(1), "r+") as file:
        del file["rewards"]
    with pytest.raises(DatasetError, match=r"000001\.h5: key 'rewards' has to hold 24 values"):
        EpisodeOutcomes.of(open_splits(data, 1).train)


def test_latents_keep_no_rewards(setting: Setting, paid: Path, tmp_path: Path) -> None:
    latents_of(open_splits(paid, 1).train, setting[0].codec, tmp_path / "latents")
    with pytest.raises(DatasetError, match="a LatentStore keeps no rewards"):
        EpisodeOutcomes.of(open_splits(tmp_path / "latents", 1).train)


def test_shares_are_shares() -> None:
    with pytest.raises(ValueError, match="rare is from 0 to"):
        OutcomeTaskConfig(rare=0.5)
    with pytest.raises(ValueError, match="may not exceed 1 together"):
        OutcomeTaskConfig(drop_all=0.9)
    with pytest.raises(ValueError, match="bins 2"):
        OutcomeTaskConfig(bins=1)


def folder_of(folder: Path, change: Callable[[Episode], Episode]) -> Path:
    for seed in range(6):
        write_episode(folder, change(paid_episode(seed)))
    return folder
