"""Minecraft recordings as OpenAI published for VPT: NAME.mp4, and NAME.jsonl with what was pressed at every frame.

Row t of the jsonl was recorded at frame t and leads to frame t+1. Keys become a keyboard component ``keys``, the
mouse's way becomes degrees in a continuous component ``camera``. While a menu is open (info ``gui_open``) the mouse
moves a pointer and turns nothing; its way is kept in the same unit.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from slowfast.actions import ActionSpec, Continuous, Keyboard
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.recording import Recording
from slowfast.datasets.ingest.video import frame_times, read_frames

KEYS = {
    "key.keyboard.w": "forward",
    "key.keyboard.s": "back",
    "key.keyboard.a": "left",
    "key.keyboard.d": "right",
    "key.keyboard.space": "jump",
    "key.keyboard.left.shift": "sneak",
    "key.keyboard.left.control": "sprint",
    "key.keyboard.e": "inventory",
    "key.keyboard.q": "drop",
    "key.keyboard.f": "swap hands",
    "mouse.0": "attack",
    "mouse.1": "use",
    "mouse.2": "pick",
    **{f"key.keyboard.{number}": f"hotbar.{number}" for number in range(1, 10)},
}
"""The game's default bindings: what the recorder calls a key, and what it does."""

ESCAPE = "key.keyboard.escape"
DEGREES_A_PIXEL = 360 / 2400
"""The game's mouse sensitivity in the published recordings."""
MOST_DEGREES = 180.0
"""A longer way within one tick (1200 pixels in 50 ms) is the pointer being set, not a hand; it is clamped."""
SLACK = 5
"""Rows by which the jsonl may be longer or shorter than the video; the recorder stops the two one after the other."""
LONGEST_LINE = 2**24
MOST_ROWS = 2**19
"""7 hours; the published recordings have 20 minutes at most."""
SURVEYED = 3

SPEC = ActionSpec(
    (
        Keyboard("keys", tuple(KEYS.values())),
        Continuous(
            "camera",
            (-MOST_DEGREES,) * 2,
            (MOST_DEGREES,) * 2,
            ("right (degrees)", "down (degrees)"),
        ),
    )
)


class VptFolder:
    """All pairs of NAME.mp4 and NAME.jsonl below a folder; ``Reader`` of the format ``vpt``.

    Raises :class:`DatasetError` where there is none. A recording whose other half is missing, or whose jsonl differs
    by more than 5 rows from the video, raises it when it is read; fewer are cut off at the end and noted in the
    metadata, as are rows in which the attack button was stuck from the start, and clamped mouse ways.
    """

    spec = SPEC

    def __init__(self, source: str | Path, options: SourceOptions) -> None:
        self.folder = Path(source)
        if not self.folder.is_dir():
            raise DatasetError(f"{source}: expected a folder of NAME.mp4 with NAME.jsonl")
        found = itertools.chain(self.folder.rglob("*.mp4"), self.folder.rglob("*.jsonl"))
        self.names = sorted({path.relative_to(self.folder).with_suffix("").as_posix() for path in found})
        if not self.names:
            raise DatasetError(f"{source}: holds no NAME.mp4 with NAME.jsonl")

    def __len__(self) -> int:
        return len(self.names)

    def name(self, i: int) -> str:
        return self.names[i]

    def read(self, i: int) -> Recording:
        name = self.names[i]
        video, table = (self.folder / f"{name}{suffix}" for suffix in (".mp4", ".jsonl"))
        for half, what in ((video, "video"), (table, "keys")):
            if not half.is_file():
                raise DatasetError(f"{name}: no {what} ({half.name}) beside its other half")
        times, rows = frame_times(video), read_rows(table)
        count = min(len(times), len(rows.camera))
        notes: dict[str, Any] = dict(rows.notes)
        if len(rows.camera) != len(times):
            said = f"{len(rows.camera)} rows in {table.name} for {len(times)} frames in {video.name}"
            if abs(len(rows.camera) - len(times)) > SLACK:
                raise DatasetError(f"{name}: {said}; at most {SLACK} are cut off at the end")
            notes["trimmed"] = f"{said}; the longer one was cut off at the end"
        return Recording(
            name,
            times[:count],
            {"screen": partial(read_frames, video, 0.0, count)},
            {"keys": rows.keys[: count - 1], "camera": rows.camera[: count - 1]},
            SPEC,
            infos={info: column[:count] for info, column in rows.infos.items()},
            metadata={"environment": "Minecraft", **notes},
        )

    def facts(self) -> dict[str, Any]:
        unmapped: Counter[str] = Counter()
        surveyed = 0
        for name in self.names[:SURVEYED]:
            try:
                unmapped.update(read_rows(self.folder / f"{name}.jsonl").notes.get("unmapped_keys", {}))
                surveyed += 1
            except DatasetError:  # the recording itself is reported when it is read
                continue
        keys = ", ".join(f"{key} ({count} rows)" for key, count in unmapped.most_common(10)) or "none"
        return {"cameras": "screen", f"unmapped keys in the first {surveyed}": keys}


@dataclass
class Rows:
    """R rows of a jsonl as columns: ``keys`` ``int64 [R, k]``, ``camera`` ``float32 [R, 2]`` in degrees, ``infos``
    ``[R, ...]``; ``notes``: what was changed or left out, JSON-compatible."""

    keys: np.ndarray
    camera: np.ndarray
    infos: dict[str, np.ndarray]
    notes: dict[str, Any]


