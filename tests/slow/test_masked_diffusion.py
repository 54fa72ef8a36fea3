"""A clean prefix, noise and loss on the new frames alone: at any noise level, for any split of the window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from slowfast.slow import SlowLearner, load_slow_learner
from slowfast.slow.masked_diffusion import MaskedDiffusionConfig, MaskedVideoDiffusion
from slowfast.slow.windows import Windows

PROCESSES = ("flow", "epsilon", "v_prediction")
SPLITS = ((0, 8), (1, 7), (4, 4), (7, 1), (0, 1), (1, 1), (3, 2))
every_process = pytest.mark.parametrize("process", PROCESSES)
both_timesteps = pytest.mark.parametrize("prefix_timestep", ["own", "shared"])


@pytest.mark.parametrize(("prefix", "new"), SPLITS)
@both_timesteps
@every_process
def test_prefix_stays_clean_at_every_timestep(
    learner: Any,
    windows: Any,
    generators: Any,
    recorded: Any,
    process: str,
    prefix_timestep: str,
    prefix: int,
    new: int,
) -> None:
    batch = windows(12, prefix, new)
    with torch.no_grad():
        loss = learner(process, prefix_timestep=prefix_timestep).loss(batch, generators(3))
    assert loss.shape == (12,)
    sample, level = recorded[0]["sample"], recorded[0]["level"]
    assert torch.equal(sample[:, :prefix], batch.latents[:, :prefix])
    assert (sample[:, prefix:] != batch.latents[:, prefix:]).flatten(1).any(1).all()
    assert len(level[:, -1].unique()) > 6
    shown = level[:, -1:] if prefix_timestep == "shared" else torch.zeros(12, 1)
    assert (level[:, :prefix] == shown).all()
    assert (level[:, prefix:] == level[:, -1:]).all()


@every_process
def test_sampled_levels_are_those_that_sampling_visits(
    learner: Any, windows: Any, generators: Any, recorded: Any, process: str
) -> None:
    slow = learner(process)
    with torch.no_grad():
        slow.loss(windows(24, 2, 2), generators(3), levels="sampled")
        slow.loss(windows(24, 2, 2), generators(3), levels="start")
    visited = slow.noise.timesteps(slow.config.steps, "cpu").float()
    assert set(recorded[0]["level"][:, -1].tolist()) == set(visited.tolist())
    assert set(recorded[1]["level"][:, -1].tolist()) == {float(visited.max())}


@both_timesteps
@every_process
def test_prefix_predictions_get_no_gradient(
    learner: Any, windows: Any, generators: Any, recorded: Any, process: str, prefix_timestep: str
) -> None:
    learner(process, prefix_timestep=prefix_timestep).loss(windows(2, 3, 2), generators(2)).sum().backward()
    gradient = recorded[0]["output"].grad.transpose(1, 2)
    assert not gradient[:, :3].any()
    assert gradient[:, 3:].flatten(2).any(2).all()


class OtherPrefixNoise(MaskedVideoDiffusion):
    """Draws other noise for the prefix, and the same for the rest."""

    def _draw(self, latents: torch.Tensor, prefix: int, *args: Any) -> tuple[torch.Tensor, torch.Tensor]:
        level, noise = super()._draw(latents, prefix, *args)
        noise[:, :prefix] = 100.0 * torch.randn(noise[:, :prefix].shape)
        return level, noise


@both_timesteps
@every_process
def test_noise_on_the_prefix_changes_nothing(
    learner: Any, windows: Any, generators: Any, process: str, prefix_timestep: str
) -> None:
    slow = learner(process, prefix_timestep=prefix_timestep)
    other = OtherPrefixNoise(slow.unet, slow.actions, slow.noise, slow.config)
    batch = windows(4, 3, 2)
    with torch.no_grad():
        assert torch.equal(slow.loss(batch, generators(4)), other.loss(batch, generators(4)))


@every_process
def test_the_loss_is_the_mean_squared_error_over_the_new_frames(
    learner: Any, windows: Any, generators: Any, recorded: Any, process: str
) -> None:
    slow, batch = learner(process), windows(2, 3, 2)
    with torch.no_grad():
        loss = slow.loss(batch, generators(2))
    level, noise = slow._draw(batch.latents, 3, generators(2), 0.0, 1.0)
    target = slow.noise.target(batch.latents, noise, level)
    error = (recorded[0]["output"].transpose(1, 2) - target)[:, 3:]
    torch.testing.assert_close(loss, error.square().mean((1, 2, 3, 4)))


def test_an_episodes_draws_do_not_depend_on_its_neighbours(
    learner: Any, windows: Any, generators: Any, recorded: Any
) -> None:
    slow = learner()
    with torch.no_grad():
        both = slow.loss(windows(6, 2, 3), generators(3))
        alone = slow.loss(windows(2, 2, 3, start=2), generators(1, start=1))
    assert torch.equal(recorded[0]["sample"][2:4], recorded[1]["sample"])
    assert torch.equal(recorded[0]["level"][2:4], recorded[1]["level"])
    torch.testing.assert_close(both[2:4], alone, rtol=1e-4, atol=1e-5)


def test_actions_and_prefix_matter(learner: Any, windows: Any, generators: Any) -> None:
    slow, batch = learner(), windows(2, 2, 3)
    other_actions = Windows(batch.latents, slow.null_actions(2, 5), 2)
    other_prefix = Windows(torch.cat([-batch.latents[:, :2], batch.latents[:, 2:]], 1), batch.actions, 2)
    with torch.no_grad():
        losses = [slow.loss(w, generators(2)) for w in (batch, other_actions, other_prefix)]
    assert ((losses[0] - losses[1]).abs() > 1e-5).all()
    assert ((losses[0] - losses[2]).abs() > 1e-5).all()


@every_process
def test_prefix_noise_is_shown_to_the_network(
    learner: Any, windows: Any, generators: Any, recorded: Any, process: str
) -> None:
    slow, batch = learner(process), windows(16, 3, 2)
    with torch.no_grad():
        slow.loss(batch, generators(16), prefix_noise=0.5)
    level, sample = recorded[0]["level"], recorded[0]["sample"]
    assert (level[:, :3] == level[:, :1]).all()
    assert level[:, 0].max() < 0.5 * slow.noise.levels
    assert len(level[:, 0].unique()) > 8
    noisiest = level[:, 0].argmax()
    assert (sample[noisiest, :3] - batch.latents[noisiest, :3]).std() > 0.05


def test_a_shared_timestep_allows_no_noisy_prefix(learner: Any, windows: Any, generators: Any) -> None:
    with pytest.raises(ValueError, match="prefix_timestep='own'"):
        learner(prefix_timestep="shared").loss(windows(2, 3, 2), generators(2), prefix_noise=0.5)
    with pytest.raises(ValueError, match="prefix_timestep='own'"):
        MaskedDiffusionConfig(prefix_timestep="shared", context_noise=0.1)
    with pytest.raises(ValueError, match="'both' is not"):
        MaskedDiffusionConfig(prefix_timestep="both")


def test_generators_have_to_share_the_batch(learner: Any, windows: Any, generators: Any) -> None:
    for count in (0, 2):
        with pytest.raises(ValueError, match=f"3 windows cannot be shared equally among {count} generators"):
            learner().loss(windows(3, 1, 1), generators(count))


@every_process
def test_saving_and_loading_keeps_the_samples(
    learner: Any, windows: Any, generators: Any, tmp_path: Path, process: str
) -> None:
    slow, batch = learner(process, steps=2, window=6, guidance=1.5), windows(2, 3, 2)
    slow.save_pretrained(tmp_path)
    again = load_slow_learner(tmp_path)
    assert isinstance(again, SlowLearner)
    assert again.config == slow.config
    assert again.noise.prediction == process
    assert not again.unet.training
    samples = [s.eval().generate(batch.latents[:, :3], batch.actions, 2, generators(2)) for s in (slow, again)]
    assert torch.equal(*samples)


def test_saving_in_half_precision_keeps_the_live_weights(base: MaskedVideoDiffusion, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    base.save_pretrained(tmp_path, torch.bfloat16)
    again = MaskedVideoDiffusion.from_pretrained(tmp_path).state_dict()
    for name, tensor in base.state_dict().items():
        assert torch.equal(tensor, before[name])
        assert again[name].dtype == torch.float32
        assert torch.equal(again[name], tensor.bfloat16().float())


def test_a_folder_that_is_no_slow_learner_is_named(base: MaskedVideoDiffusion, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"slow_learner\.json: not a slowfast world"):
        load_slow_learner(tmp_path)
    (tmp_path / "slow_learner.json").write_text('{"class": "Magic"}')
    with pytest.raises(ValueError, match="'Magic' is not a known slow learner"):
        load_slow_learner(tmp_path)


@pytest.mark.parametrize("make", [lambda w: w.select([1]), lambda w: w.select(torch.tensor([False, True]))])
def test_windows_are_selected_along_the_batch(windows: Any, make: Callable[[Windows], Windows]) -> None:
    batch = windows(2, 2, 3)
    chosen = make(batch)
    assert torch.equal(chosen.latents, batch.latents[1:])
    assert torch.equal(chosen.actions["move"], batch.actions["move"][1:])
    assert chosen.prefix == 2


def test_windows_check_their_axes(windows: Any, learner: Any) -> None:
    batch = windows(2, 2, 3)
    with pytest.raises(ValueError, match="prefix 5 does not fit a window of 5"):
        Windows(batch.latents, batch.actions, 5)
    with pytest.raises(ValueError, match=r"need latents \[B, F, C, h, w\]"):
        Windows(batch.latents[0], batch.actions, 1)
    with pytest.raises(ValueError, match="'move' has axes"):
        Windows(batch.latents, learner().null_actions(2, 4), 1)
