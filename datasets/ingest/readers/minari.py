"""Minari data sets whose observations are or hold pictures, from its HDF5, Arrow and Parquet files."""

from __future__ import annotations

import functools
import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.readers.json_files import read_json
from slowfast.datasets.ingest.readers.minari_spaces import action_parts, cameras, check_sizes, leaves
from slowfast.datasets.ingest.readers.minari_storage import MinariStore, StoredEpisode
from slowfast.datasets.ingest.recording import Recording

METADATA = "metadata.json"
ASSUMED_FPS = 10.0
MAX_EPISODES = 2**24


def detect(path: Path) -> bool:
    for folder in (path / "data", path):
        if (folder / METADATA).is_file():
            with (folder / METADATA).open("rb") as file:
                start = file.read(2**16)
            return b'"data_format"' in start and b'"total_episodes"' in start
    return False


class MinariEpisodes:
    """A folder of a Minari data set, or the name of one under ``MINARI_DATASETS_PATH``; an episode is a recording.

    The spec is that of the action space. Cameras are the parts of the observation space that are pictures, states its
    other numeric parts; a text that stays the same is the instruction. ``options``: ``cameras`` are keys of the
    observation space, joined by dots ("observation" where it has no parts); ``labels`` name a single action's choices
    or axes; ``fps`` stands against what the environment says of itself.
    """

    def __init__(self, source: str | Path, options: SourceOptions) -> None:
        self._source, self._options = source, options
        folder = _data_folder(source)
        self._metadata, opened = _opened(folder)
        self._episodes, self._environment = opened.total_episodes, opened.env_spec
        self._store = MinariStore(folder, opened.storage.FORMAT)
        observed = list(leaves(opened.observation_space))
        self._cameras = cameras(observed, options.cameras, str(folder))
        self._states = [leaf for leaf in observed if leaf.state and leaf not in self._cameras]
        self._texts = [leaf for leaf in observed if leaf.space.shape is None]
        self._left_out = [leaf for leaf in observed if leaf not in (*self._cameras, *self._states, *self._texts)]
        self.spec, self._actions = action_parts(opened.action_space, options.labels, str(folder))
        self._fps, self._fps_from = _frame_rate(options.fps, self._environment)

    def __len__(self) -> int:
        return int(self._episodes)

    def name(self, i: int) -> str:
        return f"episode {i}"

    def read(self, i: int) -> Recording:
        name, where = self.name(i), f"{self._store.folder}: {self.name(i)}"
        with self._store.episode(i) as episode:
            rewards = episode.outcome("rewards").astype(np.float32)
            count = len(rewards) + 1
            if not np.isfinite(rewards).all():
                raise DatasetError(f"{where}: rewards that are not finite; expected a number a step")
            for camera in self._cameras:
                if episode.count(camera) != count:
                    said = f"{episode.count(camera)} pictures of {camera.name('observation')!r}"
                    raise DatasetError(f"{where}: {said}; {count - 1} steps need {count}")
            columns = {part.leaf.path: episode.values("actions", part.leaf) for part in self._actions}
            infos = {key: rows for key, rows in episode.infos().items() if len(rows) == count}
            return Recording(
                name=name,
                times=np.arange(count) / self._fps,
                frames={
                    camera.name("observation"): functools.partial(self._store.frames, i, camera)
                    for camera in self._cameras
                },
                actions={part.name: part.column(self.spec, columns[part.leaf.path], where) for part in self._actions},
                spec=self.spec,
                rewards=rewards,
                terminations=episode.outcome("terminations").astype(np.bool_),
                truncations=episode.outcome("truncations").astype(np.bool_),
                states={
                    leaf.name("observation"): np.asarray(episode.values("observations", leaf), np.float32)
                    for leaf in self._states
                },
                infos=infos,
                metadata=self._of_episode(i, episode),
            )

    def facts(self) -> dict[str, Any]:
        kept = ", ".join(self._encoded())
        found = {
            "data set": self._metadata.get("dataset_id"),
            "version": f"Minari {self._metadata.get('minari_version')}, {self._store.kind}",
            "environment": None if self._environment is None else self._environment.id,
            "episodes": len(self),
            "steps": self._metadata.get("total_steps"),
            "cameras": ", ".join(leaf.name("observation") for leaf in self._cameras),
            "loss": f"{kept}: stored as JPEG, which lost some detail when it was written" if kept else None,
            "fps": f"{self._fps:g} ({self._fps_from})",
            "states": ", ".join(leaf.name("observation") for leaf in self._states),
            "licence": self._licence(),
            "left out": ", ".join(leaf.name("observation") for leaf in self._left_out),
        }
        return {key: value for key, value in found.items() if value not in (None, "")}

    def __reduce__(self) -> tuple[Any, ...]:
        return MinariEpisodes, (self._source, self._options)

    def _encoded(self) -> list[str]:
        """The cameras whose pictures are JPEG in the first episode that can be opened."""
        for i in range(min(len(self), 8)):
            with suppress(DatasetError), self._store.episode(i) as episode:
                return [leaf.name("observation") for leaf in self._cameras if episode.encoded(leaf)]
        return []

    def _of_episode(self, i: int, episode: StoredEpisode) -> dict[str, Any]:
        texts = [set(episode.values("observations", leaf)) for leaf in self._texts]
        said = [text.pop() for text in texts if len(text) == 1]
        found = {
            "source": self._metadata.get("dataset_id"),
            "episode": i,
            "environment": None if self._environment is None else self._environment.id,
            "seed": episode.seed(),
            "policy": self._metadata.get("algorithm_name"),
            "licence": self._licence(),
            "instruction": said[0] if len(said) == 1 else None,
        }
        return {key: value for key, value in found.items() if value not in (None, "")}

    def _licence(self) -> str | None:
        found = self._metadata.get("license") or self._metadata.get("licence")
        return None if found is None else str(found)


