"""Which formats are read, and how that is known: small sets in each, ingested and laid beside what went into them.

A few episodes of DoomRooms (or of --data) are written in every format that `slowfast ingest --list` names: by
`slowfast export` where it writes the format, by small writers of this folder where it does not. Each set is recognised
from its files, ingested, and compared frame by frame and action by action; what was exported is also read with the
format's own library. Prints a table and writes JSON.

    python benchmarks/formats.py
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from foreign_sets import FOREIGN, SmallSet
from foreign_words import camera
from format_tables import formats_table
from report import RESULTS, read_json, write_json

from slowfast.actions import Discrete, Language
from slowfast.datasets.collect import collect
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.export.formats import ExportOptions
from slowfast.datasets.export.pipeline import export
from slowfast.datasets.ingest.formats import detect
from slowfast.datasets.ingest.pipeline import Ingestion, ingest
from slowfast.datasets.store import Store, write_episode
from slowfast.envs.doom_rooms.splits import world_seeds

ROOMS = "DoomRooms"
POLICY = "slowfast.envs.policies:make_policy:explore"
EXPORTED = {
    "lerobot-v3.0": ("LeRobot v3.0", "lerobot", ExportOptions()),
    "minari-hdf5-v0": ("Minari, HDF5", "minari", ExportOptions(back_end="hdf5")),
    "minari-arrow-v0": ("Minari, Arrow", "minari", ExportOptions(back_end="arrow")),
    "videos": ("folder of videos", "videos", ExportOptions()),
}
"""Folder → title, format and options of what `slowfast export` writes."""
LIBRARIES = ("minari", "pyarrow", "h5py", "av", "numpy")
UNREAD = {"recordings": None, "read": None, "actions": None, "frames": None, "rewards": None, "states": None}


@dataclass(frozen=True)
class Settings:
    """``data``: a folder of episodes with one action component beside language (default: ``episodes`` of ``steps``
    actions are collected from DoomRooms); ``interop``: what LeRobot's own reader said of our export."""

    data: Path | None = None
    episodes: int = 3
    steps: int = 32
    interop: Path = RESULTS / "interop.json"
    out: Path = RESULTS / "formats.json"


def main(settings: Settings) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        store = original(settings.data, settings.episodes, settings.steps, folder)
        result = measure(store, folder, read_json(settings.interop), settings.data.name if settings.data else ROOMS)
    write_json(settings.out, result)
    print(formats_table(result))


def original(data: Path | None, count: int, steps: int, folder: Path, side: int = 64) -> Store:
    """What is written in every format: one camera, and a state and a reward that are read off the frames, so that they
    are never all zero. Raises :class:`DatasetError` unless there is one action component beside language."""
    source = Store(data) if data else _doom_rooms(folder / "collected", count, steps, side)
    acting = [component.name for component in source.spec.components if not isinstance(component, Language)]
    if len(acting) != 1:
        raise DatasetError(f"{source.folder}: expected one action component beside language, got {acting}")
    for number in range(min(count, len(source))):
        episode = source[number]
        frames = episode.frames[source.camera][: steps + 1]
        colour = frames.reshape(len(frames), -1, 3).mean(1, dtype=np.float32)
        between = slice(0, len(frames) - 1)
        seen_only = replace(
            episode,
            frames={"camera": frames},
            actions=source.spec.select(episode.actions, between),
            rewards=np.diff(colour.mean(1)),
            terminations=episode.terminations[between],
            truncations=episode.truncations[between],
            states={"colour": colour},
            infos={},
        )
        write_episode(folder / "original", seen_only, "none", number, index=False)
    return Store(folder / "original")


def _doom_rooms(folder: Path, count: int, steps: int, side: int) -> Store:
    seeds = world_seeds("test", count)
    return collect("slowfast/DoomRooms-v0", POLICY, seeds, folder, steps=steps, env_kwargs={"size": [side, side]})


def small_sets(store: Store, folder: Path) -> Iterator[tuple[str, SmallSet]]:
    """The store's episodes in every format, by names of folders; each is written when its turn comes."""
    episodes = list(store)
    for name, (title, kind, options) in EXPORTED.items():
        export(store.folder, kind, folder / name, options=options)
        yield name, SmallSet(title, kind, folder / name, episodes)
    for name, write in FOREIGN.items():
        (folder / name).mkdir()
        yield name, write(episodes, folder / name)


def measure(store: Store, folder: Path, interop: dict[str, Any] | None, of: str = ROOMS) -> dict[str, Any]:
    rows = []
    for name, written in small_sets(store, folder / "sets"):
        row = {"name": name, "title": written.title, "format": written.format, "exported": name in EXPORTED}
        own = own_library(written, store, interop) if row["exported"] else None
        rows.append({**row, **read(written, folder / "read" / name), "own_library": own})
    rows.append(tfds_folder(folder / "tfds"))
    frames = np.concatenate([camera(episode) for episode in store])
    return {
        "versions": {name: version(name) for name in LIBRARIES},
        "set": {
            "of": of,
            "episodes": len(store),
            "frames": len(frames),
            "size": list(store.shape(0)[:2]),
            "psnr_one_frame_off": psnr(
                np.concatenate([camera(one)[1:] for one in store]), np.concatenate([camera(one)[:-1] for one in store])
            ),
        },
        "rows": rows,
    }


