"""Training an inverse dynamics: what it reads from a world whose view turns, over several kinds of action."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from slowfast.actions import ActionSpec, Continuous, Discrete, Keyboard
from slowfast.cli import main
from slowfast.cli.train.inverse_dynamics import TrainInverseDynamics, run
from slowfast.datasets.episode import Episode
from slowfast.datasets.store import Store, write_episode
from slowfast.slow.build import SchedulerConfig, UNetConfig
from slowfast.slow.masked_diffusion import MaskedDiffusionConfig
from slowfast.training.config import TrainConfig
from slowfast.training.gate import InverseDynamicsGate
from slowfast.training.inverse_dynamics_config import InverseDynamicsTaskConfig
from slowfast.training.inverse_dynamics_task import InverseDynamicsTask, Usual, balanced
from slowfast.training.latents import latents_of
from slowfast.training.log import read_metrics
from slowfast.training.slow_world import new_world, world_config
from slowfast.training.splits import open_splits
from slowfast.world_model import WorldModel
from tests.training.conftest import SHIFT, SPEC, Setting

RICH = ActionSpec(
    (Discrete("move", ("left", "right", "stay")), Continuous("turn", (-90.0,), (90.0,)), Keyboard("keys", ("a", "d")))
)
TURN = np.array([-20.0, 20.0, 0.0], np.float32)
KEYS = np.array([[1, 0], [0, 1], [0, 0]])


def ring_episode(seed: int, length: int = 24) -> Episode:
    """One ring of colours for all episodes, so that little data will do; what differs is the way around it."""
    ring = np.random.default_rng(0).integers(0, 256, (1, 8, 3), np.uint8).repeat(8, axis=1).repeat(16, axis=0)
    random = np.random.default_rng(seed + 1)
    moves = random.choice(3, length, p=(0.3, 0.2, 0.5))
    places = np.cumsum([random.integers(16) * 4, *(SHIFT[move] for move in moves)])
    frames = np.stack([np.roll(ring, -place, axis=1)[:, :16] for place in places])
    return Episode({"view": frames}, SPEC.columns(moves), SPEC, fps=10.0, metadata={"seed": seed})


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ring")
    for seed in range(20):
        write_episode(folder, ring_episode(seed))
    return folder


def config_of(data: Path, world: Path, folder: Path, steps: int = 150) -> TrainInverseDynamics:
    return TrainInverseDynamics(
        data=data,
        world=str(world),
        run=folder,
        task=InverseDynamicsTaskConfig(batch_size=32, width=16, noise=0.0, validation_episodes=4),
        train=TrainConfig(
            steps=steps, learning_rate=1e-2, warmup_steps=10, ema_decay=0.9, validate_every=steps, tensorboard=False
        ),
    )


def task_of(data: Path, world: Path, folder: Path, noise: float = 0.3, seed: int = 0) -> InverseDynamicsTask:
    own, splits = WorldModel.from_pretrained(world), open_splits(data, 4)
    latents = latents_of(splits.train, own.codec, folder / "latents")
    config = InverseDynamicsTaskConfig(batch_size=8, width=8, noise=noise)
    return InverseDynamicsTask(own, config, latents, dict(splits.measured), seed)


def figures_of(config: TrainInverseDynamics) -> dict[str, float]:
    return [line for line in read_metrics(config.run / "metrics.jsonl") if line["kind"] == "validation"][-1]


@pytest.fixture(scope="module")
def world(setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start") / "world"
    setting[0].save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def rich(setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Episodes whose moves are a choice, a number and keys, some of them unknown, and a world with such actions."""
    data, folder = tmp_path_factory.mktemp("rich"), tmp_path_factory.mktemp("rich-world")
    for seed in range(16):
        episode = ring_episode(seed)
        moves = episode.actions["move"]
        columns = {"move": moves.copy(), "turn": TURN[moves][:, None], "keys": KEYS[moves]}
        columns["move"][::5], columns["turn"][1::5], columns["keys"][2::5] = -1, np.nan, -1
        write_episode(data, replace(episode, spec=RICH, actions=columns))
    splits = open_splits(data, 4)
    setting[0].codec.save_pretrained(folder / "codec")
    parts = (
        UNetConfig(widths=(16, 16), head_size=8, norm_groups=4, text_width=8),
        SchedulerConfig(),
        MaskedDiffusionConfig(window=4, steps=2),
    )
    settings = world_config(splits.validation, "rich", 2, 2, {"name": "paper"})
    new_world(settings, splits.validation, folder / "codec", parts, {}, seed=0).save_pretrained(folder / "world")
    return data, folder / "world"


