"""Sampling: the context stays, chunks chain, guidance, window and latent sizes, precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from slowfast.slow.config import SamplingConfig
from slowfast.slow.masked_diffusion import MaskedVideoDiffusion
from slowfast.slow.noise import NoiseProcess
from slowfast.slow.windows import Guess, concat_actions, select_actions

PROCESSES = ("flow", "epsilon", "v_prediction")
SPLITS = ((0, 8), (1, 7), (4, 4), (7, 1), (0, 1), (1, 1), (3, 2))
every_process = pytest.mark.parametrize("process", PROCESSES)
both_timesteps = pytest.mark.parametrize("prefix_timestep", ["own", "shared"])


@pytest.mark.parametrize(("prefix", "new"), [(0, 8), (1, 7), (6, 1)])
@both_timesteps
@every_process
def test_sampling_keeps_the_context_bit_for_bit(
    learner: Any,
    windows: Any,
    generators: Any,
    recorded: Any,
    process: str,
    prefix_timestep: str,
    prefix: int,
    new: int,
) -> None:
    batch = windows(2, prefix, new)
    context = batch.latents[:, :prefix].clone()
    slow = learner(process, prefix_timestep=prefix_timestep)
    made = slow.generate(context, batch.actions, new, generators(2), steps=3)
    assert made.shape == (2, new, *batch.latents.shape[2:])
    assert made.isfinite().all()
    assert len(recorded) == 3
    for call in recorded:
        assert torch.equal(call["sample"][:, :prefix], batch.latents[:, :prefix])
    assert torch.equal(context, batch.latents[:, :prefix])
    levels = torch.stack([call["level"][0, -1] for call in recorded])
    assert (levels.diff() < 0).all()


@every_process
def test_sampling_is_deterministic_under_a_seed(learner: Any, windows: Any, generators: Any, process: str) -> None:
    batch, slow = windows(2, 3, 2), learner(process)

    def sample(start: int) -> torch.Tensor:
        torch.rand(1)  # the global generator has no say
        return slow.generate(batch.latents[:, :3], batch.actions, 2, generators(2, start), steps=2)

    assert torch.equal(sample(0), sample(0))
    assert (sample(0) - sample(5)).abs().max() > 0.1


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@every_process
def test_an_episode_alone_is_the_episode_in_a_batch(
    learner: Any, windows: Any, generators: Any, process: str, guidance: float
) -> None:
    slow, batch = learner(process), windows(6, 3, 2)
    both = slow.generate(batch.latents[:, :3], batch.actions, 2, generators(3), steps=3, guidance=guidance)
    for episode in range(3):
        own = windows(2, 3, 2, start=2 * episode)  # two candidates an episode, episode-major
        alone = slow.generate(own.latents[:, :3], own.actions, 2, generators(1, episode), steps=3, guidance=guidance)
        torch.testing.assert_close(both[2 * episode : 2 * episode + 2], alone, rtol=1e-4, atol=1e-4)


def test_chunks_chain_in_latent_space(learner: Any, windows: Any, generators: Any, recorded: Any) -> None:
    slow, batch = learner(), windows(2, 3, 2)
    first = slow.generate(batch.latents[:, :3], batch.actions, 2, generators(2))
    context = torch.cat([batch.latents[:, :3], first], 1)[:, -3:]
    actions = concat_actions([select_actions(batch.actions, (slice(None), slice(2, None))), slow.null_actions(2, 2)])
    slow.generate(context, actions, 2, generators(2, 7))
    assert torch.equal(recorded[-1]["sample"][:, 1:3], first)


def test_context_noise_is_drawn_once_and_shown(learner: Any, windows: Any, generators: Any, recorded: Any) -> None:
    slow, batch = learner(context_noise=0.1), windows(2, 3, 2)
    slow.generate(batch.latents[:, :3], batch.actions, 2, generators(2))
    for call in recorded:
        assert (call["level"][:, :3] == 100).all()
        assert torch.equal(call["sample"][:, :3], recorded[0]["sample"][:, :3])
    difference = recorded[0]["sample"][:, :3] - 0.9 * batch.latents[:, :3]
    assert 0.07 < difference.std() < 0.13


def test_guidance_of_one_is_the_conditional_prediction(
    learner: Any, windows: Any, generators: Any, recorded: Any
) -> None:
    slow, batch = learner(guidance=3.0), windows(2, 3, 2)
    plain = slow.generate(batch.latents[:, :3], batch.actions, 2, generators(2), guidance=1.0)
    assert all(len(call["sample"]) == 2 for call in recorded)
    guided = slow.generate(batch.latents[:, :3], batch.actions, 2, generators(2))
    assert len(recorded[-1]["sample"]) == 4
    assert (plain - guided).abs().max() > 1e-3


def test_guidance_doubles_each_episode_in_place(learner: Any, windows: Any, generators: Any, recorded: Any) -> None:
    slow, batch = learner(), windows(3, 3, 2)
    level = torch.full((3, 5), 400.0)
    with torch.no_grad():
        guided = slow._guided(batch.latents, level, batch.actions, 2.5)
        conditional = slow.predict(batch.latents, level, batch.actions)
        free = slow.predict(batch.latents, level, slow.null_actions(3, 5))
        null = slow.actions(slow.null_actions(1, 5))
    call = recorded[0]
    for branch in range(2):
        assert torch.equal(call["sample"][branch::2], batch.latents)
    torch.testing.assert_close(call["frame"][1::2], null.frame.expand(3, -1, -1))
    torch.testing.assert_close(call["text"][1::2], null.text.expand(3, -1, -1, -1))
    torch.testing.assert_close(guided, free + 2.5 * (conditional - free), rtol=1e-4, atol=1e-4)


def test_more_frames_than_the_window_are_refused(learner: Any, windows: Any, generators: Any) -> None:
    batch = windows(1, 4, 4)
    with pytest.raises(ValueError, match=r"5 \+ 4 frames do not fit the window of 8"):
        learner().generate(batch.latents[:, :5], batch.actions, 4, generators(1))


@pytest.mark.parametrize("side", [(9, 15), (3, 5), (8, 4)])
def test_any_latent_size_works(learner: Any, windows: Any, generators: Any, side: tuple[int, int]) -> None:
    batch, slow = windows(2, 2, 2, side=side), learner()
    assert slow.loss(batch, generators(2)).isfinite().all()
    made = slow.generate(batch.latents[:, :2], batch.actions, 2, generators(2), steps=1)
    assert made.shape == (2, 2, 4, *side)


def test_half_precision_weights_take_and_give_full_precision_latents(
    learner: Any, windows: Any, generators: Any, base: MaskedVideoDiffusion, tmp_path: Path
) -> None:
    base.save_pretrained(tmp_path)
    half = MaskedVideoDiffusion.from_pretrained(tmp_path).to(torch.bfloat16).eval()
    batch = windows(2, 3, 2)
    with torch.no_grad():
        loss = half.loss(batch, generators(2))
        torch.testing.assert_close(loss, learner().loss(batch, generators(2)), rtol=0.05, atol=0.05)
    made = half.generate(batch.latents[:, :3], batch.actions, 2, generators(2))
    assert made.dtype == loss.dtype == torch.float32


def test_what_sampling_is_set_to_is_saved(learner: Any, windows: Any, generators: Any, tmp_path: Path) -> None:
    slow, batch = learner("flow"), windows(1, 4, 2)
    slow.set_sampling(SamplingConfig(steps=2, shift=0.5, context_noise=0.1))
    assert (slow.noise.timesteps(2, "cpu") / slow.noise.levels).tolist() == pytest.approx([1.0, 1 / 3])
    slow.set_sampling(SamplingConfig())  # nothing said, nothing changed
    slow.save_pretrained(tmp_path)
    again = MaskedVideoDiffusion.from_pretrained(tmp_path)
    assert (again.config.steps, float(again.noise.scheduler.shift), again.config.context_noise) == (2, 0.5, 0.1)
    made, same = (s.generate(batch.latents[:, :4], batch.actions, 2, generators(1)) for s in (slow, again))
    assert torch.equal(made, same)


def test_a_spacing_is_refused_without_flow_matching(learner: Any) -> None:
    with pytest.raises(ValueError, match="DDIMScheduler"):
        learner("epsilon").set_sampling(SamplingConfig(shift=0.5))
    for wrong in ({"steps": 0}, {"shift": 0.0}, {"context_noise": 1.0}):
        with pytest.raises(ValueError, match="sampl"):
            SamplingConfig(**wrong)


@pytest.mark.parametrize("steps", [1, 3])
@every_process
def test_a_guess_that_nobody_trusts_changes_nothing(
    learner: Any, windows: Any, generators: Any, process: str, steps: int
) -> None:
    slow, batch = learner(process), windows(2, 3, 2)
    context, guess = batch.latents[:, :3], Guess(batch.latents[:, 3:], torch.zeros(2, 2))
    plain = slow.generate(context, batch.actions, 2, generators(2), steps=steps)
    made = slow.generate(context, batch.actions, 2, generators(2), steps=steps, guess=guess)
    torch.testing.assert_close(made, plain, rtol=1e-4, atol=1e-4)


@both_timesteps
@every_process
def test_a_new_frame_begins_with_as_much_of_a_guess_as_it_is_trusted(
    learner: Any, windows: Any, generators: Any, process: str, prefix_timestep: str
) -> None:
    slow, batch = learner(process, prefix_timestep=prefix_timestep), windows(2, 3, 1)
    context, guess = batch.latents[:, :3], batch.latents[:, 3:]

    def off(trust: float) -> torch.Tensor:
        shares = torch.tensor([[0.0], [trust]])  # the first episode has no guess
        made = slow.generate(context, batch.actions, 1, generators(2), steps=3, guess=Guess(guess, shares))
        return (made - guess).square().flatten(1).mean(1)

    none, half, most = off(0.0), off(0.5), off(0.99)
    assert most[1] < 0.1 * half[1] < 0.1 * none[1]
    torch.testing.assert_close(torch.stack([half[0], most[0]]), none[:1].expand(2), rtol=1e-3, atol=1e-4)


def test_a_guess_needs_noise_of_the_trained_scale() -> None:
    process = NoiseProcess.create("EulerDiscreteScheduler")
    with pytest.raises(ValueError, match="EulerDiscreteScheduler starts from noise alone"):
        process.level_of(torch.tensor([0.5]))
