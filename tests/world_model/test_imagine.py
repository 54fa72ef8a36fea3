"""Dreams in every form of arguments: frames, batches, indices, words and vectors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from toy_world import CONTEXT, MOTION, MOVES, ROOMS, SIZE, build, clip, close

from slowfast import WorldModel


def test_latents_and_frames_go_both_ways(world: WorldModel) -> None:
    latents = world.encode(clip(3, (2,)))
    assert latents.shape == (2, 3, 4, 4, 6)
    assert latents.dtype == torch.float32
    frames = world.decode(latents)
    assert frames.shape == (2, 3, *SIZE, 3)
    assert frames.dtype == np.uint8


def test_pictures_of_another_size_are_brought_to_the_worlds_own_as_its_clips_were() -> None:
    world = build()
    large = clip(3).repeat(2, 1).repeat(2, 2)
    with pytest.raises(ValueError, match="frames have to be uint8"):
        world.imagine(large, [0, 1, 2])
    world.config = replace(world.config, fit="crop")
    assert (world.imagine(large, [0, 1, 2]) == world.imagine(clip(3), [0, 1, 2])).all()
    wide = np.concatenate([large, large], 2)  # the middle of it is cut out
    middle = wide[:, :, SIZE[1] : 3 * SIZE[1]]
    assert (world.imagine(wide, [0, 1, 2]) == world.imagine(middle, [0, 1, 2])).all()


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
