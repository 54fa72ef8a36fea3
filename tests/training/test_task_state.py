"""What a task is beside its weights, in checkpoints: each process finds its own, half-written ones are nobody's."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers.training_utils import EMAModel
from torch import nn

from slowfast.training.checkpoint import Position, load_task_state, save_checkpoint, stage_task_state
from slowfast.training.random import global_state


def save(root: Path, step: int, processes: int) -> Path:
    module = nn.Linear(2, 2)
    average, adam = EMAModel(module.parameters()), torch.optim.AdamW(module.parameters())
    return save_checkpoint(root, Position(step), module, average, adam, [global_state() for _ in range(processes)])


def test_each_process_finds_its_own_state(tmp_path: Path) -> None:
    for rank in range(2):
        stage_task_state(tmp_path, 3, rank, {"rank": torch.tensor([rank])})
    folder = save(tmp_path, 3, processes=2)
    found = [load_task_state(folder, rank) for rank in range(3)]
    assert [state and state["rank"].tolist() for state in found] == [[0], [1], None]
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_what_an_unfinished_checkpoint_left_is_nobodys(tmp_path: Path) -> None:
    stage_task_state(tmp_path, 2, 0, {"step": torch.tensor([2])})
    stage_task_state(tmp_path, 3, 1, {"step": torch.tensor([3])})  # of a second process that is no longer there
    folder = save(tmp_path, 3, processes=1)
    assert load_task_state(folder, 0) is load_task_state(folder, 1) is None
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