def read(written: SmallSet, out: Path) -> dict[str, Any]:
    """Recognised or not; recordings and how many of the expected episodes came; whether they are the same."""
    recognised = None if written.named else detect(written.source) == written.format
    ingestion = Ingestion(written.source, written.format if written.named else None, written.options)
    report = ingest(ingestion, out)
    episodes = list(Store(out))
    found: dict[str, Any] = {
        "recognised": recognised,
        "recordings": report.recordings,
        "skipped": report.skipped,
        "read": len(episodes),
        "expected": len(written.expected),
    }
    if [len(one) for one in episodes] != [len(one) for one in written.expected]:
        return {**UNREAD, **found, "why": "other lengths than were written"}
    pairs = list(zip(written.expected, episodes, strict=True))
    found |= {"actions": compared_actions(pairs), "frames": compared_frames(pairs)}
    for group in ("rewards", "states"):
        found[group] = compared_outcomes(group, pairs) if group in written.holds else None
    return found


def compared_actions(pairs: Sequence[tuple[Episode, Episode]]) -> dict[str, list[str]]:
    """Kinds of what was written, by whether a column of that kind was read that is the same in all episodes."""
    same: list[str] = []
    lost: list[str] = []
    for component in pairs[0][0].spec.components:
        alike = [other for other in pairs[0][1].spec.components if other.kind == component.kind]
        kept = any(all(_same_column(component, other, *pair) for pair in pairs) for other in alike)
        (same if kept else lost).append(component.kind)
    return {"same": same, "lost": lost}


def _same_column(component: Any, other: Any, written: Episode, read: Episode) -> bool:
    """A choice by its number or by its label: a format may keep either."""
    columns = written.actions[component.name], read.actions[other.name]
    if isinstance(component, Discrete) and not np.array_equal(*columns):
        columns = tuple(np.array(c.labels)[column] for c, column in zip((component, other), columns, strict=True))
    return np.array_equal(*columns)


def compared_frames(pairs: Sequence[tuple[Episode, Episode]]) -> float | str:
    """ "exactly", or the peak signal-to-noise ratio of all frames in decibels."""
    written, read = (np.concatenate([camera(pair[k]) for pair in pairs]) for k in (0, 1))
    if written.shape != read.shape:
        return f"{read.shape[1:3]} pixels"
    return "exactly" if np.array_equal(written, read) else psnr(read, written)


def psnr(frames: np.ndarray, exact: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / ((frames.astype(np.float32) - exact) ** 2).mean(dtype=np.float64)))


def compared_outcomes(group: str, pairs: Sequence[tuple[Episode, Episode]]) -> str:
    """ "exactly", "an axis each" where a vector came back as several numbers, or "no"."""
    if group == "rewards":
        return _verdict(np.array_equal(written.rewards, read.rewards) for written, read in pairs)
    states = [(next(iter(written.states.values())), list(read.states.values())) for written, read in pairs]
    if all(len(read) == 1 for _, read in states):
        return _verdict(np.array_equal(state, read[0]) for state, read in states)
    found = _verdict(np.array_equal(state.T, [axis.reshape(-1) for axis in read]) for state, read in states)
    return "an axis each" if found == "exactly" else found


def _verdict(same: Iterable[bool]) -> str:
    return "exactly" if all(same) else "no"


def own_library(written: SmallSet, store: Store, interop: dict[str, Any] | None) -> dict[str, Any] | None:
    """What the format's own library reads of an export: Minari's here and now, LeRobot's when `make interop` ran."""
    if written.format == "minari":
        return {"library": "minari", "version": version("minari"), "same": minari_reads(written.folder, store)}
    if written.format == "lerobot" and interop:
        said = {"library": "lerobot", "version": interop["versions"]["lerobot"], "date": interop["date"]}
        return {**said, "same": all(found["same"] for found in interop["sets"].values())}
    return None


def minari_reads(folder: Path, store: Store) -> bool:
    """Whether Minari gives back every frame, state, action and reward."""
    import minari

    dataset = minari.MinariDataset(folder / "data")
    (acting,) = store.spec.acting
    pairs = list(zip(store, dataset.iterate_episodes(), strict=True))
    return all(
        np.array_equal(ours.frames["camera"], theirs.observations["camera"])
        and np.array_equal(ours.states["colour"], theirs.observations["colour"])
        and np.array_equal(ours.actions[acting.name], theirs.actions)
        and np.array_equal(ours.rewards, theirs.rewards)
        for ours, theirs in pairs
    )


def tfds_folder(folder: Path) -> dict[str, Any]:
    """A folder with the two files by which one of TFDS is recognised; to read one takes tensorflow."""
    folder.mkdir()
    for name in ("dataset_info.json", "features.json"):
        (folder / name).write_text("{}")
    row = {"name": "rlds-tfds", "title": "RLDS, a folder of TFDS", "format": "rlds", "exported": False}
    why = "not run here: reading needs tensorflow_datasets"
    return {**row, **UNREAD, "recognised": detect(folder) == "rlds", "expected": None, "why": why, "own_library": None}


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
