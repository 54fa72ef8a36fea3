"""The generic loop: exact resume, checkpoints that are whole, averaged weights, schedule, log."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from slowfast.training.checkpoint import checkpoints
from slowfast.training.config import TrainConfig
from slowfast.training.log import read_metrics
from slowfast.training.random import global_state, torch_generator
from slowfast.training.run_lock import only_run
from slowfast.training.trainer import Trainer, learning_rate

CONFIG = TrainConfig(
    steps=6,
    warmup_steps=2,
    log_every=1,
    validate_every=4,
    checkpoint_every=2,
    gradient_accumulation=2,
    tensorboard=False,
)


class Regression:
    """A small regression whose dropout draws from the global generator; ``on_step`` is called with each loss."""

    def __init__(self) -> None:
        torch.manual_seed(7)
        self.module = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 1))
        self.seen: list[int] = []

    def batch(self, index: int) -> Tensor:
        return torch.randn(16, 4, generator=torch_generator(1, index))

    def loss(self, batch: Tensor, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        self.seen.append(index)
        random.random()
        np.random.random()  # noqa: NPY002 - the global state is under test
        error = (self.module(batch) - batch.sum(1, keepdim=True)).square().mean()
        return error, {"error": error.detach()}

    def validate(self, step: int, folder: Path) -> dict[str, float]:
        torch.rand(3)
        probe = torch.ones(2, 4)
        return {"output": float(self.module(probe).sum()), "training": float(self.module.training)}

    def save(self, folder: Path) -> None:
        folder.mkdir()
        torch.rand(3)
        (folder / "weight.json").write_text(json.dumps(self.module[0].weight.tolist()))


class Killed(Regression):
    """Kills its own process in the middle of step ``at`` (counted in micro-batches)."""

    at = 0

    def loss(self, batch: Tensor, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        if index == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(batch, index)


def train_and_be_killed(folder: str, at: int) -> None:
    task = Killed()
    task.at = at
    Trainer(task, CONFIG, Path(folder)).train()


def same_bits(one: Path, other: Path) -> None:
    for name in ("weights", "average", "moments", "random"):
        first, second = load_file(one / f"{name}.safetensors"), load_file(other / f"{name}.safetensors")
        assert first.keys() == second.keys()
        for key in first:
            assert torch.equal(first[key], second[key]), (name, key)
    states: list[dict[str, Any]] = [json.loads((path / "state.json").read_text()) for path in (one, other)]
    for state in states:
        del state["seconds"]
    assert states[0] == states[1]


def test_a_killed_run_that_is_continued_ends_with_the_same_bits(tmp_path: Path) -> None:
    killed_at = 9  # within step 5 of 6; the last checkpoint is of step 4
    Trainer(Regression(), CONFIG, tmp_path / "straight").train()
    straight_state = global_state()

    here = str(Path(__file__).parent)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_trainer as t; t.train_and_be_killed(sys.argv[2], 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, here, str(tmp_path / "killed")], check=False, timeout=300)
    assert done.returncode == -signal.SIGKILL
    torch.manual_seed(99)  # whatever state the new process is in must not matter
    task = Regression()
    trainer = Trainer(task, CONFIG, tmp_path / "killed")
    assert trainer.position.step == killed_at // 4 * 2
    trainer.train()
    assert task.seen[0] == killed_at // 4 * 4

    same_bits(tmp_path / "straight/checkpoints/step-00000006", tmp_path / "killed/checkpoints/step-00000006")
    assert torch.equal(straight_state[0]["torch"], torch.get_rng_state())
    assert straight_state[1] == global_state()[1]
    lines = [read_metrics(tmp_path / name / "metrics.jsonl") for name in ("straight", "killed")]
    for line in lines[0] + lines[1]:
        line.pop("seconds", None)
    assert lines[0] == lines[1]


def test_dropout_takes_part_in_what_resume_restores(tmp_path: Path) -> None:
    """Guards the test above: with another global random state the bits do differ."""
    Trainer(Regression(), CONFIG, tmp_path / "one").train()
    trainer = Trainer(Regression(), CONFIG, tmp_path / "two")
    torch.manual_seed(123)
    trainer.train()
    weights = [load_file(tmp_path / name / "checkpoints/step-00000006/weights.safetensors") for name in ("one", "two")]
    assert not torch.equal(weights[0]["0.weight"], weights[1]["0.weight"])


def test_validation_and_export_see_averaged_weights_and_leave_training_alone(tmp_path: Path) -> None:
    task = Regression()
    trainer = Trainer(task, CONFIG, tmp_path)
    figures = trainer.train()
    assert figures["training"] == 0.0
    assert task.module.training
    checkpoint = tmp_path / "checkpoints/step-00000006"
    average = load_file(checkpoint / "average.safetensors")
    weights = load_file(checkpoint / "weights.safetensors")
    assert torch.equal(task.module[0].weight, weights["0.weight"])
    assert not torch.equal(average["0.weight"], weights["0.weight"])
    exported = torch.tensor(json.loads((tmp_path / "model/weight.json").read_text()))
    assert torch.equal(exported, average["0.weight"])

    seldom = TrainConfig(**{**CONFIG.__dict__, "validate_every": 6})
    Trainer(Regression(), seldom, tmp_path / "seldom").train()
    assert torch.equal(
        load_file(tmp_path / "seldom/checkpoints/step-00000006/weights.safetensors")["0.weight"], weights["0.weight"]
    )


def test_half_written_checkpoints_are_not_seen_and_old_ones_go(tmp_path: Path) -> None:
    root = tmp_path / "checkpoints"
    (root / ".step-00000999.tmp").mkdir(parents=True)
    (root / "step-12").mkdir()
    Trainer(Regression(), CONFIG, tmp_path).train()
    assert [path.name for path in checkpoints(root)] == ["step-00000004", "step-00000006"]


def test_checkpoints_hold_no_pickle(tmp_path: Path) -> None:
    Trainer(Regression(), CONFIG, tmp_path).train()
    suffixes = {path.suffix for path in (tmp_path / "checkpoints").rglob("*") if path.is_file()}
    assert suffixes == {".json", ".safetensors"}


def test_a_stop_request_ends_with_a_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    def stop_at_three(done: int, total: int, **figures: float) -> None:
        if done == 3:
            trainer.request_stop()

    trainer = Trainer(Regression(), CONFIG, tmp_path / "stopped", stop_at_three)
    trainer.train()
    assert not trainer.finished
    assert checkpoints(tmp_path / "stopped/checkpoints")[-1].name == "step-00000003"
    Trainer(Regression(), CONFIG, tmp_path / "stopped").train()
    Trainer(Regression(), CONFIG, tmp_path / "straight").train()
    same_bits(tmp_path / "stopped/checkpoints/step-00000006", tmp_path / "straight/checkpoints/step-00000006")


def test_a_run_folder_is_not_reused_unasked_nor_by_another_network(tmp_path: Path) -> None:
    Trainer(Regression(), CONFIG, tmp_path).train()
    with pytest.raises(ValueError, match="already holds checkpoints"):
        Trainer(Regression(), CONFIG, tmp_path, resume=False)
    other = Regression()
    other.module = nn.Sequential(nn.Linear(4, 9))
    with pytest.raises(ValueError, match="another network"):
        Trainer(other, CONFIG, tmp_path)


def test_two_runs_do_not_write_to_one_folder(tmp_path: Path) -> None:
    with only_run(tmp_path), pytest.raises(ValueError, match="another process trains here"):
        Trainer(Regression(), CONFIG, tmp_path).train()
    assert not (tmp_path / "checkpoints").exists()
    Trainer(Regression(), CONFIG, tmp_path).train()
    assert checkpoints(tmp_path / "checkpoints")


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    class Broken(Regression):
        def loss(self, batch: Tensor, index: int) -> tuple[Tensor, dict[str, Tensor]]:
            loss, figures = super().loss(batch, index)
            return loss * (float("nan") if index >= 8 else 1.0), figures

    with pytest.raises(FloatingPointError, match="step 5"):
        Trainer(Broken(), CONFIG, tmp_path).train()
    assert checkpoints(tmp_path / "checkpoints")[-1].name == "step-00000004"


def test_an_error_while_making_a_batch_reaches_the_caller(tmp_path: Path) -> None:
    class Unreadable(Regression):
        def batch(self, index: int) -> Tensor:
            if index == 3:
                raise OSError("disk gone")
            return super().batch(index)

    with pytest.raises(OSError, match="disk gone"):
        Trainer(Unreadable(), CONFIG, tmp_path).train()


def test_bf16_autocast_trains_float32_weights(tmp_path: Path) -> None:
    task = Regression()
    seen = []
    task.module[0].register_forward_hook(lambda *args: seen.append(args[2].dtype))
    Trainer(task, TrainConfig(**{**CONFIG.__dict__, "mixed_precision": "bf16"}), tmp_path).train()
    assert torch.bfloat16 in seen
    assert task.module[0].weight.dtype == torch.float32


def test_learning_rate_warms_up_and_falls() -> None:
    config = TrainConfig(steps=100, warmup_steps=10, learning_rate=1.0, final_learning_rate=0.1)
    rates = [learning_rate(config, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0)
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)


def test_log_keeps_figures_of_every_kind(tmp_path: Path) -> None:
    Trainer(Regression(), CONFIG, tmp_path).train()
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert [line["step"] for line in lines if line["kind"] == "validation"] == [4, 6]
    train = [line for line in lines if line["kind"] == "train"]
    assert [line["step"] for line in train] == [1, 2, 3, 4, 5, 6]
    assert {"loss", "error", "gradient_norm", "learning_rate", "seconds"} <= train[0].keys()
