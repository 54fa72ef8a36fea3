"""The object that users hold: folders, dreams in every form of arguments, memories that are read and not written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from slowfast import WorldModel
from slowfast.actions import ActionSpec, Continuous, Discrete, Language
from slowfast.codecs.image_vae import ImageVAE, ImageVAEConfig
from slowfast.fast import memory_rule
from slowfast.slow.build import SchedulerConfig, UNetConfig, create
from slowfast.slow.masked_diffusion import MaskedDiffusionConfig
from slowfast.starts import Starts
from slowfast.world_model import FORMAT_VERSION, WorldConfig

MOVES = ("turn left", "turn right", "forward")
ROOMS = ActionSpec((Discrete("move", MOVES), Language("text", describes="move")))
MOTION = ActionSpec((Continuous("motion", (-30.0, 0.0), (30.0, 16.0)), Language("text", describes="motion")))
CONTEXT, CHUNK, SIZE = 3, 2, (8, 12)
MEMORY = {"name": "ancestor", "rank": 2, "steps": 1, "learning_rate": 0.05}


def build(spec: ActionSpec = ROOMS, widths: tuple[int, ...] = (8, 16)) -> WorldModel:
    torch.manual_seed(0)
    codec = ImageVAE.create(ImageVAEConfig(latent_channels=4, widths=(8, 8), norm_groups=4))
    codec.fit_statistics(torch.rand(2, 4, 3, *SIZE) * 2 - 1)
    unet = UNetConfig(widths=widths, head_size=4, norm_groups=4, text_width=8)
    slow = create(spec, 4, unet, SchedulerConfig(), MaskedDiffusionConfig(window=CONTEXT + CHUNK, steps=2))
    with torch.no_grad():
        for parameter in slow.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1)
    for module in (codec, slow):
        module.eval().requires_grad_(False)
    return WorldModel(WorldConfig("tiny", SIZE, CONTEXT, CHUNK, 10.0, MEMORY, {"id": "Real-v0"}), codec, slow)


@pytest.fixture(scope="module")
def world() -> WorldModel:
    return build()


@pytest.fixture(scope="module")
def folder(world: WorldModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("worlds") / "tiny"
    world.save_pretrained(path)
    return path


def clip(length: int, batch: tuple[int, ...] = (), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*batch, length, *SIZE, 3), np.uint8)


def close(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal up to the last bits of batched arithmetic, which may tip the rounding of a pixel."""
    assert one.shape == other.shape
    difference = np.abs(one.astype(int) - other.astype(int))
    return bool(difference.max() <= 1 and (difference > 0).mean() < 0.02)


# --- folders ---------------------------------------------------------------------------------------------------------


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


# --- imagining -------------------------------------------------------------------------------------------------------


def test_latents_and_frames_go_both_ways(world: WorldModel) -> None:
    latents = world.encode(clip(3, (2,)))
    assert latents.shape == (2, 3, 4, 4, 6)
    assert latents.dtype == torch.float32
    frames = world.decode(latents)
    assert frames.shape == (2, 3, *SIZE, 3)
    assert frames.dtype == np.uint8


@pytest.mark.parametrize("length", [1, 2, 3, 6])
@pytest.mark.parametrize("future", [1, 2, 5])
def test_as_many_frames_are_made_as_there_are_future_actions(world: WorldModel, length: int, future: int) -> None:
    made = world.imagine(clip(length), [1] * (length - 1 + future))
    assert made.shape == (future, *SIZE, 3)
    assert made.dtype == np.uint8


def test_indices_labels_and_mappings_are_the_same_actions(world: WorldModel) -> None:
    frames, indices = clip(3), [0, 1, 2, 0, 1]
    made = world.imagine(frames, indices)
    for form in (
        np.array(indices),
        [{"move": MOVES[index]} for index in indices],
        {"move": indices},
        ROOMS.columns(indices),
    ):
        assert (world.imagine(frames, form) == made).all()
    words = world.imagine(frames, [MOVES[index] for index in indices])
    assert words.shape == made.shape
    assert (words != made).any()  # another component: the text


def test_vectors_are_actions_too() -> None:
    world = build(MOTION)
    vectors = np.float32([[30, 0], [-30, 4], [0, 16], [5, 5]])
    made = world.imagine(clip(3), vectors)
    assert (world.imagine(clip(3), vectors.tolist()) == made).all()
    assert (world.imagine(clip(3), [*vectors[:3], "go on"]) != made).any()


