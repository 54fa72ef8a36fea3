"""The files in and around ``meta/`` of a LeRobot folder, read with suspicion: info.json, tasks, the licence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.readers.json_files import lines, read_json
from slowfast.datasets.ingest.readers.parquet_rows import ParquetRows, numbers, texts

INFO = "meta/info.json"


def read_info(root: Path) -> dict[str, Any]:
    """``meta/info.json``. Raises :class:`DatasetError` where there is none."""
    if not (root / INFO).is_file():
        raise DatasetError(f"{root}: no {INFO}; a LeRobot data set needs one")
    return read_json(root / INFO)


def inside(root: Path, relative: str) -> Path:
    """A path of the source below ``root``. By its words, not by where links lead: a hub's cache is made of links."""
    path = PurePosixPath(relative)
    if path.is_absolute() or ".." in path.parts or "\\" in relative or "\0" in relative or not path.parts:
        raise DatasetError(f"{root}: the path {relative!r} climbs out of the data set's folder; it is not followed")
    return root / path


def stats_lines(root: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of v2.1's table of statistics an episode; nothing where there is none."""
    path = root / "meta/episodes_stats.jsonl"
    return lines(path) if path.is_file() else iter(())


def tasks_v2(root: Path) -> dict[int, str]:
    path = root / "meta/tasks.jsonl"
    tasks = {}
    for number, row in lines(path) if path.is_file() else ():
        if not (whole(row.get("task_index")) and isinstance(row.get("task"), str)):
            raise DatasetError(f"{path}: line {number}: expected 'task_index', a whole number, and 'task', a text")
        tasks[row["task_index"]] = row["task"]
    return tasks


def tasks_v3(root: Path) -> dict[int, str]:
    """The text is the index of a pandas table: a column of its own, under the index's name or pandas' for none."""
    path = root / "meta/tasks.parquet"
    if not path.is_file():
        return {}
    file = ParquetRows(path)
    names = [name for name in ("task", "__index_level_0__") if name in file.columns]
    names += [name for name in file.columns if name != "task_index"]
    table = file.read(0, len(file), list(dict.fromkeys([*names[:1], "task_index"])))
    file.close()
    if not names:
        raise DatasetError(f"{path}: has no column but 'task_index'; expected the tasks' texts in a column 'task'")
    codes = numbers(table, "task_index", (), str(path)).tolist()
    return dict(zip(codes, texts(table, names[0], str(path)), strict=True))


def read_licence(root: Path, info: dict[str, Any]) -> str | None:
    """As info.json or the front matter of README.md has it."""
    return _licence(info) or _licence(_front_matter(root / "README.md"))


def _licence(fields: dict[str, Any]) -> str | None:
    found = fields.get("license") or fields.get("licence")
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found) if found else None


def _front_matter(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(2**16).decode("utf-8", "replace")
        found = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
        fields = yaml.safe_load(found[1]) if found else {}
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return fields if isinstance(fields, dict) else {}


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62
