"""RLDS steps from sources of all kinds, and from iterables that can be read only once."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import counted, counting, write_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from rlds_episodes import episode, step

from slowfast.actions import ActionError
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import SourceOptions, detect, open_source
from slowfast.datasets.ingest.pipeline import Ingestion, ingest
from slowfast.datasets.ingest.policy import FramePolicy
from slowfast.datasets.ingest.readers.rlds import from_steps
from slowfast.datasets.ingest.steps import ingest_steps
from slowfast.datasets.store import Store

# --- sources ----------------------------------------------------------------------------------------------------------


def write_module(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(folder)


MODULE = """
import numpy as np
from slowfast.video import read_video

def steps(frames, first):
    for t, frame in enumerate(frames):
        action = np.array([first + t], np.float32)
        yield {"observation": {"image": frame}, "action": action, "is_last": t + 1 == len(frames)}

def episodes():
    for first in range(4):
        yield {"steps": steps(read_video(%r)[first:], first)}
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_function_is_a_source_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", counting(9))
    write_module(tmp_path / "code", "own_rlds_episodes", MODULE % str(clip), monkeypatch)
    ingestion = Ingestion("own_rlds_episodes:episodes", "rlds", SourceOptions(fps=5.0), FramePolicy(size=(16, 16)))
    report = ingest(ingestion, tmp_path / "out", workers=workers)
    assert (report.episodes, report.skipped) == (4, {})
    store = Store(tmp_path / "out")
    for first, stored in enumerate(store):
        assert counted(stored.frames["image"]) == list(range(first, 9))
        assert stored.actions["action"].ravel().tolist() == list(range(first, 8))
    assert store.fps(0) == 5


