"""Exact resume without pickle: everything a run needs to go on, as safetensors and JSON.

A checkpoint is a folder ``checkpoints/step-00001000`` with ``weights``, ``average`` (EMA), ``moments`` (AdamW) and
``random`` (global generators) as safetensors, and ``state.json``; of a task with a state also ``task.R``, one for each
process. It is written under another name and renamed, so it is there as a whole or not at all.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import nn

from slowfast.fast.files import write_tensors

FORMAT = 1
NAME = re.compile(r"step-(\d{8})")
RandomState = tuple[dict[str, torch.Tensor], dict[str, Any]]


@dataclass
class Position:
    """Where a run stands. ``step`` is also the position in the data: batches are a function of it."""

    step: int = 0
    seconds: float = 0.0
    validation: dict[str, float] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(
    root: Path,
    position: Position,
    module: nn.Module,
    average: EMAModel,
    optimizer: torch.optim.Optimizer,
    random_states: list[RandomState],
    keep: int = 2,
) -> Path:
    """Writes ``root/step-XXXXXXXX`` and removes all but the newest ``keep``. ``random_states``: one a process.

    It takes up what :func:`stage_task_state` left for this step.
    """
    root.mkdir(parents=True, exist_ok=True)
    final = root / f"step-{position.step:08d}"
    temporary = root / f".{final.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    save_model(module, str(temporary / "weights.safetensors"))
    save_file(_average_tensors(module, average), temporary / "average.safetensors")
    save_file(_moments(module, optimizer), temporary / "moments.safetensors")
    save_file(
        {
            f"{rank}.{name}": tensor
            for rank, (tensors, _) in enumerate(random_states)
            for name, tensor in tensors.items()
        },
        temporary / "random.safetensors",
    )
    state = {
        "format": FORMAT,
        "step": position.step,
        "seconds": position.seconds,
        "validation": position.validation,
        "config": position.config,
        "average_step": average.optimization_step,
        "random": [rest for _, rest in random_states],
    }
    (temporary / "state.json").write_text(json.dumps(state), encoding="utf-8")
    for rank in range(len(random_states)):
        staged = _staged(root, position.step, rank)
        if staged.exists():
            os.rename(staged, temporary / _task_file(rank))
    if final.exists():
        _remove(final)
    os.rename(temporary, final)
    for leftover in root.glob(".task.*.safetensors"):  # of a checkpoint that was never finished
        leftover.unlink()
    for old in checkpoints(root)[:-keep]:
        _remove(old)
    return final


def stage_task_state(root: Path, step: int, rank: int, tensors: Mapping[str, torch.Tensor]) -> None:
    """Leaves the task's state of process ``rank`` at ``step`` where the next :func:`save_checkpoint` finds it."""
    root.mkdir(parents=True, exist_ok=True)
    write_tensors(_staged(root, step, rank), dict(tensors), {"format": "pt"})


def load_task_state(folder: Path, rank: int) -> dict[str, torch.Tensor] | None:
    """The task's state of process ``rank``, on the CPU; None where the checkpoint ``folder`` holds none."""
    path = folder / _task_file(rank)
    return load_file(path) if path.is_file() else None


def load_checkpoint(
    folder: Path, module: nn.Module, average: EMAModel, optimizer: torch.optim.Optimizer
) -> tuple[Position, list[RandomState]]:
    """Fills module, average and optimizer in place. Raises ValueError for a folder of another network or format."""
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    if state.get("format") != FORMAT:
        raise ValueError(f"{folder / 'state.json'}: format {state.get('format')!r}, this version reads {FORMAT}")
    try:
        load_model(module, str(folder / "weights.safetensors"))
    except RuntimeError as error:
        raise ValueError(
            f"{folder / 'weights.safetensors'} holds another network than the config describes: {error}. "
            "Use the config that the run was started with (config.yaml in its folder), or another run folder."
        ) from error
    shadows = load_file(folder / "average.safetensors")
    for (name, _), shadow in zip(module.named_parameters(), average.shadow_params, strict=True):
        shadow.copy_(shadows[name])
    average.optimization_step = int(state["average_step"])
    _set_moments(module, optimizer, load_file(folder / "moments.safetensors"))
    tensors = load_file(folder / "random.safetensors")
    random_states = []
    for rank, rest in enumerate(state["random"]):
        prefix = f"{rank}."
        own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        random_states.append((own, rest))
    return Position(state["step"], state["seconds"], state["validation"], state["config"]), random_states


def checkpoints(root: Path) -> list[Path]:
    """Whole checkpoints under ``root``, oldest first."""
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if NAME.fullmatch(path.name))


def _task_file(rank: int) -> str:
    return f"task.{rank}.safetensors"


def _staged(root: Path, step: int, rank: int) -> Path:
    return root / f".task.{step:08d}.{rank}.safetensors"


def _remove(folder: Path) -> None:
    """Takes the name away first: a half-deleted folder must never look like a checkpoint."""
    doomed = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(doomed, ignore_errors=True)
    os.rename(folder, doomed)
    shutil.rmtree(doomed)


def _average_tensors(module: nn.Module, average: EMAModel) -> dict[str, torch.Tensor]:
    names = [name for name, _ in module.named_parameters()]
    return {name: shadow.contiguous() for name, shadow in zip(names, average.shadow_params, strict=True)}


def _moments(module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    tensors = {}
    for name, parameter in module.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{key}/{name}"] = torch.as_tensor(value).detach().contiguous()
    return tensors


def _set_moments(module: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    parameters = dict(module.named_parameters())
    for full, value in tensors.items():
        key, name = full.split("/", 1)
        parameter = parameters[name]
        # A moment takes its parameter's device and memory format; AdamW's step counter is a scalar and stays on the CPU
        # unless the fused kernel wants it beside the parameter.
        fused = optimizer.param_groups[0].get("fused")
        if value.shape == parameter.shape and value.ndim:
            filled = torch.empty_like(parameter).copy_(value)
        else:
            filled = value.to(parameter.device) if fused else value
        optimizer.state[parameter][key] = filled
