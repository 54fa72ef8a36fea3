"""The csv of EPIC-KITCHENS: a narration a row, from when to when, in which video; and what its verbs are called."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from slowfast.datasets.episode import DatasetError

COLUMNS = ("narration_id", "video_id", "start_timestamp", "stop_timestamp", "narration")
NOTED = ("participant_id", "verb", "noun", "noun_class", "all_nouns")
"""Columns that go into a recording's metadata, where the csv has them."""
MAX_CLASSES = 4096
TIME = re.compile(r"(\d{1,3}):([0-5]?\d):([0-5]?\d(?:\.\d{1,9})?)", re.ASCII)
CLASS = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class Narration:
    """A row of the csv, by column; ``where`` names its line. A cell that is missing is empty, and an error when it is
    asked for, so that one bad row takes no other with it. ``whole``: it has as many cells as the header; the last cell
    of a row that is cut off may be half of what it was."""

    where: str
    cells: dict[str, str]
    whole: bool = True

    @property
    def text(self) -> str:
        return self._cell("narration")

    @property
    def video_id(self) -> str:
        return self._cell("video_id")

    @property
    def verb_class(self) -> int | None:
        cell = self.cells["verb_class"]
        return int(cell) if CLASS.fullmatch(cell) else None

    @property
    def notes(self) -> dict[str, str]:
        return {column: self.cells[column] for column in NOTED if self.cells[column]}

    def times(self) -> tuple[float, float]:
        """Start and stop in seconds. Raises :class:`DatasetError` naming the line and column."""
        if not self.whole:
            raise DatasetError(f"{self.where}: has fewer cells than the header; the row is cut off")
        start, stop = (self._seconds(column) for column in ("start_timestamp", "stop_timestamp"))
        if stop <= start:
            raise DatasetError(f"{self.where}: stops at {stop:g} s and starts at {start:g} s")
        return start, stop

    def _seconds(self, column: str) -> float:
        found = TIME.fullmatch(self.cells[column].strip())
        if not found:
            raise DatasetError(f"{self.where}: {column} is {self.cells[column]!r:.50}, expected HH:MM:SS.cc")
        hours, minutes, seconds = found.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)

    def _cell(self, column: str) -> str:
        if not self.cells[column]:
            raise DatasetError(f"{self.where}: no {column}; the row is cut off")
        return self.cells[column]


def read_narrations(table: Path) -> Iterator[Narration]:
    """Raises :class:`DatasetError` for a file that is no csv, or has not the columns."""
    for line, cells in _rows(table, COLUMNS):
        named = (*COLUMNS, *NOTED, "verb_class")
        whole = None not in cells.values()
        yield Narration(f"{table.name} line {line}", {name: cells.get(name) or "" for name in named}, whole)


def find_annotations(folder: Path) -> Path:
    """The one csv in a folder, or a folder in it, that has the columns. Raises :class:`DatasetError`."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such file or folder")
    found = [path for path in csv_files(folder) if is_annotations(path)]
    if len(found) == 1:
        return found[0]
    said = ", ".join(str(path.relative_to(folder)) for path in found[:5])
    raise DatasetError(
        f"{folder}: {f'several annotations ({said})' if found else 'no csv with ' + ', '.join(COLUMNS)}; "
        "name one with --options.annotations"
    )


def csv_files(folder: Path) -> list[Path]:
    """Those in a folder and one folder down, at most 1000."""
    return sorted(itertools.islice(itertools.chain(folder.glob("*.csv"), folder.glob("*/*.csv")), 1000))


def is_annotations(path: Path) -> bool:
    """Whether a csv's first line has the columns."""
    try:
        with path.open("rb") as file:
            header = next(csv.reader([file.readline(4096).decode("utf-8-sig")]), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return set(COLUMNS) <= set(header)


def verb_labels(narrations: Sequence[Narration], table: Path) -> tuple[str, ...]:
    """A label a class, in the classes' order: from the csv of verb classes beside ``table``, else the commonest verb of
    each class. Raises :class:`DatasetError` where no row has a class, or a class is beyond 4095."""
    names = _class_names(table)
    if not names:
        counts: dict[int, Counter[str]] = defaultdict(Counter)
        for narration in narrations:
            if narration.verb_class is not None:
                counts[narration.verb_class][narration.cells["verb"]] += 1
        names = {code: min(verbs, key=lambda verb: (-verbs[verb], verb)) for code, verbs in counts.items()}
    if not names:
        raise DatasetError(f"{table}: no row has a number in verb_class; take --options.action narration")
    if max(names) >= MAX_CLASSES:
        raise DatasetError(f"{table}: verb_class goes to {max(names)}; at most {MAX_CLASSES} classes are read")
    labels = [names.get(code, "") or f"class {code}" for code in range(max(names) + 1)]
    same = Counter(labels)
    return tuple(label if same[label] == 1 else f"{label} ({code})" for code, label in enumerate(labels))


def _class_names(table: Path) -> dict[int, str]:
    names: dict[int, str] = {}
    for classes in sorted(table.parent.glob("*verb_classes*.csv"))[:1]:
        for line, cells in _rows(classes, ("id", "key")):
            code, verb = cells["id"] or "", cells["key"]
            if not CLASS.fullmatch(code) or not verb:
                raise DatasetError(f"{classes}: line {line}: expected a number and a verb, got {code!r:.20}")
            names[int(code)] = verb
    return names


def _rows(table: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Lines, counted as an editor does, and their cells by column."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            header = rows.fieldnames or []
            if missing := [name for name in columns if name not in header]:
                has = ", ".join(header)[:200] or "none"
                raise DatasetError(f"{table}: no column {', '.join(missing)}; it has {has}")
            for row in rows:
                yield rows.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{table}: cannot be read as csv ({error})") from None
