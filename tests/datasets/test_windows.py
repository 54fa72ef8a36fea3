from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.store import Store, write_episode
from slowfast.datasets.windows import WindowLoader, WindowSampler, WindowShape

SHAPES = (WindowShape(4, 4, 2.0), WindowShape(1, 3), WindowShape(0, 8))


def assert_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        if name == "actions":
            assert_same(value, second[name])
        else:
            np.testing.assert_array_equal(value, second[name])


def test_batches_have_the_documented_form(store: Store) -> None:
    for batch in itertools.islice(WindowLoader(store, SHAPES, 6), 10):
        count, items = batch["frames"].shape[:2]
        assert (count, items) in {(6, 8), (6, 4)}
        assert batch["frames"].dtype == np.uint8
        assert batch["frames"].shape[2:] == (12, 20, 3)
        assert {name: column.shape for name, column in batch["actions"].items()} == {
            "move": (6, items),
            "turn": (6, items, 1),
            "keys": (6, items, 2),
            "text": (6, items),
        }
        assert batch["prefix"].shape == (6,)
        assert len(set(batch["prefix"].tolist())) == 1


def test_a_window_is_a_stretch_of_one_episode(store: Store) -> None:
    loader = WindowLoader(store, SHAPES, 16)
    for step in range(20):
        batch = loader[step]
        seen = batch["frames"][:, :, 0, 0, :2].astype(int)  # the pixels say (episode, frame)
        places = batch["starts"][:, None] + np.arange(seen.shape[1])
        np.testing.assert_array_equal(seen[..., 0], np.broadcast_to(batch["episodes"][:, None], seen.shape[:2]))
        np.testing.assert_array_equal(seen[..., 1], places)
        assert (places <= store.lengths[batch["episodes"]][:, None]).all()


def test_an_item_goes_with_the_action_that_led_into_it(store: Store) -> None:
    loader = WindowLoader(store, (WindowShape(2, 6),), 64)
    starts_of_episodes = 0
    for step in range(5):
        batch = loader[step]
        for b, (i, start) in enumerate(zip(batch["episodes"], batch["starts"], strict=True)):
            actions = store.actions(int(i))
            for name, column in batch["actions"].items():
                if start:
                    np.testing.assert_array_equal(column[b], actions[name][start - 1 : start + 7])
                else:
                    np.testing.assert_array_equal(column[b, 1:], actions[name][:7])
            if start == 0:
                starts_of_episodes += 1
                first = {name: column[b, 0] for name, column in batch["actions"].items()}
                assert first["move"] == -1
                assert np.isnan(first["turn"]).all()
                assert (first["keys"] == -1).all()
                assert first["text"] == ""
    assert starts_of_episodes > 0


def test_batches_depend_on_seed_and_step_alone(store: Store) -> None:
    first = list(itertools.islice(WindowLoader(store, SHAPES, 4, seed=5), 8))
    second = WindowLoader(Store(store.folder), SHAPES, 4, seed=5, prefetch=1)
    for step in (7, 0, 3):
        assert_same(first[step], second[step])
    other = WindowLoader(store, SHAPES, 4, seed=6)
    assert any(first[step]["starts"].tolist() != other[step]["starts"].tolist() for step in range(8))


def test_a_resumed_loader_continues_with_the_next_batch(store: Store) -> None:
    whole = list(itertools.islice(WindowLoader(store, SHAPES, 4), 6))
    loader = WindowLoader(store, SHAPES, 4, prefetch=3)
    list(itertools.islice(loader, 4))
    state = loader.state_dict()
    assert state == {"step": 4, "seed": 0}
    resumed = WindowLoader(store, SHAPES, 4)
    resumed.load_state_dict(state)
    for expected, batch in zip(whole[4:], resumed, strict=False):
        assert_same(expected, batch)
    with pytest.raises(DatasetError, match="seed"):
        WindowLoader(store, SHAPES, 4, seed=1).load_state_dict(state)


def test_worker_processes_read_the_same_batches(store: Store) -> None:
    loader = WindowLoader(store, SHAPES, 4)
    expected = [loader[step] for step in range(4)]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for step, batch in enumerate(pool.map(loader.__getitem__, range(4))):
            assert_same(expected[step], batch)


def test_every_window_is_drawn_equally_often_and_shapes_by_weight() -> None:
    lengths = np.array([3, 8, 5])
    sampler = WindowSampler(lengths, (WindowShape(2, 3),), 6000, seed=0)
    _, episodes, starts = sampler.draw(0)
    places, counts = np.unique(np.stack([episodes, starts]), axis=1, return_counts=True)
    assert places.T.tolist() == [[1, 0], [1, 1], [1, 2], [1, 3], [1, 4], [2, 0], [2, 1]]  # 4 frames hold no window of 5
    assert counts.min() > 6000 / 7 * 0.85
    weighted = WindowSampler(lengths, (WindowShape(1, 1, 3.0), WindowShape(0, 2, 1.0)), 1, seed=0)
    prefixes = [weighted.draw(step)[0].prefix for step in range(1000)]
    assert 0.7 < np.mean(prefixes) < 0.8


def test_what_cannot_be_drawn_is_said(tmp_path: Path, store: Store, episode: Callable[[int, int], Episode]) -> None:
    with pytest.raises(DatasetError, match="no episode has 42 frames; the longest has 41"):
        WindowLoader(store, (WindowShape(2, 40),), 4)
    with pytest.raises(DatasetError, match="new >= 1"):
        WindowShape(2, 0)
    larger = replace(episode(9, 0), frames={"front": np.zeros((10, 24, 20, 3), np.uint8)})
    write_episode(store.folder, larger)
    with pytest.raises(DatasetError, match="frames of one size"):
        WindowLoader(Store(store.folder), SHAPES, 4)


def test_an_error_while_reading_ahead_reaches_the_reader(store: Store) -> None:
    loader = WindowLoader(store, SHAPES, 4)
    for i in range(len(store)):
        store.path(i).unlink()
    with pytest.raises(DatasetError, match=r"00000\d\.h5: not a readable file"):
        next(iter(loader))
