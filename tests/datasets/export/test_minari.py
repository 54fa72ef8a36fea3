"""What Minari itself loads is what was exported, in either of its back ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import minari
import numpy as np
import pytest
from gymnasium import spaces

from slowfast.actions import ActionSpec
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.export.formats import ExportOptions
from slowfast.datasets.export.pipeline import export
from slowfast.datasets.store import Store

MakeEpisode = Callable[..., Episode]
MakeStore = Callable[..., Store]
BackEnd = Literal["hdf5", "arrow"]
both = pytest.mark.parametrize("back_end", ["hdf5", "arrow"])


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., minari.MinariDataset]:
    """Export a store and load it with Minari, by its name."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))

    def load(store: Store, back_end: BackEnd = "hdf5", **options: Any) -> minari.MinariDataset:
        export(
            store.folder, "minari", tmp_path / "minari/rooms-v3", options=ExportOptions(back_end=back_end, **options)
        )
        return minari.load_dataset("rooms-v3")

    return load


@both
@pytest.mark.parametrize("kind", ["choice", "vector", "keys", "described"])
def test_minari_loads_frames_actions_rewards_and_ends(
    make_store: MakeStore, load: Callable[..., minari.MinariDataset], back_end: BackEnd, kind: str
) -> None:
    store = make_store(kind, states={})
    dataset = load(store, back_end)
    assert (len(dataset), dataset.total_steps) == (3, 31)
    assert dataset.action_space == store.spec.to_space()
    assert dataset.observation_space == spaces.Box(0, 255, (24, 32, 3), np.uint8)
    for read, episode in zip(dataset.iterate_episodes(), store, strict=True):
        np.testing.assert_array_equal(read.observations, episode.frames["front"])
        np.testing.assert_array_equal(read.actions, next(iter(episode.actions.values())))
        assert all(action in dataset.action_space for action in read.actions)
        np.testing.assert_array_equal(read.rewards, episode.rewards)
        np.testing.assert_array_equal(read.terminations, episode.terminations)
        np.testing.assert_array_equal(read.truncations, episode.truncations)
        for name in ("pose", "room"):
            np.testing.assert_array_equal(np.squeeze(read.infos[name]), episode.infos[name])


@both
def test_several_actions_cameras_and_states_are_dictionaries(
    make_store: MakeStore, make_episode: MakeEpisode, load: Callable[..., minari.MinariDataset], back_end: BackEnd
) -> None:
    frames = {name: make_episode("mixed", 9, seed).frames["front"] for seed, name in enumerate(("left", "right"))}
    episode = make_episode("mixed", 9, frames=frames)
    dataset = load(make_store(episodes=[episode]), back_end)
    assert isinstance(dataset.observation_space, spaces.Dict)
    read = dataset[0]
    assert set(read.observations) == {"left", "right", "joints"}
    for name in frames:
        np.testing.assert_array_equal(read.observations[name], frames[name])
    np.testing.assert_array_equal(read.observations["joints"], episode.states["joints"])
    assert set(read.actions) == {"move", "arm", "keys"}
    for name, column in read.actions.items():
        np.testing.assert_array_equal(column, episode.actions[name])
    words = [word.decode() if isinstance(word, bytes) else str(word) for word in read.infos["language.task"]]
    assert words == [*episode.actions["task"], ""]


@both
def test_language_alone_is_a_text_space(
    make_store: MakeStore, load: Callable[..., minari.MinariDataset], back_end: BackEnd
) -> None:
    store = make_store("language")
    dataset = load(store, back_end)
    assert isinstance(dataset.action_space, spaces.Text)
    assert list(dataset[0].actions) == store[0].actions["task"].tolist()


def test_what_minari_knows_of_a_data_set_and_its_episodes(
    make_store: MakeStore, load: Callable[..., minari.MinariDataset]
) -> None:
    metadata = {"seed": 7, "environment": "CartPole-v1", "environment_arguments": {"sutton_barto_reward": True}}
    store = make_store("choice", metadata=metadata)
    dataset = load(store)
    assert dataset.spec.dataset_id == "rooms-v3"
    assert ActionSpec.from_json(dataset.storage.metadata["slowfast_action_spec"]) == store.spec
    known = next(iter(dataset.storage.get_episode_metadata([1])))
    assert (known["seed"], known["fps"]) == (7, 12.5)
    environment = dataset.recover_environment()
    assert environment.spec is not None
    assert (environment.spec.id, environment.spec.kwargs["sutton_barto_reward"]) == ("CartPole-v1", True)


@pytest.mark.parametrize("jpeg", [False, True])
def test_pictures_of_any_size_are_exact_unless_jpeg_is_asked_for(
    make_store: MakeStore, make_episode: MakeEpisode, load: Callable[..., minari.MinariDataset], jpeg: bool
) -> None:
    """Minari has JPEG for pictures of at least 32x32 alone."""
    frames = make_episode("choice", 12).frames["front"].repeat(2, 1).repeat(2, 2)
    store = make_store(episodes=[make_episode("choice", 12, frames={"front": frames}, states={})])
    difference = np.abs(load(store, jpeg=jpeg)[0].observations.astype(int) - frames).mean()
    assert 0 < difference < 6 if jpeg else difference == 0


def test_a_name_that_minari_does_not_find_is_refused(tmp_path: Path, make_store: MakeStore) -> None:
    with pytest.raises(DatasetError, match=r"rooms: Minari finds a data set by its folder's name.*rooms-v0"):
        export(make_store().folder, "minari", tmp_path / "minari/rooms")
    assert list((tmp_path / "minari").iterdir()) == []


def test_a_camera_and_a_state_of_one_name_are_refused(
    tmp_path: Path, make_store: MakeStore, make_episode: MakeEpisode
) -> None:
    episode = make_episode("choice", 8, states={"front": np.zeros((8, 2), np.float32)})
    with pytest.raises(DatasetError, match="'front' is a camera and a state"):
        export(make_store(episodes=[episode]).folder, "minari", tmp_path / "minari/rooms-v0")


def test_an_old_minari_that_only_writes_jpeg_is_refused(
    tmp_path: Path, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from minari.dataset.minari_storage import MinariStorage

    monkeypatch.setattr(MinariStorage, "new", lambda data_path, data_format: None)
    with pytest.raises(ImportError, match="pip install -U minari"):
        export(make_store().folder, "minari", tmp_path / "minari/rooms-v0")
