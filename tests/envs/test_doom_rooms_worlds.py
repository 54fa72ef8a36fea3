"""Worlds before they are shown: textures, layouts, splits, maps."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from slowfast.envs.doom_rooms.layout import World, build_world
from slowfast.envs.doom_rooms.navigation import waypoints
from slowfast.envs.doom_rooms.splits import SEED_RANGES, split_env_kwargs, split_textures, world_seeds
from slowfast.envs.doom_rooms.textures import catalogue
from slowfast.envs.doom_rooms.udmf import world_to_udmf
from slowfast.envs.doom_rooms.wad import map_wad, read_lumps, write_lumps


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    return [build_world(seed) for seed in range(80)]


def _names(world: World) -> set[str]:
    flats = {name for room in world.rooms for name in (room.floor, room.ceiling)}
    return flats | {wall.texture for wall in world.walls} | {door.texture for door in world.doorways}


def test_seed_ranges_of_the_splits_are_disjoint() -> None:
    assert set(SEED_RANGES) == {"train", "validation", "test", "held_out"}
    ranges = sorted(SEED_RANGES.values(), key=lambda seeds: seeds.start)
    assert all(first.stop <= second.start for first, second in itertools.pairwise(ranges))
    assert world_seeds("test", 3) == [2_000_000, 2_000_001, 2_000_002]
    with pytest.raises(ValueError, match="not one of"):
        world_seeds("tests", 3)
    with pytest.raises(ValueError, match="100000 seeds"):
        world_seeds("validation", 100_001)


def test_only_the_held_out_split_shows_held_out_textures(worlds: list[World]) -> None:
    assert {split: split_textures(split) for split in SEED_RANGES} == {
        "train": "train",
        "validation": "train",
        "test": "train",
        "held_out": "held_out",
    }
    assert split_env_kwargs("held_out") == {"textures": "held_out"}
    train = {texture.name for part in (catalogue("train").walls, catalogue("train").flats) for texture in part}
    unseen = {texture.name for part in (catalogue("held_out").walls, catalogue("held_out").flats) for texture in part}
    assert not train & unseen
    assert 0.1 < len(unseen) / len(train | unseen) < 0.2
    assert set().union(*map(_names, worlds)) <= train
    assert set().union(*(_names(build_world(seed, "held_out")) for seed in world_seeds("held_out", 40))) <= unseen


def test_no_texture_moves_or_is_a_switch_or_a_door() -> None:
    names = {t.name for split in ("train", "held_out") for t in (*catalogue(split).walls, *catalogue(split).flats)}
    assert len(names) > 300
    for name in names:
        assert not name.startswith(("SW1", "SW2", "F_SKY", "NUKAGE", "FWATER", "LAVA", "BLOOD", "FIREBLU", "SLIME0"))
        assert "DOOR" not in name


def test_textures_can_be_told_apart_at_a_distance() -> None:
    for texture in catalogue("train").walls:
        assert texture.brightness >= 70
        assert texture.contrast >= 7 or texture.chroma >= 50


def test_the_same_seed_is_the_same_world_and_others_differ(worlds: list[World]) -> None:
    assert [build_world(seed) for seed in range(10)] == worlds[:10]
    assert len({world_to_udmf(world) for world in worlds}) == len(worlds)


def test_worlds_range_from_one_room_to_six_all_of_them_connected(worlds: list[World]) -> None:
    assert {len(world.rooms) for world in worlds} == {1, 2, 3, 4, 5, 6}
    for world in worlds:
        start = (float(world.start[0]), float(world.start[1]))
        for room in world.rooms:
            points = waypoints(world, start, room.area.center)
            assert all(world.is_free(round(x), round(y)) for x, y in points)


def test_rooms_keep_apart_and_doorways_join_them_at_walkable_width(worlds: list[World]) -> None:
    for world in worlds:
        for index, room in enumerate(world.rooms):
            for other in world.rooms[:index]:
                a, b = room.area, other.area
                assert a.right < b.left or b.right < a.left or a.top < b.bottom or b.top < a.bottom
        for door in world.doorways:
            area = door.space.area
            width = area.top - area.bottom if door.axis == 0 else area.right - area.left
            assert width >= 96
            x, y = area.center
            assert world.is_free(x, y)


def test_every_wall_of_a_world_has_a_texture_of_its_own(worlds: list[World]) -> None:
    for world in worlds:
        textures = [wall.texture for wall in world.walls] + [door.texture for door in world.doorways]
        assert len(set(textures)) == len(textures)
        assert all(160 <= room.light <= 255 for room in world.rooms)


def test_the_start_is_free_with_room_to_move(worlds: list[World]) -> None:
    for world in worlds:
        x, y, angle = world.start
        assert all(world.is_free(x + dx, y + dy) for dx in (-32, 32) for dy in (-32, 32))
        assert angle % 4096 == 0


def test_a_walk_ends_at_the_wall_and_never_tunnels() -> None:
    world = next(world for world in map(build_world, range(20)) if len(world.rooms) == 1)
    area = world.free[0]
    x, y = area.center
    assert world.walk(x, y, 5000, 0) == (area.right, y)
    assert world.walk(area.right, y, 32, 0) == (area.right, y)
    assert world.walk(x, y, -7, 3) == (x - 7, y + 3)


def test_all_map_files_have_one_size_and_too_large_a_map_is_refused(worlds: list[World]) -> None:
    assert len({len(map_wad(world_to_udmf(world))) for world in worlds}) == 1
    with pytest.raises(ValueError, match="at most"):
        map_wad("x" * 70_000)


def test_a_file_that_is_no_wad_is_named(tmp_path: Path) -> None:
    path = tmp_path / "some.wad"
    path.write_bytes(write_lumps([("A", b"one"), ("B", b"")]))
    assert read_lumps(path) == [("A", b"one"), ("B", b"")]
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"some\.wad"):
        read_lumps(path)


def test_room_at_names_the_room_one_stands_in(worlds: list[World]) -> None:
    for world in worlds[:20]:
        centers = np.array([room.area.center for room in world.rooms])
        assert [world.room_at(x, y) for x, y in centers] == list(range(len(world.rooms)))