def test_a_world_learns_to_read_moves_from_video(ring: Path, world: Path, tmp_path: Path) -> None:
    config = config_of(ring, world, tmp_path / "run")
    assert run(replace(config, gate=InverseDynamicsGate(accuracy=0.8))) == 0
    assert run(replace(config, gate=InverseDynamicsGate(explained=0.1))) == 1, "no numbers were there to explain"
    figures, store = figures_of(config), Store(ring)
    held_out = np.concatenate([store.actions(i)["move"] for i in range(16, 20)])
    usual = np.bincount(np.concatenate([store.actions(i)["move"] for i in range(16)])).argmax()
    assert figures["move_commonest"] == pytest.approx((held_out == usual).mean())
    assert figures["accuracy"] == figures["move_accuracy"] > figures["move_commonest"] + 0.3
    assert figures["move_balanced"] > 0.75

    trained = WorldModel.from_pretrained(tmp_path / "run/model")
    assert trained.base_hash == WorldModel.from_pretrained(world).base_hash, "nothing else was changed"
    episodes = [ring_episode(seed) for seed in (31, 32)]
    read = trained.read_actions(np.stack([episode.frames["view"] for episode in episodes]))
    moves = np.stack([episode.actions["move"] for episode in episodes])
    assert (read["move"] == moves).mean() > 0.75
    assert read["text"][0, 0] == ("turn left", "turn right", "stay")[read["move"][0, 0]]


def test_choices_numbers_and_keys_are_read_together(rich: tuple[Path, Path], tmp_path: Path) -> None:
    config = config_of(*rich, tmp_path / "run")
    assert run(replace(config, gate=InverseDynamicsGate(accuracy=0.8, explained=0.5))) == 0
    figures = figures_of(config)
    assert figures["turn_error"] < 0.7 * figures["turn_error_of_mean"]
    assert figures["turn_error_of_mean"] == pytest.approx(1, abs=0.15), "in units of the numbers' own spread"
    assert figures["keys_accuracy"] > figures["keys_commonest"]
    assert figures["accuracy"] == pytest.approx((figures["move_accuracy"] + figures["keys_accuracy"]) / 2)

    trained = WorldModel.from_pretrained(tmp_path / "run/model")
    episode = ring_episode(33)
    read = trained.read_actions(episode.frames["view"])
    assert abs(read["turn"][:, 0] - TURN[episode.actions["move"]]).mean() < 8


def test_what_is_usual_does_not_count_what_is_unknown(rich: tuple[Path, Path]) -> None:
    part = open_splits(rich[0], 4).train
    usual = Usual(part)
    turns = np.concatenate([part.actions(i)["turn"] for i in range(len(part))])
    assert usual.middle["turn"][0] == pytest.approx(np.nanmean(turns), rel=1e-5)
    assert usual.spread["turn"][0] == pytest.approx(np.nanstd(turns), rel=1e-5)
    assert usual.commonest["keys"].tolist() == [0, 0]
    assert usual.commonest["move"] in (0, 1, 2)


def test_a_loss_is_a_function_of_the_seed_and_the_batch_number(ring: Path, world: Path, tmp_path: Path) -> None:
    def losses(noise: float, seed: int = 0) -> list[float]:
        task = task_of(ring, world, tmp_path, noise, seed)
        return [task.loss(task.batch(4), index)[0].item() for index in (0, 1, 0)]

    first, second, again = losses(noise=0.3)
    assert first == again != second, "noise is drawn anew for every batch"
    assert losses(noise=0.3) == [first, second, again]
    assert len(set(losses(noise=0.0))) == 1
    assert losses(noise=0.3, seed=1)[0] != first


def test_a_head_is_trained_on_another_device_than_the_world_s(ring: Path, world: Path, tmp_path: Path) -> None:
    task = task_of(ring, world, tmp_path)
    task.module.to("meta")
    assert task.loss(task.batch(0), 0)[0].device.type == "meta"
    assert task.world.device.type == "cpu"


def test_balance_counts_every_label_once() -> None:
    hits, values = torch.tensor([1.0, 1.0, 1.0, 0.0]), torch.tensor([0, 0, 0, 2])
    assert balanced(hits, values) == 0.5


def test_the_recipe_runs_from_the_command_line(ring: Path, world: Path, tmp_path: Path) -> None:
    arguments = ["train", "inverse-dynamics", "--recipe", "doom-rooms-inverse-dynamics", "--data", str(ring)]
    short = ["--train.steps", "2", "--train.no-tensorboard", "--task.validation-episodes", "2"]
    assert main([*arguments, "--world", str(world), "--run", str(tmp_path / "run"), *short]) == 0
    assert WorldModel.from_pretrained(tmp_path / "run/model").inverse_dynamics is not None


def test_other_actions_than_the_world_knows_are_refused(rich: tuple[Path, Path], world: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`slowfast train slow --init` takes a world to the actions of the data"):
        run(config_of(rich[0], world, tmp_path / "run"))


def test_sizes_and_shares_are_checked() -> None:
    with pytest.raises(ValueError, match="noise is a share below 1"):
        InverseDynamicsTaskConfig(noise=1.0)
    with pytest.raises(ValueError, match="at least 1"):
        InverseDynamicsTaskConfig(width=0)
