"""Training an instruction head on squares that are pushed aside: what it understands, reports, and asks of clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from slowfast.cli import main
from slowfast.cli.train.instruction import TrainInstruction, run
from slowfast.codecs.image_vae import ImageVAE, ImageVAEConfig
from slowfast.codecs.linear_start import linear_start
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.store import write_episode
from slowfast.slow.build import SchedulerConfig, UNetConfig
from slowfast.slow.masked_diffusion import MaskedDiffusionConfig
from slowfast.training.config import TrainConfig
from slowfast.training.instruction_config import InstructionGate, InstructionTaskConfig
from slowfast.training.instruction_task import InstructionTask
from slowfast.training.instructions import EpisodeInstructions
from slowfast.training.latents import latents_of
from slowfast.training.log import read_metrics
from slowfast.training.slow_world import new_world, world_config
from slowfast.training.splits import open_splits
from slowfast.world_model import WorldModel
from tests.training.conftest import SPEC

COLOURS = {"red": (255, 30, 30), "blue": (30, 60, 255)}
SIDES = {"left": 2, "right": 10}
TOLD = [(colour, side) for colour in COLOURS for side in SIDES]
LENGTH = 10
HELD_OUT = 16


def picture(places: dict[str, tuple[int, int]]) -> np.ndarray:
    """Squares of 4x4 at (row, column) on grey, 16x16."""
    frame = np.full((16, 16, 3), 90, np.uint8)
    for colour, (row, column) in places.items():
        frame[row : row + 4, column : column + 4] = COLOURS[colour]
    return frame


def pushed_episode(seed: int) -> Episode:
    """The square that is spoken of is pushed where it should go, and in one of five episodes not; the other drifts."""
    random = np.random.default_rng(seed)
    colour, side = TOLD[seed % 4]
    follows = seed % 5 > 0
    rows = {"red": int(random.integers(0, 6)), "blue": int(random.integers(7, 12))}
    columns = dict.fromkeys(COLOURS, 6)
    frames, rewards = [picture({name: (rows[name], columns[name]) for name in COLOURS})], []
    for _ in range(LENGTH):
        towards = (-1 if side == "left" else 1) * (int(random.integers(0, 3)) if follows else 0)
        columns[colour] = int(np.clip(columns[colour] + towards, 0, 12))
        other = next(name for name in COLOURS if name != colour)
        columns[other] = int(np.clip(columns[other] + random.integers(-1, 2), 3, 9))
        frames.append(picture({name: (rows[name], columns[name]) for name in COLOURS}))
        there = columns[colour] <= SIDES["left"] if side == "left" else columns[colour] >= SIDES["right"]
        rewards.append(float(there))
        if there:
            break
    moves = random.integers(0, 3, len(rewards))
    said = f"Push the {colour} square to the {side} side."
    return Episode(
        {"view": np.stack(frames)},
        SPEC.columns(moves),
        SPEC,
        fps=10.0,
        rewards=np.array(rewards, np.float32),
        terminations=np.array(rewards) > 0,
        metadata={"seed": seed, "instruction": said},
    )


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("pushed"), [pushed_episode(seed) for seed in range(80)])


@pytest.fixture(scope="module")
def world(pushed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hardly a world, but its codec keeps colours and places: the principal components of patches."""
    folder = tmp_path_factory.mktemp("start")
    frames = np.concatenate([pushed_episode(seed).frames["view"] for seed in range(8)])
    floats = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        codec = ImageVAE.create(ImageVAEConfig(latent_channels=4, widths=(16,), norm_groups=2, patch=4))
    linear_start(codec, floats)
    codec.fit_statistics(floats[:, None])
    codec.save_pretrained(folder / "codec")
    parts = (
        UNetConfig(widths=(16, 16), head_size=8, norm_groups=4, text_width=8),
        SchedulerConfig(),
        MaskedDiffusionConfig(window=4, steps=2),
    )
    validation = open_splits(pushed, HELD_OUT).validation
    settings = world_config(validation, "table", 2, 2, {"name": "paper"})
    new_world(settings, validation, folder / "codec", parts, {}, seed=0).save_pretrained(folder / "world")
    return folder / "world"


