"""What a folder of episodes holds in common, read from headers and actions before anything is exported: what does not
fit is found before hours of work, and not after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from slowfast.actions import ActionSpec, Columns, Language
from slowfast.datasets import hdf5
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.store import Store


@dataclass(frozen=True)
class Rows:
    """A state or info that every episode has: one row's type and shape."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Survey:
    """The episodes to be exported, by their places in ``store``, and what all of them have.

    ``cameras``: camera → the sizes (H, W) that it has. ``fps``: the rates. ``left_out``: what only some episodes have,
    or not in one shape, in words. ``skipped``: episodes that are left out because actions are missing.
    """

    store: Store
    episodes: tuple[int, ...]
    cameras: dict[str, list[tuple[int, int]]]
    fps: list[float]
    states: dict[str, Rows]
    infos: dict[str, Rows]
    left_out: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def spec(self) -> ActionSpec:
        return self.store.spec

    def size(self, camera: str) -> tuple[int, int]:
        """The one size of a camera. Raises :class:`DatasetError` where it has several."""
        sizes = self.cameras[camera]
        if len(sizes) > 1:
            said = ", ".join(f"{height}x{width}" for height, width in sizes)
            raise DatasetError(
                f"{self.store.folder}: frames of {camera!r} are {said}; this format takes one size a camera: ingest "
                "with --policy.size, or export to videos"
            )
        return sizes[0]

    def one_fps(self) -> float:
        """The one rate. Raises :class:`DatasetError` where there are several."""
        if len(self.fps) > 1:
            said = ", ".join(f"{fps:g}" for fps in self.fps)
            raise DatasetError(
                f"{self.store.folder}: episodes have {said} frames a second; this format takes one rate: ingest with "
                "--policy.fps, or export to videos"
            )
        return self.fps[0]


def survey(store: Store, cameras: tuple[str, ...] = (), limit: int | None = None, missing: str = "keep") -> Survey:
    """Look through the first ``limit`` episodes; ``cameras`` (default: all) must be in each.

    ``missing``: what an episode with missing actions does: "keep" it, "skip" it, or "refuse" it with a
    :class:`DatasetError`. Language may be missing anywhere: an empty text stands for it.
    """
    taken, skipped, headers, kinds = [], [], [], []
    for i in range(len(store) if limit is None else min(limit, len(store))):
        with hdf5.open_file(store.path(i)) as file:
            lack = _missing(store.spec, hdf5.read_actions(file, store.spec)) if missing != "keep" else None
            if lack is not None:
                said = f"{store.path(i)}: action {lack[0]} has no {lack[1]!r}"
                if missing == "refuse":
                    raise DatasetError(
                        f"{said}, and this format has no missing actions; leave such episodes out with --skip-missing, "
                        "or export to videos"
                    )
                skipped.append(said)
                continue
            taken.append(i)
            headers.append(hdf5.read_header(file))
            kinds.append({group: _kinds(file, group) for group in ("states", "infos")})
    if not taken:
        raise DatasetError(f"{store.folder}: no episode to export: {skipped[0] if skipped else 'the limit is 0'}")
    names = cameras or tuple(sorted(headers[0]["cameras"]))
    for i, header in zip(taken, headers, strict=True):
        lacking = [name for name in names if name not in header["cameras"]]
        if lacking:
            there = ", ".join(sorted(header["cameras"]))
            raise DatasetError(f"{store.path(i)}: no camera {lacking[0]!r}; there are {there}: name those of every one")
    left_out: list[str] = []
    common = {group: _common(group, [kind[group] for kind in kinds], left_out) for group in ("states", "infos")}
    return Survey(
        store,
        tuple(taken),
        {name: sorted({_size(header, name) for header in headers}) for name in names},
        sorted({header["fps"] for header in headers}),
        common["states"],
        common["infos"],
        tuple(left_out),
        tuple(skipped),
    )


def _size(header: dict[str, Any], camera: str) -> tuple[int, int]:
    place = header["cameras"][camera]
    return place["height"], place["width"]


def _kinds(file: Any, group: str) -> dict[str, Rows]:
    return {name: Rows(data.dtype, data.shape[1:]) for name, data in file.get(group, {}).items()}


def _common(group: str, kinds: list[dict[str, Rows]], left_out: list[str]) -> dict[str, Rows]:
    names = {name for kind in kinds for name in kind}
    common = {
        name: kinds[0][name] for name in sorted(names) if all(kind.get(name) == kinds[0].get(name) for kind in kinds)
    }
    for name in sorted(names - set(common)):
        having = sum(name in kind for kind in kinds)
        why = f"is in {having} of {len(kinds)} episodes" if having < len(kinds) else "has several types or shapes"
        left_out.append(f"{group}/{name} {why}")
    return common


def _missing(spec: ActionSpec, columns: Columns) -> tuple[int, str] | None:
    """The first action with a missing value, and the component that lacks it."""
    for component in spec.components:
        if isinstance(component, Language):
            continue
        column = columns[component.name]
        lacking = np.isnan(column) if column.dtype.kind == "f" else column < 0
        rows = np.flatnonzero(lacking.reshape(len(column), -1).any(1))
        if len(rows):
            return int(rows[0]), component.name
    return None