def test_single_and_batched_forms_agree(world: WorldModel) -> None:
    frames = np.stack([clip(3, seed=1), clip(3, seed=2)])
    actions = [[0, 1, 2, 0], [1, 1, 0, 2]]
    both = world.imagine(frames, actions, seed=3)
    assert both.shape == (2, 2, *SIZE, 3)
    assert close(world.imagine(frames[0], actions[0], seed=3), both[0])
    assert close(world.imagine(frames[:1], actions[:1], seed=3), both[:1])
    assert (both[0] != both[1]).any()


def test_only_the_last_frames_of_the_context_count(world: WorldModel) -> None:
    frames, actions = clip(6), [0, 1, 2, 0, 1, 2, 0, 1]
    other = frames.copy()
    other[: 6 - CONTEXT] = 0
    made = world.imagine(frames, actions)
    assert (world.imagine(other, actions) == made).all()
    assert (world.imagine(frames, [2, 2, *actions[2:]]) == made).all()
    assert (world.imagine(frames, [*actions[:4], 0, *actions[5:]]) != made).any()
    other[6 - CONTEXT] = 0
    assert (world.imagine(other, actions) != made).any()


def test_the_action_of_a_frame_is_the_one_that_led_into_it(world: WorldModel) -> None:
    calls: list[list[int]] = []
    hook = world.slow.actions.register_forward_pre_hook(lambda _, inputs: calls.append(inputs[0]["move"][0].tolist()))
    try:
        world.imagine(clip(2), [0, 1, 2, 0, 1])
        world.imagine(clip(4), [0, 1, 2, 0])
    finally:
        hook.remove()
    windows = [calls[0], calls[2], calls[4]]  # two denoising steps a chunk
    assert windows[0] == [-1, 0, 1, 2]
    assert windows[1] == [0, 1, 2, 0, 1]  # frames 1 to 3, and two new ones
    assert windows[2] == [0, 1, 2, 0]  # the action into the first of the last three frames is known


def test_chunks_are_chained_in_latent_space(world: WorldModel) -> None:
    frames, encoded = clip(3), []
    hook = world.codec.vae.encoder.register_forward_pre_hook(lambda _, inputs: encoded.append(len(inputs[0])))
    try:
        long = world.imagine(frames, [0, 1, 2, 0, 1, 2])
    finally:
        hook.remove()
    assert encoded == [3]
    assert (world.imagine(frames, [0, 1, 2, 0])[:2] == long[:2]).all()


def test_the_seed_decides(world: WorldModel) -> None:
    frames, actions = clip(3), [0, 1, 2, 0]
    made = world.imagine(frames, actions, seed=1)
    torch.manual_seed(5)
    assert (world.imagine(frames, actions, seed=1) == made).all()
    assert (world.imagine(frames, actions, seed=2) != made).any()