@pytest.fixture(scope="module")
def latents(pushed: Path, world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the clips, encoded once for all runs."""
    folder = tmp_path_factory.mktemp("latents")
    latents_of(open_splits(pushed, HELD_OUT).train, WorldModel.from_pretrained(world).codec, folder)
    return folder


def config_of(data: Path, world: Path, folder: Path, latents: Path | None = None) -> TrainInstruction:
    return TrainInstruction(
        data=data,
        world=str(world),
        run=folder,
        latents=latents,
        task=InstructionTaskConfig(batch_size=48, validation_episodes=HELD_OUT),
        train=TrainConfig(
            steps=300, learning_rate=5e-3, warmup_steps=10, ema_decay=0.9, validate_every=300, tensorboard=False
        ),
    )


@pytest.fixture(scope="module")
def trained(pushed: Path, world: Path, latents: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainInstruction:
    config = config_of(pushed, world, tmp_path_factory.mktemp("run"), latents)
    assert run(replace(config, gate=InstructionGate(instruction_auc=0.95, words_auc=0.95))) == 0
    return config


def figures_of(config: TrainInstruction) -> dict[str, float]:
    return [line for line in read_metrics(config.run / "metrics.jsonl") if line["kind"] == "validation"][-1]


def test_a_world_understands_what_is_said(trained: TrainInstruction, world: Path) -> None:
    own = WorldModel.from_pretrained(trained.run / "model")
    head = own.instruction
    assert head is not None
    assert head.config.words == ("blue", "left", "push", "red", "right", "side", "square", "the", "to")
    assert own.base_hash == WorldModel.from_pretrained(world).base_hash, "nothing else was changed"
    shown = np.stack(
        [
            picture({"red": (3, 1), "blue": (9, 7)}),
            picture({"red": (3, 6), "blue": (9, 11)}),
            picture({"red": (2, 6), "blue": (9, 6)}),
        ]
    )
    latents = own.encode(shown[None]).expand(4, -1, -1, -1, -1)
    chances = head(latents, head.read([f"push the {colour} square to the {side} side" for colour, side in TOLD]))
    red_left, red_right, blue_left, blue_right = chances
    assert red_left[0] > 0.5 > red_left[1:].max()
    assert blue_right[1] > 0.5 > blue_right[[0, 2]].max()
    assert max(red_right.max(), blue_left.max()) < 0.5


def test_its_report_stands_beside_what_blind_guesses_reach(trained: TrainInstruction) -> None:
    figures, held_out = figures_of(trained), [pushed_episode(seed) for seed in range(80 - HELD_OUT, 80)]
    share = sum(episode.rewards.sum() for episode in held_out) / sum(len(episode) + 1 for episode in held_out)
    assert figures["instruction_share"] == pytest.approx(share)
    assert figures["instruction_auc"] > 0.95
    assert figures["words_auc"] > 0.95
    assert figures["instruction_precision"] > 0.6 > 3 * share
    assert figures["instruction_brier"] < 0.6 * figures["instruction_brier_of_share"]
    assert figures["instruction_calibration"] < 0.1, "few frames are done, and of few nobody may be certain"


def test_how_soon_it_will_be_done_is_learned_beside_whether_it_is(
    pushed: Path, world: Path, latents: Path, tmp_path: Path
) -> None:
    config = config_of(pushed, world, tmp_path, latents)
    assert run(replace(config, task=replace(config.task, soon=0.8))) == 0
    figures = figures_of(config)
    assert figures["soon_error"] < 0.9 * figures["soon_error_of_mean"]
    assert figures["soon_order"] > 0.6
    assert figures["instruction_auc"] > 0.9
    own = WorldModel.from_pretrained(tmp_path / "model")
    assert own.instruction is not None
    way = np.stack([picture({"red": (3, column), "blue": (9, 6)}) for column in (6, 4, 2)])
    nearer = own.instruction.log_soon(
        own.encode(way[None]), own.instruction.read(["push the red square to the left side"])
    )
    assert nearer[0].diff().min() > 0


def test_a_finished_run_is_judged_again_and_keeps_what_makes_chances_true(trained: TrainInstruction) -> None:
    before = WorldModel.from_pretrained(trained.run / "model").instruction
    assert before is not None
    assert float(before.slope) != 1
    assert run(replace(trained, gate=InstructionGate(instruction_auc=1.1))) == 1
    after = WorldModel.from_pretrained(trained.run / "model").instruction
    assert after is not None
    for name in ("slope", "offset", "threshold"):
        assert float(getattr(after, name)) == float(getattr(before, name))


def test_the_recipe_runs_from_the_command_line(pushed: Path, world: Path, latents: Path, tmp_path: Path) -> None:
    arguments = ["train", "instruction", "--recipe", "tabletop-instruction", "--data", str(pushed)]
    short = ["--train.steps", "2", "--train.no-tensorboard", "--task.validation-episodes", str(HELD_OUT)]
    places = ["--world", str(world), "--run", str(tmp_path / "run"), "--latents", str(latents)]
    assert main([*arguments, *places, *short]) == 0
    assert WorldModel.from_pretrained(tmp_path / "run/model").instruction is not None


def test_a_head_is_trained_on_another_device_than_the_world_s(pushed: Path, world: Path, latents: Path) -> None:
    own, splits = WorldModel.from_pretrained(world), open_splits(pushed, HELD_OUT)
    config, source = InstructionTaskConfig(batch_size=8), latents_of(splits.train, own.codec, latents)
    task = InstructionTask(own, config, source, EpisodeInstructions.of(splits.train, config), dict(splits.measured))
    task.module.to("meta")
    assert task.loss(task.batch(0), 0)[0].device.type == "meta"
    assert own.device.type == "cpu"


def test_only_what_is_known_is_learned_from(tmp_path: Path) -> None:
    """Before it is done it is not yet done; what is paid is done; after that only what is paid is known."""
    rewards = np.array([0, 0, 1, 0, 1], np.float32)
    episode = lengthened(pushed_episode(1), rewards)
    never = lengthened(pushed_episode(2), np.zeros(5, np.float32))
    silent = replace(episode, metadata={})
    part = open_splits(folder_of(tmp_path, [episode, never, silent, episode]), 1).train
    found = EpisodeInstructions.of(part, InstructionTaskConfig())
    assert found.texts == ("push the blue square to the left side", "push the red square to the right side")
    assert found.said.tolist() == [1, 0, -1]
    assert found.done[0].tolist() == [False, False, False, True, False, True]
    assert found.not_yet[0].tolist() == [True, True, True, False, False, False]
    assert found.not_yet[1].all()
    assert not found.done[2].any()
    assert not found.not_yet[2].any()
    assert found.share == 2 / 11
    ends = EpisodeInstructions.of(part, InstructionTaskConfig(success="termination"))
    assert ends.done[0].tolist() == [False] * 5 + [True]
    assert not EpisodeInstructions.of(part, InstructionTaskConfig(least_reward=2.0)).done[0].any()


def test_clips_from_which_nothing_can_be_learned_are_refused(pushed: Path, world: Path, tmp_path: Path) -> None:
    silent = [replace(pushed_episode(seed), metadata={}) for seed in range(4)]
    config = config_of(folder_of(tmp_path / "silent", silent), world, tmp_path / "run")
    with pytest.raises(DatasetError, match="no episode has an instruction: it belongs into its metadata"):
        run(config)
    idle = [replace(pushed_episode(seed), rewards=None, terminations=None) for seed in range(4)]
    config = config_of(folder_of(tmp_path / "idle", idle), world, tmp_path / "run")
    with pytest.raises(DatasetError, match="no episode of the training data ever did what it was told"):
        run(config)


def test_shares_are_shares() -> None:
    for wrong in ({"swapped": 1.0}, {"noise": -0.1}, {"unknown": 1.0}, {"batch_size": 0}, {"soon": 1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            InstructionTaskConfig(**wrong)  # type: ignore[arg-type]


def lengthened(episode: Episode, rewards: np.ndarray) -> Episode:
    """With the rewards of so many steps, the last of which is an end."""
    count = len(rewards)
    frames = np.resize(episode.frames["view"], (count + 1, 16, 16, 3))
    ends = np.arange(count) == count - 1
    return replace(
        episode,
        frames={"view": frames},
        actions=SPEC.columns([0] * count),
        rewards=rewards,
        terminations=ends,
        truncations=None,
    )


def folder_of(folder: Path, episodes: list[Episode]) -> Path:
    for number, episode in enumerate(episodes):
        write_episode(folder, episode, number=number, index=False)
    return folder
