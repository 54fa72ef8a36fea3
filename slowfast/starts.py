"""The starting points that ship with a world: short validation contexts, so that a dream needs no data set."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from slowfast.actions import ActionSpec, Columns


@dataclass(frozen=True)
class Starts:
    """N contexts: ``frames`` ``uint8 [N, T, H, W, 3]``, ``actions`` columns ``[N, T-1]``, ``seeds`` of their worlds
    ``[N]``, ``pose`` ``float32 [N, T, 3]`` (x, y in map units, angle in degrees; NaN where the real world has none)."""

    frames: np.ndarray
    actions: Columns
    pose: np.ndarray
    seeds: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)

    def save(self, path: str | Path) -> None:
        """One safetensors file; language columns become JSON in its metadata."""
        arrays = {"frames": self.frames, "pose": self.pose.astype(np.float32), "seeds": self.seeds.astype(np.int64)}
        texts = {name: column.tolist() for name, column in self.actions.items() if column.dtype == object}
        arrays |= {f"actions.{name}": column for name, column in self.actions.items() if column.dtype != object}
        unfinished = Path(path).with_suffix(".tmp")
        # safetensors writes the memory behind a view as it lies, not what the view shows.
        save_file(
            {name: np.ascontiguousarray(array) for name, array in arrays.items()},
            unfinished,
            {"texts": json.dumps(texts)},
        )
        unfinished.replace(path)

    @classmethod
    def load(cls, path: str | Path, spec: ActionSpec) -> Starts:
        """Raises FileNotFoundError, ValueError (ActionError) when the actions are not those of ``spec``."""
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: this world ships no starts; reset with options={{'frames': …}} instead")
        with safe_open(path, "numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - a file, no dict
            texts = json.loads((file.metadata() or {}).get("texts", "{}"))
        actions: Columns = {
            name.removeprefix("actions."): array for name, array in arrays.items() if name.startswith("actions.")
        }
        actions |= {name: np.array(column, object) for name, column in texts.items()}
        if set(actions) != {component.name for component in spec.components}:
            raise ValueError(f"{path}: actions {sorted(actions)} are not those of {spec}")
        return cls(arrays["frames"], spec.columns(actions), arrays["pose"], arrays["seeds"])