def read_rows(path: Path) -> Rows:
    """Raises :class:`DatasetError` naming the line and the field that is missing or of the wrong kind."""
    ticks: list[_Tick] = []
    for line, row in _parsed(path):
        try:
            ticks.append(_tick(row))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise DatasetError(
                f"{path}: line {line}: expected keyboard.keys, mouse.buttons, mouse.dx and mouse.dy ({error!r:.200})"
            ) from None
        if len(ticks) > MOST_ROWS:
            raise DatasetError(f"{path}: more than {MOST_ROWS:,} rows; cut it into parts")
    if len(ticks) < 2:
        raise DatasetError(f"{path}: holds {len(ticks)} rows; an episode needs at least 2")
    keys = np.array([tick.keys for tick in ticks], np.int64)
    _select_by_wheel(keys, [tick.slot for tick in ticks])
    camera = np.array([tick.way for tick in ticks]) * DEGREES_A_PIXEL
    unmapped = Counter(key for tick in ticks for key in tick.unmapped)
    notes = {
        "unmapped_keys": dict(unmapped.most_common(20)),
        "stuck_attack_rows": _release_stuck_attack(keys, [tick.new_buttons for tick in ticks]),
        "clamped_mouse_rows": int((np.abs(camera) > MOST_DEGREES).any(1).sum()),
    }
    infos = {"gui_open": np.array([tick.gui_open for tick in ticks])}
    if all(tick.place is not None for tick in ticks):
        places = np.array([tick.place for tick in ticks])
        infos |= {"position": places[:, :3], "view": places[:, 3:]}
    return Rows(
        keys,
        camera.clip(-MOST_DEGREES, MOST_DEGREES).astype(np.float32),
        infos,
        {name: note for name, note in notes.items() if note},
    )


def detect(path: Path) -> bool:
    """A folder with an mp4 that has a jsonl of the same name, whose first row speaks of keyboard and mouse."""
    if not path.is_dir():
        return False
    for table in itertools.islice(path.rglob("*.jsonl"), 20):
        if table.with_suffix(".mp4").is_file():
            with table.open("rb") as file:
                start = file.read(4096)
            return b'"keyboard"' in start and b'"mouse"' in start
    return False


def _parsed(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers (from 1) and objects; blank lines are passed over."""
    try:
        with path.open("rb") as file:
            for line in itertools.count(1):
                text = file.readline(LONGEST_LINE)
                if not text:
                    return
                if len(text) == LONGEST_LINE:
                    raise DatasetError(f"{path}: line {line} is longer than {LONGEST_LINE:,} bytes")
                if not text.strip():
                    continue
                try:
                    row = json.loads(text)
                except (ValueError, RecursionError) as error:
                    raise DatasetError(f"{path}: line {line} is no JSON ({error}); the file is cut off") from None
                if not isinstance(row, dict):
                    raise DatasetError(f"{path}: line {line}: expected a JSON object, got {type(row).__name__}")
                yield line, row
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error})") from None


@dataclass(frozen=True, slots=True)
class _Tick:
    """``keys``: held or not, in the order of ``KEYS``. ``way``: the mouse's, in pixels. ``slot``: the hotbar's, 0 to 8,
    ``place``: x, y, z in blocks, yaw and pitch in degrees; some releases are stripped of these two."""

    keys: list[bool]
    unmapped: list[str]
    way: tuple[float, float]
    new_buttons: list[Any]
    gui_open: bool
    slot: int | None
    place: tuple[float, ...] | None


def _tick(row: dict[str, Any]) -> _Tick:
    mouse, gui_open, slot = row["mouse"], bool(row.get("isGuiOpen", False)), row.get("hotbar")
    held = [*_list(row["keyboard"]["keys"]), *(f"mouse.{int(button)}" for button in _list(mouse["buttons"]))]
    if gui_open:  # escape closes a menu, as the inventory's key does
        held = ["key.keyboard.e" if key == ESCAPE else key for key in held]
    if slot not in (None, *range(9)):
        raise ValueError(f"hotbar is {slot!r}, expected 0 to 8")
    names = ("xpos", "ypos", "zpos", "yaw", "pitch")
    return _Tick(
        [key in held for key in KEYS],
        [str(key)[:64] for key in held if key not in KEYS],
        (_number(mouse["dx"]), _number(mouse["dy"])),
        _list(mouse.get("newButtons", [])),
        gui_open,
        None if slot is None else int(slot),
        tuple(_number(row[name]) for name in names) if all(name in row for name in names) else None,
    )


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r:.50} is no list")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(float(value)):
        raise ValueError(f"{value!r:.50} is no number")
    return float(value)


def _select_by_wheel(keys: np.ndarray, hotbar: list[int | None]) -> None:
    """The mouse wheel is not recorded, only the slot that it chose: the slot's key stands for it."""
    first = list(KEYS.values()).index("hotbar.1")
    for t, (before, now) in enumerate(itertools.pairwise(hotbar), 1):
        if now is not None and before is not None and now != before:
            keys[t, first + now] = 1


def _release_stuck_attack(keys: np.ndarray, new_buttons: list[list[Any]]) -> int:
    """Some recordings begin with attack held that nobody holds, until it is really pressed. How many rows had it."""
    if new_buttons[0] != [0]:
        return 0
    attack = list(KEYS.values()).index("attack")
    until = next((t for t, new in enumerate(new_buttons) if t > 0 and 0 in new), len(keys))
    stuck = int(keys[:until, attack].sum())
    keys[:until, attack] = 0
    return stuck
