"""Small sets in the formats that others have and `slowfast export` does not write, each as its own users lay it out.

Every function of :data:`FOREIGN` takes episodes and an empty folder, writes the set there, and says what reading it
should give. Formats that have no place for a choice get the action as a vector, an axis a choice.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import foreign_lerobot
import foreign_rlds
import h5py
import numpy as np
import yaml
from foreign_words import camera, choice, choices_of, sentences, vector

from slowfast.actions import ActionSpec, Continuous, Discrete, Language
from slowfast.datasets.episode import Episode
from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.readers.vpt import DEGREES_A_PIXEL, KEYS, SPEC
from slowfast.video import VideoWriter

TURN = 40
"""Pixels of the mouse for a whole turn to either side."""


@dataclass(frozen=True)
class SmallSet:
    """``title``: the row of a table. ``format``: a name of ``FORMATS``; ``named``: it has to be said, since nothing in
    the files tells it from another one. ``folder`` holds all files of the set, ``source`` is what is ingested (default:
    the folder). ``expected``: what reading gives, in this order, with the frames as they were before any compression;
    ``holds``: what the format has a place for, beside frames and actions."""

    title: str
    format: str
    folder: Path
    expected: Sequence[Episode]
    source: str = ""
    options: SourceOptions = field(default_factory=SourceOptions)
    named: bool = False
    holds: tuple[str, ...] = ("rewards", "states")

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", self.source or str(self.folder))


def lerobot_v21(episodes: Sequence[Episode], folder: Path) -> SmallSet:
    parts = [vector(episode) for episode in episodes]
    foreign_lerobot.write(folder, episodes, parts, [sentences(episode) for episode in episodes])
    expected = [_as(one, {"action": part, "task": sentences(one)}) for one, part in zip(episodes, parts, strict=True)]
    return SmallSet("LeRobot v2.1", "lerobot", folder, expected)


def rlds(episodes: Sequence[Episode], folder: Path) -> SmallSet:
    expected = []
    for number, episode in enumerate(episodes):
        action, said = vector(episode), sentences(episode)
        np.savez(
            folder / f"{number:04d}.npz",
            image=camera(episode),
            colour=_colour(episode),
            action=_padded(action),
            reward=np.append(_rewards(episode), np.float32(0)),
            sentence=[*said.tolist(), ""],
        )
        expected.append(_as(episode, {"action": action, "instruction": said}))
    foreign_rlds.folder = folder
    source, options = "foreign_rlds:episodes", SourceOptions(fps=episodes[0].fps)
    return SmallSet("RLDS steps, module:function", "rlds", folder, expected, source, options, named=True)


def robomimic(episodes: Sequence[Episode], folder: Path) -> SmallSet:
    with h5py.File(folder / "demo.hdf5", "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = json.dumps({"env_kwargs": {"control_freq": episodes[0].fps}})
        for number, episode in enumerate(episodes):
            group = data.create_group(f"demo_{number}")
            group["obs/front_image"], group["obs/colour"] = camera(episode), _colour(episode)
            group["actions"], group["rewards"] = vector(episode), _rewards(episode)
            group["dones"] = episode.terminations
    return SmallSet("HDF5, robomimic", "hdf5", folder, [_as(one, {"action": vector(one)}) for one in episodes])


def mapped_hdf5(episodes: Sequence[Episode], folder: Path) -> SmallSet:
    """All episodes end to end, frames [T, C, H, W] in BGR, choices as numbers, and a mapping file."""
    labels, choices = choices_of(episodes[0].spec), [choice(episode) for episode in episodes]
    with h5py.File(folder / "all.h5", "w") as file:
        file["obs"] = np.concatenate([camera(one)[..., ::-1].transpose(0, 3, 1, 2) for one in episodes])
        file["act"] = np.concatenate([[*column, column[-1]] for column in choices])
        file["reward"] = np.concatenate([np.append(_rewards(one), np.float32(0)) for one in episodes])
        file["colour"] = np.concatenate([_colour(one) for one in episodes])
        file["ends"] = np.cumsum([len(one) + 1 for one in episodes])
    said = {
        "ends": "ends",
        "frames": {"front": {"key": "obs", "layout": "TCHW", "channels": "bgr"}},
        "actions": {"move": {"key": "act", "kind": "discrete", "labels": list(labels)}},
        "rewards": "reward",
        "states": {"colour": "colour"},
        "fps": episodes[0].fps,
    }
    (folder / "mapping.yaml").write_text(yaml.safe_dump(said))
    spec = ActionSpec((Discrete("move", labels),))
    expected = [_as(one, {"move": column}, spec=spec) for one, column in zip(episodes, choices, strict=True)]
    options = SourceOptions(mapping=folder / "mapping.yaml")
    return SmallSet("HDF5, a mapping file", "hdf5", folder, expected, options=options)


def webdataset(episodes: Sequence[Episode], folder: Path) -> SmallSet:
    """Two shards, each sample a clip and a json of columns."""
    for number, episode in enumerate(episodes):
        clip = folder / "clip.mp4"
        _write_clip(clip, episode)
        columns = {
            "action": sentences(episode).tolist(),
            "reward": [float(value) for value in _rewards(episode)],
            "state.colour": [*map(list, _colour(episode).astype(float))],
        }
        columns["action"].append(None)
        columns["reward"].append(None)
        shard = folder / f"shard-{number * 2 // len(episodes):06d}.tar"
        with tarfile.open(shard, "a", format=tarfile.USTAR_FORMAT) as tar:
            for suffix, content in ((".mp4", clip.read_bytes()), (".json", json.dumps(columns).encode())):
                entry = tarfile.TarInfo(f"{number:06d}{suffix}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        clip.unlink()
    spec = ActionSpec((Discrete("action", choices_of(episodes[0].spec)), Language("text", describes="action")))
    expected = [_as(one, {"action": choice(one), "text": sentences(one)}, spec=spec) for one in episodes]
    return SmallSet("WebDataset", "webdataset", folder, expected)


def vpt(episodes: Sequence[Episode], folder: Path) -> SmallSet:
    """The first axes of the vector are keys that are held, the first two the mouse as well."""
    expected = []
    for number, episode in enumerate(episodes):
        _write_clip(folder / f"{number:04d}.mp4", episode)
        values = vector(episode)
        held = np.zeros((len(episode), len(KEYS)), np.int64)
        held[:, : min(values.shape[1], len(KEYS))] = values[:, : len(KEYS)] > 0.5
        way = np.round(np.stack([values[:, 0], values[:, min(1, values.shape[1] - 1)]], 1) * TURN)
        rows = [_tick(keys, dx, dy) for keys, (dx, dy) in zip(held, way.tolist(), strict=True)]
        text = "\n".join(json.dumps(row) for row in [*rows, rows[-1]])
        (folder / f"{number:04d}.jsonl").write_text(text + "\n")
        camera_way = (way * DEGREES_A_PIXEL).astype(np.float32)
        expected.append(_as(episode, {"keys": held, "camera": camera_way}, spec=SPEC))
    return SmallSet("VPT", "vpt", folder, expected, holds=())


def epic_kitchens(episodes: Sequence[Episode], folder: Path) -> SmallSet:
    narrated = _narrate(episodes, folder)
    expected = [_narrated(episodes[number], start, stop) for number, start, stop in narrated]
    return SmallSet("EPIC-KITCHENS, a narration each", "epic-kitchens", folder, expected, holds=())


def epic_kitchens_videos(episodes: Sequence[Episode], folder: Path) -> SmallSet:
    _narrate(episodes, folder)
    expected = [_narrated(episode, 0, len(episode)) for episode in episodes]
    title = "EPIC-KITCHENS, a video each"
    return SmallSet(title, "epic-kitchens-videos", folder, expected, named=True, holds=())


FOREIGN: dict[str, Callable[[Sequence[Episode], Path], SmallSet]] = {
    "lerobot-v2.1": lerobot_v21,
    "rlds": rlds,
    "hdf5-robomimic": robomimic,
    "hdf5-mapping": mapped_hdf5,
    "webdataset": webdataset,
    "vpt": vpt,
    "epic-kitchens": epic_kitchens,
    "epic-kitchens-videos": epic_kitchens_videos,
}


def _as(episode: Episode, columns: dict[str, Any], spec: ActionSpec | None = None) -> Episode:
    """The episode with its action in a format's columns; without a ``spec``, a vector and sentences."""
    if spec is None:
        wide = len(choices_of(episode.spec))
        vectors = Continuous("action", (-np.inf,) * wide, (np.inf,) * wide)
        spec = ActionSpec((vectors, *(Language(name, 4096) for name in columns if name != "action")))
    return replace(episode, actions=columns, spec=spec, infos={})


