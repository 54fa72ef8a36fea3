"""A whole memory on disk: ``memory.json`` beside one safetensors file that it names.

The tensors are written under a new name first; renaming ``memory.json`` into place is the moment the save happens. A
save that is killed before it leaves the old one as it was.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from slowfast.fast.bank import Bank
from slowfast.fast.files import read_tensors, write_tensors, write_text
from slowfast.fast.memory_state import MemoryState
from slowfast.fast.optimiser import AdamState
from slowfast.fast.replay import Replay, Stream

if TYPE_CHECKING:
    from slowfast.fast.memory import EpisodicMemory

HEADER = "memory.json"
FORMAT_VERSION = 1


def save_state(folder: str | Path, memory: EpisodicMemory) -> None:
    """Writes everything that ``memory`` is to ``folder``."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"memory-{uuid.uuid4().hex[:12]}.safetensors"
    write_tensors(folder / name, state_tensors(memory.snapshot()), {"format": "pt"})
    write_text(folder / HEADER, json.dumps({"tensors": name, **_header(memory)}, indent=2))
    for old in folder.glob("memory-*.safetensors"):
        if old.name != name:
            old.unlink(missing_ok=True)


def load_state(folder: str | Path, memory: EpisodicMemory) -> MemoryState:
    """What :func:`save_state` wrote, for a memory like ``memory``.

    Raises FileNotFoundError where there is none, ValueError (naming what differs) for another format, other weights,
    another rule or size.
    """
    path = Path(folder) / HEADER
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no memory: {HEADER} was expected")
    found, expected = json.loads(path.read_text(encoding="utf-8")), _header(memory)
    if found.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {found.get('format_version')}, this version reads {FORMAT_VERSION}"
        )
    if found["base_hash"] != expected["base_hash"]:
        raise ValueError(
            f"{path} was learned on other weights (base {found['base_hash']}, this world is {expected['base_hash']}): "
            "load the world that it belongs to"
        )
    for key, value in expected.items():
        if found.get(key) != value:
            raise ValueError(
                f"{path} has {key} = {found.get(key)}, this memory {value}: make a memory like the saved one"
            )
    tensors, _ = read_tensors(path.parent / found["tensors"])
    return state_from_tensors(tensors, memory.snapshot().rows.device)


def _header(memory: EpisodicMemory) -> dict[str, Any]:
    values = {
        "format_version": FORMAT_VERSION,
        "base_hash": memory.base_hash,
        "episodes": len(memory),
        "seed": memory.seed,
        "context": memory.context,
        "chunk": memory.chunk,
        "rule": memory.rule.settings(),
        "layers": [[layer.name, layer.inputs, layer.rank, layer.outputs] for layer in memory.layout.layers],
    }
    read_back: dict[str, Any] = json.loads(json.dumps(values))  # tuples become lists, as in the file
    return read_back


def state_tensors(state: MemoryState) -> dict[str, torch.Tensor]:
    """All tensors of a state by name."""
    tensors = {
        "rows": state.rows,
        "adam.first": state.adam.first,
        "adam.second": state.adam.second,
        "adam.steps": state.adam.steps,
        "pose": state.pose,
        "lives": state.lives,
        "random": state.random,
    }
    if state.settled is not None:
        tensors["settled"] = state.settled
    if state.keys is not None:
        tensors["keys"] = state.keys
    if state.stream is not None and state.replay is not None:
        tensors |= {"stream.latents": state.stream.latents, "stream.frames": state.stream.frames}
        tensors |= {f"stream.actions.{name}": tensor for name, tensor in state.stream.actions.items()}
        tensors |= {"replay.latents": state.replay.latents, "replay.offered": state.replay.offered}
        tensors |= {f"replay.actions.{name}": tensor for name, tensor in state.replay.actions.items()}
    if state.bank is not None:
        tensors |= {"bank.latents": state.bank.latents, "bank.kept": state.bank.kept}
        tensors |= {} if state.bank.poses is None else {"bank.poses": state.bank.poses}
    return tensors


def state_from_tensors(tensors: dict[str, torch.Tensor], device: torch.device) -> MemoryState:
    """The state that :func:`state_tensors` took apart, on ``device``."""

    def actions(part: str) -> dict[str, torch.Tensor]:
        start = f"{part}.actions."
        return {name[len(start) :]: value.to(device) for name, value in tensors.items() if name.startswith(start)}

    adam = AdamState(tensors["adam.first"].to(device), tensors["adam.second"].to(device), tensors["adam.steps"])
    stream = replay = None
    if "stream.latents" in tensors:
        stream = Stream(tensors["stream.latents"].to(device), actions("stream"), tensors["stream.frames"])
        replay = Replay(tensors["replay.latents"].to(device), actions("replay"), tensors["replay.offered"])
    bank = None
    if "bank.latents" in tensors:
        poses = tensors.get("bank.poses")
        bank = Bank(
            tensors["bank.latents"].to(device), tensors["bank.kept"], None if poses is None else poses.to(device)
        )
    rows, pose = tensors["rows"].to(device), tensors["pose"].to(device)
    settled, keys = (tensors[name].to(device) if name in tensors else None for name in ("settled", "keys"))
    return MemoryState(rows, adam, stream, replay, bank, pose, tensors["lives"], tensors["random"], settled, keys)