@pytest.mark.parametrize(
    ("frames", "actions", "expected"),
    [
        (clip(3), [0, 1], "3 frames take 2 past actions and at least one more, got 2"),
        (clip(3), [], "at least one more, got 0"),
        (clip(3), [0, 1, 7], r"'move' takes 0\.\.2, got 7"),
        (clip(3), ["turn lef"] * 0 + [{"move": "turn lef"}] * 3, "did you mean 'turn left'"),
        (clip(3), [[0, 1, 2]], "go with actions"),
        (clip(1), [[0, 1, 2]], "go with actions"),
        (clip(3, (2,)), [0, 1], "go with actions"),
        (clip(3, (2,)), [[0, 1, 2]] * 3, "go with actions"),
        (clip(3)[0], [0, 1, 2], "go with actions"),
        (clip(3).astype(np.float32), [0, 1, 2], r"have to be uint8 \[B, T, 8, 12, 3\], got float32"),
        (clip(3).transpose(0, 2, 1, 3), [0, 1, 2], "have to be uint8"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    world: WorldModel, frames: np.ndarray, actions: Any, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        world.imagine(frames, actions)


# --- memory ----------------------------------------------------------------------------------------------------------


def taught(world: WorldModel, episodes: int = 1) -> Any:
    memory = world.new_memory(episodes)
    frames = np.stack([clip(6, seed=10 + e) for e in range(episodes)])
    stats = world.observe(frames, [[0, 1, 2, 0, 1]] * episodes, memory)
    assert (stats["updates"] > 0).all()
    return memory


def test_dreams_read_the_memory_and_never_write_it(world: WorldModel) -> None:
    memory = taught(world)
    before = memory.snapshot()
    plain = world.imagine(clip(3), [0, 1, 2, 0])
    with_memory = world.imagine(clip(3), [0, 1, 2, 0], memory=memory)
    assert (plain != with_memory).any()
    after = memory.snapshot()
    assert torch.equal(after.rows, before.rows)
    assert torch.equal(after.random, before.random)
    assert torch.equal(after.stream.frames, before.stream.frames)
    assert (world.imagine(clip(3), [0, 1, 2, 0], memory=memory) == with_memory).all()
    assert (world.imagine(clip(3), [0, 1, 2, 0]) == plain).all()


def test_the_base_never_changes(world: WorldModel) -> None:
    before = world.base_hash
    world.imagine(clip(3), [0, 1, 2], memory=taught(world))
    assert WorldModel(world.config, world.codec, world.slow).base_hash == before


def test_candidates_share_their_episodes_memory(world: WorldModel) -> None:
    memory = taught(world, episodes=2)
    frames = clip(3, (4,))
    actions = [[0, 1, 2, 0]] * 4
    both = world.imagine(frames, actions, memory=memory)
    memory.reset([False, True])
    changed = world.imagine(frames, actions, memory=memory)
    assert close(changed[:2], both[:2])
    assert not close(changed[2:], both[2:])


def test_observing_goes_on_where_it_left_off(world: WorldModel) -> None:
    frames, actions = clip(7), [0, 1, 2, 0, 1, 2]
    whole, parts = world.new_memory(), world.new_memory()
    world.observe(frames, actions, whole)
    world.observe(frames[:1], [], parts)
    world.observe(frames[1:4], actions[:3], parts)
    world.observe(frames[4:], actions[3:], parts)
    torch.testing.assert_close(parts.snapshot().rows, whole.snapshot().rows, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match=r"3 frames take 2 actions \(or 3, when they go on\), got 4"):
        world.observe(frames[:3], [0] * 4, parts)


def test_a_memory_of_another_world_is_refused(world: WorldModel, folder: Path) -> None:
    stranger = WorldModel.from_pretrained(folder).new_memory()
    with pytest.raises(ValueError, match="another world's network"):
        world.imagine(clip(1), [0], memory=stranger)
    with pytest.raises(ValueError, match="another world's network"):
        world.observe(clip(2), [0], stranger)


def test_the_memorys_rule_is_the_worlds_own_unless_named(world: WorldModel) -> None:
    assert (world.new_memory().rule.name, world.new_memory().rule.rank) == ("ancestor", 2)
    assert world.new_memory(rule="ancestor").rule == world.new_memory().rule
    assert world.new_memory(rule="paper").rule.name == "paper"
    rule = replace(world.new_memory().rule, rank=1)
    assert world.new_memory(rule=rule).rule is rule


def test_compiled_code_sees_memories_come_and_go(tmp_path: Path) -> None:
    build(widths=(8,)).save_pretrained(folder := tmp_path / "smallest")
    eager, compiled = WorldModel.from_pretrained(folder), WorldModel.from_pretrained(folder, compile=True)
    compiled.slow.unet.compile(backend="eager")  # traced and guarded as ever, but no minutes of generating C++
    frames, actions, rule = clip(3), [0, 1, 2], memory_rule("ancestor", rank=2, layers="temporal_attention")

    def dreams(world: WorldModel) -> list[np.ndarray]:
        memory, made = world.new_memory(rule=rule), [world.imagine(frames, actions)]
        for seed in range(2):  # the second finds compiled code that has read the first
            rows = torch.randn(memory.snapshot().rows.shape, generator=torch.Generator().manual_seed(seed))
            memory.restore(replace(memory.snapshot(), rows=rows))
            made.append(world.imagine(frames, actions, memory=memory))
        return [*made, world.imagine(frames, actions)]

    expected = dreams(eager)
    assert len({dream.tobytes() for dream in expected}) == 3
    assert all(close(one, two) for one, two in zip(dreams(compiled), expected, strict=True))


def test_no_part_stays_behind_on_another_device(world: WorldModel, folder: Path) -> None:
    moved = WorldModel.from_pretrained(folder, device="meta")
    latents = moved.encode(clip(3, (2,)))
    actions = moved.action_tensors(ROOMS.columns([[0, 1, "forward"]] * 2))
    assert {tensor.device.type for tensor in (latents, *actions.values())} == {"meta"}
    predicted = moved.slow.predict(latents, torch.zeros(2, 3, device="meta"), actions)
    assert predicted.shape == latents.shape
    assert moved.codec.decode(predicted).shape == (2, 3, 3, *SIZE)
    assert moved.device.type == "meta"
