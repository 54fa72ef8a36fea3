"""The same episodes in other formats, as sources that a :class:`WindowLoader` reads windows from: each with the library
that the format's users have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from slowfast.actions import Columns
from slowfast.datasets import mp4
from slowfast.datasets.store import Store


class Borrowed:
    """A source whose episode i shows what episode ``i % distinct`` of the format's files shows. Actions are those of
    ``store``: what is compared is frames."""

    key = "frames"

    def __init__(self, store: Store, distinct: int) -> None:
        self.store, self.distinct = store, distinct
        self.spec, self.lengths = store.spec, store.lengths

    def __len__(self) -> int:
        return len(self.store)

    def shape(self, i: int) -> tuple[int, ...]:
        return self.store.shape(i)

    def actions(self, i: int) -> Columns:
        return self.store.actions(i)

    def metadata(self, i: int) -> dict[str, Any]:
        return self.store.metadata(i)


class VideoFiles(Borrowed):
    """An mp4 an episode: opened, sought and decoded with PyAV for every window."""

    def __init__(self, store: Store, files: list[Path], fps: float) -> None:
        super().__init__(store, len(files))
        self.files, self.fps = files, fps

    def read(self, i: int, start: int, stop: int) -> np.ndarray:
        return mp4.read_window(self.files[i % self.distinct], start, stop, self.fps, self.shape(i)[:2])


class LeRobotVideos(Borrowed):
    """LeRobot v3.0: many episodes in one mp4, read as LeRobot does with PyAV: opened anew for every window, sought by
    the episode's place in the file."""

    def __init__(self, store: Store, folder: Path, fps: float) -> None:
        import pyarrow.parquet as pq

        (camera,) = (path.name for path in (folder / "videos").iterdir())
        key = f"videos/{camera}"
        table = pq.read_table(folder / "meta/episodes").to_pydict()
        super().__init__(store, len(table["length"]))
        self.fps = fps
        self.first = [round(start * fps) for start in table[f"{key}/from_timestamp"]]
        places = zip(table[f"{key}/chunk_index"], table[f"{key}/file_index"], strict=True)
        self.files = [folder / key / f"chunk-{chunk:03d}/file-{file:03d}.mp4" for chunk, file in places]

    def read(self, i: int, start: int, stop: int) -> np.ndarray:
        first = self.first[i % self.distinct]
        file, size = self.files[i % self.distinct], self.shape(i)[:2]
        return mp4.read_window(file, first + start, first + stop, self.fps, size)


class MinariEpisodes(Borrowed):
    """Minari: it reads an episode as a whole, of which a window is cut."""

    def __init__(self, store: Store, folder: Path) -> None:
        import minari

        self.dataset = minari.MinariDataset(folder / "data")
        super().__init__(store, len(self.dataset))

    def read(self, i: int, start: int, stop: int) -> np.ndarray:
        frames: np.ndarray = self.dataset[i % self.distinct].observations
        return frames[start:stop]
