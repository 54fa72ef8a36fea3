"""A world as a folder: what is written, what is read back, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_world import ROOMS, SIZE, clip

from slowfast import WorldModel
from slowfast.starts import Starts
from slowfast.world_folder import FORMAT_VERSION


def test_a_saved_world_dreams_the_same(world: WorldModel, tmp_path: Path) -> None:
    world.save_pretrained(tmp_path / "world", dtype=None)
    again = WorldModel.from_pretrained(tmp_path / "world")
    assert again.config == world.config
    assert again.action_spec == world.action_spec
    assert again.base_hash == world.base_hash
    assert (again.imagine(clip(4), [0, 1, 2, 0, 1]) == world.imagine(clip(4), [0, 1, 2, 0, 1])).all()
    assert not any(parameter.requires_grad for parameter in again.slow.parameters())


def test_half_precision_is_the_default_on_disk_and_its_hash_is_stable(
    world: WorldModel, folder: Path, tmp_path: Path
) -> None:
    one = WorldModel.from_pretrained(folder)
    assert one.base_hash != world.base_hash
    one.save_pretrained(tmp_path / "again")
    half = WorldModel.from_pretrained(folder, dtype=torch.bfloat16)
    half.save_pretrained(tmp_path / "half")
    hashes = {one.base_hash, half.base_hash}
    for path in ("again", "half"):
        for dtype in (torch.float32, torch.bfloat16):
            hashes.add(WorldModel.from_pretrained(tmp_path / path, dtype=dtype).base_hash)
    assert len(hashes) == 1


def test_half_precision_dreams(folder: Path) -> None:
    world = WorldModel.from_pretrained(folder, dtype=torch.bfloat16)
    memory = world.new_memory()
    world.observe(clip(5), [0, 1, 2, 0], memory)
    made = world.imagine(clip(3), [0, 1, 2, 0], memory=memory)
    assert made.shape == (2, *SIZE, 3)
    assert made.dtype == np.uint8


def test_saving_leaves_the_world_as_it_is(world: WorldModel, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in world.slow.state_dict().items()}
    world.save_pretrained(tmp_path)
    for name, tensor in world.slow.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert not list(tmp_path.glob("**/*.tmp"))


def test_a_folder_says_nothing_of_where_it_came_from(folder: Path, tmp_path: Path) -> None:
    WorldModel.from_pretrained(folder).save_pretrained(tmp_path / "copy")
    written = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "copy").rglob("*.json"))
    assert str(folder) not in written
    assert "_name_or_path" not in written


def test_starts_travel_with_the_world(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "with starts"
    shutil.copytree(folder, source)
    actions = ROOMS.columns([[0, "forward"]] * 3)
    starts = Starts(clip(3, (3,)), actions, np.zeros((3, 3, 3), np.float32), np.arange(3))
    starts.save(source / "starts.safetensors")
    world = WorldModel.from_pretrained(source)
    for place in (tmp_path / "copy", source):
        world.save_pretrained(place)
        again = WorldModel.from_pretrained(place).starts
        assert (again.frames == starts.frames).all()
        assert (again.actions["text"] == actions["text"]).all()


def test_a_world_without_starts_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: WorldModel
) -> None:
    with pytest.raises(FileNotFoundError, match=r"starts\.safetensors: this world ships no starts"):
        _ = WorldModel.from_pretrained(folder).starts
    starts = Starts(clip(1, (1,)), ROOMS.null((1, 0)), np.zeros((1, 1, 3), np.float32), np.zeros(1))
    starts.save(tmp_path / "starts.safetensors")
    monkeypatch.chdir(tmp_path)  # not its own
    with pytest.raises(FileNotFoundError, match="not loaded from a folder"):
        _ = world.starts


def test_unknown_worlds_list_those_that_ship(tmp_path: Path) -> None:
    shipped = Path(str(__import__("slowfast").__file__)).parent / "checkpoints"
    names = sorted(path.parent.name for path in shipped.glob("*/world.json"))
    with pytest.raises(FileNotFoundError, match=r"no world 'no-such-world': neither shipped") as caught:
        WorldModel.from_pretrained("no-such-world")
    assert (", ".join(names) or "none") in str(caught.value)


def test_a_newer_format_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "newer")
    path = tmp_path / "newer" / "world.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": FORMAT_VERSION + 1}))
    with pytest.raises(ValueError, match=r"world\.json: format_version 2, this release reads 1"):
        WorldModel.from_pretrained(tmp_path / "newer")


def test_an_unfinished_folder_is_no_world(folder: Path, tmp_path: Path, world: WorldModel) -> None:
    class Killed(Exception):
        pass

    def fail(*_: Any) -> None:
        raise Killed

    shutil.copytree(folder, tmp_path / "world")
    broken = WorldModel(world.config, world.codec, replace_save(world, fail))
    with pytest.raises(Killed):
        broken.save_pretrained(tmp_path / "world")
    with pytest.raises(FileNotFoundError, match="no world"):
        WorldModel.from_pretrained(tmp_path / "world")


def replace_save(world: WorldModel, save: Callable[..., None]) -> Any:
    """A slow learner whose saving is cut short."""

    class Interrupted(type(world.slow)):  # type: ignore[misc]
        save_pretrained = save

    return Interrupted(world.slow.unet, world.slow.actions, world.slow.noise, world.slow.config)


def test_a_read_only_folder_is_enough(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "site")
    places = [tmp_path / "site", *(tmp_path / "site").rglob("*")]
    before = {place: place.stat().st_mtime_ns for place in places}
    for place in places:
        place.chmod(0o555 if place.is_dir() else 0o444)
    try:
        world = WorldModel.from_pretrained(tmp_path / "site")
        world.imagine(clip(1), [0])
        assert {
            place: place.stat().st_mtime_ns for place in (tmp_path / "site", *(tmp_path / "site").rglob("*"))
        } == before
    finally:
        for place in places:
            place.chmod(0o755)
