"""RLDS-style data: episodes, each a dictionary whose ``steps`` are dictionaries, from anything that Python can iterate.

A source is ``module:function`` (a function without arguments that returns the episodes, or a reader that
:func:`from_steps` made), ``tfds:NAME`` as ``tensorflow_datasets`` has it, or a folder that it wrote. For an iterable
that can be read only once there is :func:`slowfast.datasets.ingest.steps.ingest_steps`.

The few lines that call ``tensorflow_datasets`` were tested against a stand-in, not against the package itself.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any

from slowfast.actions import ActionSpec
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.readers.rlds_steps import (
    StepLayout,
    StepSettings,
    read_steps,
    recording_of,
    spec_of,
)
from slowfast.datasets.ingest.recording import Reader, Recording

Episodes = Iterable[Mapping[str, Any]]
TFDS = "tfds:"


def open_rlds(source: str | Path, options: SourceOptions) -> Reader:
    """The ``Reader`` of the format ``rlds``.

    Options: ``fps`` (needed; steps carry no times), ``cameras`` (image keys), ``action``, ``labels``. Raises
    :class:`DatasetError` for a source that is none of the three, ImportError where ``tensorflow_datasets`` is needed
    and missing.
    """
    source = str(source)
    if source.startswith(TFDS) or Path(source).exists():
        episodes: Any = _TfdsEpisodes(source)
    else:
        episodes = _function(source)
        made = _called(episodes, source)
        if hasattr(made, "read") and hasattr(made, "spec"):
            if options != SourceOptions():
                raise DatasetError(f"{source}: returns a reader, which has its settings already; give it no options")
            return made
    if options.fps is None:
        raise DatasetError(f"{source}: RLDS steps carry no times; give --options.fps, frames a second")
    settings = StepSettings(options.fps, options.cameras, options.action or "action", options.labels)
    return StepsReader(episodes, settings, source)


def from_steps(
    episodes: Episodes | Callable[[], Episodes],
    *,
    fps: float,
    image_keys: Sequence[str] = (),
    action: str = "action",
    labels: Sequence[str] = (),
    spec: ActionSpec | None = None,
) -> StepsReader:
    """A ``Reader`` of episodes that can be iterated again and again, or of a function that returns them anew.

    Steps hold ``observation`` (pictures ``uint8 [H, W, 3]``, PNG or JPEG bytes, vectors; nested as you like),
    ``action`` (a vector, a number, text, or a dictionary of these), ``reward``, ``is_first``, ``is_last``,
    ``is_terminal``, ``language_instruction``; all but pictures and action may be missing. The settings are those of
    :class:`~slowfast.datasets.ingest.readers.rlds_steps.StepSettings`. Raises :class:`DatasetError` for an iterator,
    and where no episode can be read.
    """
    return StepsReader(episodes, StepSettings(fps, tuple(image_keys), action, tuple(labels), spec), "episodes")


class StepsReader:
    """Recordings one after another: reading them in order passes over the episodes once."""

    def __init__(self, episodes: Episodes | Callable[[], Episodes], settings: StepSettings, source: str) -> None:
        if _is_iterator(episodes):
            raise DatasetError(f"{source}: an iterator can be read only once; pass a function, or use ingest_steps")
        self.settings, self.source = settings, source
        self._episodes = episodes
        found = self._opened()
        self._count = len(found) if isinstance(found, Sized) else sum(1 for _ in self._guarded(found))
        self._iterator: Iterator[Any] = iter(())
        self._next = self._count
        self.layout, self.spec = self._first()
        self._forget()

    def __len__(self) -> int:
        return self._count

    def name(self, i: int) -> str:
        return f"episode {i}"

    def read(self, i: int) -> Recording:
        steps = read_steps(self._episode(i), self.layout, self.settings, self.name(i))
        return recording_of(steps, self.spec, self.settings, self.name(i))

    def facts(self) -> dict[str, Any]:
        return {"cameras": ", ".join(self.layout.cameras), "states": ", ".join(self.layout.states) or "none"}

    def _first(self) -> tuple[StepLayout, ActionSpec]:
        """By the first episode that can be read."""
        failed: DatasetError | None = None
        for i in range(self._count):
            try:
                episode = self._episode(i)
                inner = episode.get("steps") if isinstance(episode, Mapping) else None
                if isinstance(self._episodes, Sequence) and _is_iterator(inner):
                    raise DatasetError(f"{self.name(i)}: its steps can be read only once; pass lists, or a function")
                steps = read_steps(episode, None, self.settings, self.name(i), pictures=False)
                return steps.layout, spec_of(steps, self.settings, self.name(i))
            except DatasetError as error:
                failed = failed or error
        raise failed or DatasetError(f"{self.source}: no episodes")

    def _episode(self, i: int) -> Any:
        if isinstance(self._episodes, Sequence):
            return self._episodes[i]
        if i < self._next:
            self._iterator, self._next = self._guarded(self._opened()), 0
        try:
            for episode in self._iterator:
                self._next += 1
                if self._next > i:
                    return episode
            said = f"ends after {self._next} episodes; it had {self._count}"
            raise DatasetError(f"{self.name(i)}: {self.source} {said}")
        except DatasetError:
            self._forget()
            raise

    def _forget(self) -> None:
        """The next episode that is asked for begins a new pass."""
        self._iterator, self._next = iter(()), self._count

    def _opened(self) -> Any:
        return _called(self._episodes, self.source) if callable(self._episodes) else self._episodes

    def _guarded(self, episodes: Any) -> Iterator[Any]:
        count = 0
        try:
            for episode in episodes:
                yield episode
                count += 1
        except Exception as error:  # anybody's code, or a damaged file
            raise DatasetError(f"{self.source}: fails after episode {count - 1} ({error!r:.300})") from error


def detect(path: Path) -> bool:
    """A folder that TFDS wrote."""
    if not path.is_dir():
        return False
    described = all((path / name).is_file() for name in ("dataset_info.json", "features.json"))
    return described or any(path.glob("*.tfrecord*"))


class _TfdsEpisodes:
    """All splits one after another, each episode with the name of its split."""

    def __init__(self, source: str) -> None:
        try:
            import tensorflow_datasets as tfds
        except ImportError as error:
            raise ImportError(f"{source}: needs TFDS: pip install tensorflow tensorflow_datasets") from error
        self._tfds, self._source = tfds, source
        try:
            if source.startswith(TFDS):
                self._builder = tfds.builder(source.removeprefix(TFDS))
            else:
                self._builder = tfds.builder_from_directory(source)
        except Exception as error:  # errors of TFDS's own kinds: unknown names, folders that it did not write
            raise DatasetError(f"{source}: TFDS cannot open it ({error!r:.300})") from error

    def __reduce__(self) -> tuple[Any, ...]:
        return (_TfdsEpisodes, (self._source,))

    def __len__(self) -> int:
        return sum(split.num_examples for split in self._builder.info.splits.values())

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for split in self._builder.info.splits:
            for episode in self._tfds.as_numpy(self._builder.as_dataset(split=split, shuffle_files=False)):
                yield {**episode, "split": split}


def _function(source: str) -> Callable[[], Any]:
    if not re.fullmatch(r"[\w.]+:\w+", source):
        raise DatasetError(f'{source}: expected "module:function", "tfds:NAME", or a folder that TFDS wrote')
    module, _, function = source.partition(":")
    try:
        found: Callable[[], Any] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise DatasetError(f'{source}: expected "module:function" of a module on PYTHONPATH ({error})') from error
    return found


def _called(function: Callable[[], Any], source: str) -> Any:
    try:
        return function()
    except Exception as error:  # anybody's code
        raise DatasetError(f"{source}: raises {error!r:.300}") from error


def _is_iterator(value: Any) -> bool:
    """Which is spent when it has been read."""
    return isinstance(value, Iterator)