def _data_folder(source: str | Path) -> Path:
    path = Path(source)
    for folder in (path / "data", path):
        if (folder / METADATA).is_file():
            return folder
    if path.exists():
        raise DatasetError(f"{path}: no {METADATA} and no data/{METADATA}; a Minari data set is a folder with one")
    from minari.dataset.minari_dataset import parse_dataset_id
    from minari.storage.datasets_root_dir import get_dataset_path

    try:
        parse_dataset_id(str(source))
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{source}: no such folder, and no name of a Minari data set (world/name-v0)") from error
    folder = get_dataset_path(str(source)) / "data"
    if not (folder / METADATA).is_file():
        raise DatasetError(f"{source}: no such data set at {folder.parent}; `minari download {source}` fetches one")
    return folder


def _opened(folder: Path) -> tuple[dict[str, Any], Any]:
    """The metadata and minari's data set. Raises :class:`DatasetError`."""
    from minari import MinariDataset

    path = folder / METADATA
    metadata = read_json(path)
    count = metadata.get("total_episodes")
    if not isinstance(count, int) or not 0 <= count <= MAX_EPISODES:
        raise DatasetError(f"{path}: 'total_episodes' is {str(count)[:40]}; expected 0 to {MAX_EPISODES:,}")
    for key in ("observation_space", "action_space"):
        # without them minari would build the environment, whose code the file may name
        if not isinstance(metadata.get(key), str):
            raise DatasetError(f"{path}: no {key!r}; write the data set anew with a current version of minari")
    try:
        for key in ("observation_space", "action_space"):
            check_sizes(json.loads(metadata[key]), f"{path}: {key}")
        return metadata, MinariDataset(str(folder))
    except DatasetError:
        raise
    except Exception as error:  # it asserts, and raises what its parts raise
        said = str(error).splitlines()[0][:300] if str(error) else repr(error)
        raise DatasetError(f"{path}: minari cannot open the data set: {said}") from error


def _frame_rate(asked: float | None, environment: Any) -> tuple[float, str]:
    """Frames a second, and who says so."""
    if asked is not None:
        if not (math.isfinite(asked) and asked > 0):
            raise DatasetError(f"fps has to be above 0, got {asked}")
        return float(asked), "as asked for"
    found = None if environment is None else _render_fps(environment.id)
    if found is not None:
        return found, f"render_fps of {environment.id}"
    return ASSUMED_FPS, "assumed: the data set does not say it; --options.fps does"


def _render_fps(name: str) -> float | None:
    """What an installed environment of this name says; nothing that the data set names is imported."""
    import gymnasium
    from gymnasium.envs.registration import load_env_creator

    known = gymnasium.registry.get(name)
    if known is None:
        return None
    try:
        creator = load_env_creator(known.entry_point) if isinstance(known.entry_point, str) else known.entry_point
        fps = float(getattr(creator, "metadata", {})["render_fps"])
    except Exception:  # another package's import, which may fail in any way
        return None
    return fps if math.isfinite(fps) and fps > 0 else None