def test_a_function_may_return_a_reader_with_its_own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_clip(tmp_path / "clip.mp4", counting(9))
    text = MODULE % str(clip) + (
        "\ndef reader():\n    from slowfast.datasets.ingest.readers.rlds import from_steps\n"
        "    return from_steps(episodes, fps=4)\n"
    )
    write_module(tmp_path / "code", "own_rlds_reader", text, monkeypatch)
    assert open_source("own_rlds_reader:reader", "rlds")[1].read(2).fps == pytest.approx(4)
    with pytest.raises(DatasetError, match="has its settings already"):
        open_source("own_rlds_reader:reader", "rlds", SourceOptions(fps=3.0))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("no_such_module:function", "module on PYTHONPATH"),
        ("math:no_such", "module on PYTHONPATH"),
        ("math:pi", "raises TypeError"),
        ("not a source", 'expected "module:function", "tfds:NAME"'),
        ("os:getcwd", "fps"),
    ],
)
def test_a_source_that_is_none_is_told_what_one_is(source: str, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        open_source(source, "rlds")


def test_an_iterator_is_refused_by_a_reader_because_it_can_be_read_only_once() -> None:
    with pytest.raises(DatasetError, match="only once; pass a function, or use ingest_steps"):
        from_steps(iter([episode()]), fps=10)
    with pytest.raises(DatasetError, match="steps can be read only once"):
        from_steps([{"steps": iter(episode()["steps"])}], fps=10)


def test_recordings_can_be_read_in_any_order_and_by_another_process() -> None:
    def episodes() -> Iterator[dict[str, Any]]:
        for first in range(3):
            yield episode(3, first)

    reader = from_steps(episodes, fps=10)
    assert [reader.read(i).states["state"][0, 1] for i in (2, 0, 1, 1)] == [2, 0, 1, 1]
    sent = ForkingPickler.loads(ForkingPickler.dumps(from_steps([episode(3), episode(3, 7)], fps=10)))  # as to a worker
    assert sent.read(1).states["state"][0, 1] == 7


def test_a_source_that_fails_names_itself_and_the_episodes_before_stay_readable() -> None:
    broken: list[str] = []

    def episodes() -> Iterator[dict[str, Any]]:
        yield episode(3)
        if broken:
            raise OSError(broken[0])
        yield episode(3)
        yield episode(3)

    reader = from_steps(episodes, fps=10)
    broken.append("the disk is gone")
    for i in (1, 2, 1):
        with pytest.raises(DatasetError, match=r"fails after episode 0 .*the disk is gone"):
            reader.read(i)
    assert len(reader.read(0).times) == 3


def test_tfds_is_asked_for_by_name_or_folder_and_its_splits_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in with the few calls that are made; TFDS itself cannot be installed beside the tests."""
    folder = tmp_path / "my_data" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
    (folder / "features.json").write_text("{}")
    assert detect(folder) == "rlds"
    options = SourceOptions(fps=10.0)
    with pytest.raises(ImportError, match="pip install tensorflow tensorflow_datasets"):
        open_source(folder, None, options)
    data = {"train": [episode(4, 10), episode(5, 20)], "val": [episode(3, 30)]}
    asked = []

    class Builder:
        def __init__(self, name: str) -> None:
            asked.append(name)
            sizes = {split: types.SimpleNamespace(num_examples=len(found)) for split, found in data.items()}
            self.info = types.SimpleNamespace(splits=sizes)

        def as_dataset(self, split: str, shuffle_files: bool) -> Any:
            assert not shuffle_files
            return data[split]

    module: Any = types.ModuleType("tensorflow_datasets")
    module.builder = module.builder_from_directory = Builder
    module.as_numpy = lambda dataset: iter(dataset)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    report = ingest(Ingestion(str(folder), options=options), tmp_path / "out")
    store = Store(tmp_path / "out")
    assert report.episodes == 3
    assert [store.metadata(i)["split"] for i in range(3)] == ["train", "train", "val"]
    assert counted(store[2].frames["image"]) == [30, 31, 32]
    assert len(open_source("tfds:my_data/1.0.0", "rlds", options)[1]) == 3
    assert asked[-1] == "my_data/1.0.0"


# --- iterables that can be read only once -----------------------------------------------------------------------------


def stream(log: list[int], stop: int | None = None, bad: tuple[int, ...] = ()) -> Iterator[dict[str, Any]]:
    """Five episodes whose steps are generators; ``stop`` raises before that episode."""

    def steps(number: int) -> Iterator[dict[str, Any]]:
        log.append(number)
        for t in range(5):
            yield step(t, 5, number * 10, **({"action": "x"} if number in bad and t == 3 else {}))

    for number in range(5):
        if number == stop:
            raise KeyboardInterrupt
        yield {"steps": steps(number)}


def test_a_stream_is_written_as_it_comes_and_bad_episodes_are_named(tmp_path: Path) -> None:
    report = ingest_steps(stream([], bad=(0, 3)), tmp_path / "out", fps=10, metadata={"licence": "CC0-1.0"})
    assert (report.recordings, report.episodes, report.frames) == (5, 3, 15)
    assert set(report.skipped) == {"episode 0", "episode 3"}
    store = Store(tmp_path / "out")
    assert [counted(stored.frames["image"]) for stored in store] == [
        list(range(first, first + 5)) for first in (10, 20, 40)
    ]
    assert store.metadata(1)["licence"] == "CC0-1.0"
    assert store.metadata(1)["recording"] == "episode 2"
    assert (tmp_path / "out" / "ingest.json").exists()


def test_a_stopped_stream_goes_on_where_it_was_and_makes_the_same_episodes(tmp_path: Path) -> None:
    policy = FramePolicy(fps=5, size=(8, 8), max_frames=2)
    ingest_steps(stream([]), tmp_path / "whole", fps=10, policy=policy)
    log: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        ingest_steps(stream(log, stop=3), tmp_path / "out", fps=10, policy=policy)
    assert log == [0, 1, 2]
    report = ingest_steps(stream(log), tmp_path / "out", fps=10, policy=policy)
    assert log == [0, 1, 2, 3, 4]  # what is there is passed over, its steps are not read again
    assert report.episodes == 10
    for name in (path.name for path in (tmp_path / "whole" / "episodes").iterdir()):
        one, other = ((tmp_path / place / "episodes" / name).read_bytes() for place in ("whole", "out"))
        assert one == other
    with pytest.raises(DatasetError, match=r"other settings \(policy\)"):
        ingest_steps(stream([]), tmp_path / "out", fps=10)


def test_an_episode_in_which_a_stream_was_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    log: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        ingest_steps(stream(log, stop=2), tmp_path / "out", fps=10)
    left = tmp_path / "out" / "episodes" / "000002.h5"
    left.write_bytes((tmp_path / "out" / "episodes" / "000001.h5").read_bytes())
    ingest_steps(stream(log, bad=(2, 3, 4)), tmp_path / "out", fps=10)
    assert len(Store(tmp_path / "out")) == 2


def test_a_stream_of_nothing_but_bad_episodes_says_why(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none of 5 episodes can be read; the first says: episode 0"):
        ingest_steps(stream([], bad=(0, 1, 2, 3, 4)), tmp_path / "out", fps=10)
    with pytest.raises(DatasetError, match="has to be above 0"):
        ingest_steps(stream([]), tmp_path / "other", fps=0)


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.binary(max_size=12)
    | st.lists(st.integers(0, 3) | st.text(max_size=1), max_size=3)
    | st.sampled_from(
        [
            np.zeros((8, 8, 3), np.uint8),
            np.zeros((0, 8, 3), np.uint8),
            np.zeros(3, object),
            np.array(b"x"),
            np.zeros((2, 2), np.complex64),
            b"\x89PNG\r\n\x1a\n",
            {},
            {"a": 1},
        ]
    )
)
NAMES = st.sampled_from(
    ["observation", "observation/image", "action", "reward", "is_last", "is_terminal", "language_instruction", "/", ""]
)


@settings(max_examples=60, deadline=None)
@given(
    changes=st.lists(st.dictionaries(NAMES, LEAVES, max_size=3), min_size=2, max_size=3),
    steps=st.none() | st.integers() | st.just("steps"),
)
def test_any_steps_give_recordings_or_dataset_errors(changes: list[dict[str, Any]], steps: Any) -> None:
    given_steps = [{**step(t, len(changes)), **change} for t, change in enumerate(changes)]
    for first in ({"steps": given_steps}, {"steps": steps}, episode(3)):
        try:
            reader = from_steps([first, {"steps": given_steps}, given_steps], fps=10)
        except (DatasetError, ActionError):
            continue
        for i in range(3):
            try:
                recording = reader.read(i)
                assert len(list(recording.frames[next(iter(recording.frames))]())) == len(recording.times)
            except (DatasetError, ActionError):
                continue