def _colour(episode: Episode) -> np.ndarray:
    return episode.states["colour"]


def _rewards(episode: Episode) -> np.ndarray:
    assert episode.rewards is not None
    return episode.rewards


def _padded(rows: np.ndarray) -> np.ndarray:
    """A row a frame: the last action leads nowhere."""
    return np.concatenate([rows, rows[-1:]])


def _write_clip(path: Path, episode: Episode) -> None:
    with VideoWriter(path, episode.fps) as video:
        video.write(camera(episode))


def _tick(held: np.ndarray, dx: float, dy: float) -> dict[str, Any]:
    names = [name for name, down in zip(KEYS, held, strict=True) if down]
    keys = [name for name in names if name.startswith("key.")]
    buttons = [int(name.removeprefix("mouse.")) for name in names if name.startswith("mouse.")]
    mouse = {"dx": dx, "dy": dy, "buttons": buttons, "newButtons": []}
    return {"mouse": mouse, "keyboard": {"keys": keys, "newKeys": [], "chars": ""}, "isGuiOpen": False}


def _narrate(episodes: Sequence[Episode], folder: Path) -> list[tuple[int, int, int]]:
    """Writes videos and the csv; a narration for every run of one choice: its episode, first and last frame."""
    videos, labels = folder / "videos", choices_of(episodes[0].spec)
    narrations: list[tuple[int, int, int]] = []
    rows: list[list[Any]] = []
    for number, episode in enumerate(episodes):
        video_id = f"P01_{number:02d}"
        _write_clip(videos / f"{video_id}.MP4", episode)
        for start, stop in _runs(choice(episode)):
            code = int(choice(episode)[start])
            times = [_clock(frame / episode.fps) for frame in (start, stop)]
            name = f"{video_id}_{len(narrations)}"
            rows.append([name, "P01", video_id, *times, labels[code], labels[code].split()[0], code, "room", 0])
            narrations.append((number, start, stop))
    header = "narration_id,participant_id,video_id,start_timestamp,stop_timestamp,narration,verb,verb_class,noun"
    with (folder / "EPIC_train.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow([*header.split(","), "noun_class"])
        table.writerows(rows)
    with (folder / "EPIC_verb_classes.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "key"])
        table.writerows(enumerate(labels))
    return narrations


def _narrated(episode: Episode, start: int, stop: int) -> Episode:
    labels = choices_of(episode.spec)
    spec = ActionSpec((Language("narration"), Discrete("verb", labels)))
    columns = {"narration": sentences(episode)[start:stop], "verb": choice(episode)[start:stop]}
    frames = {"head": camera(episode)[start : stop + 1]}
    return Episode(frames, columns, spec, episode.fps)


def _runs(values: np.ndarray) -> Iterator[tuple[int, int]]:
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    yield from itertools.pairwise(edges)


def _clock(seconds: float) -> str:
    return f"{int(seconds // 3600):02d}:{int(seconds // 60 % 60):02d}:{seconds % 60:06.3f}"
