"""The noise processes against the exact answer: a denoiser that knows the data's distribution brings the data back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from torch import nn

from slowfast.slow.masked_diffusion import MaskedDiffusionConfig, MaskedVideoDiffusion
from slowfast.slow.noise import CLEAN, NoiseProcess
from slowfast.slow.windows import Windows

PREDICTIONS = ("flow", "epsilon", "v_prediction")
MODELSCOPE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


def make_process(prediction: str, **settings: Any) -> NoiseProcess:
    if prediction == "flow":
        return NoiseProcess.create("FlowMatchEulerDiscreteScheduler")
    return NoiseProcess.create("DDIMScheduler", prediction_type=prediction, **settings)


class ExactDenoiser(nn.Module):
    """Stands where the UNet stands and predicts exactly, for independent values ``N(mean, deviation ** 2)``."""

    def __init__(self, prediction: str, mean: torch.Tensor, deviation: float, width: int, **settings: Any) -> None:
        super().__init__()
        self.prediction, self.mean, self.variance, self.time_embed_dim = prediction, mean, deviation**2, width
        self.conv_in = nn.Conv2d(1, 1, 1)
        if prediction != "flow":
            self.alphas = diffusers.DDIMScheduler(**settings).alphas_cumprod.double()

    def forward(self, sample: torch.Tensor, level: torch.Tensor, *_: Any, **__: Any) -> tuple[torch.Tensor]:
        if self.prediction == "flow":
            sigma = level.double() / 1000
            signal = 1 - sigma
        else:
            alpha = self.alphas[level.long()]
            signal, sigma = alpha.sqrt(), (1 - alpha).sqrt()
        signal, sigma = (scale[:, None, :, None, None] for scale in (signal, sigma))
        mean = self.mean.double()[:, None, None, None]
        share = signal * self.variance / (signal**2 * self.variance + sigma**2).clamp(min=1e-12)
        data = mean + share * (sample.double() - signal * mean)
        noise = (sample.double() - signal * data) / sigma.clamp(min=1e-12)
        answer = {"flow": noise - data, "epsilon": noise, "v_prediction": signal * noise - sigma * data}
        return (answer[self.prediction].float(),)


def exact_learner(
    base: MaskedVideoDiffusion, prediction: str, deviation: float, prefix_timestep: str = "own", **settings: Any
) -> tuple[MaskedVideoDiffusion, torch.Tensor]:
    mean = torch.tensor([-3.0, 0.5, 2.0, 6.0])
    network = ExactDenoiser(prediction, mean, deviation, base.unet.time_embed_dim, **settings)
    config = MaskedDiffusionConfig(prefix_timestep=prefix_timestep)
    process = make_process(prediction, **settings)
    return MaskedVideoDiffusion(network, base.actions, process, config), mean  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", [1, 4, 50])
@pytest.mark.parametrize("prefix_timestep", ["own", "shared"])
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_sampling_finds_a_known_point(
    base: MaskedVideoDiffusion, generators: Any, prediction: str, prefix_timestep: str, steps: int
) -> None:
    slow, mean = exact_learner(base, prediction, 0.0, prefix_timestep)
    context = torch.randn(2, 3, 4, 5, 3)
    made = slow.generate(context, slow.null_actions(2, 5), 2, generators(2), steps=steps)
    torch.testing.assert_close(made, mean[:, None, None].expand_as(made), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_exact_denoiser_of_a_point_has_no_loss(
    base: MaskedVideoDiffusion, generators: Any, prediction: str
) -> None:
    slow, mean = exact_learner(base, prediction, 0.0)
    latents = mean[:, None, None].expand(64, 5, 4, 5, 3).clone()
    loss = slow.loss(Windows(latents, slow.null_actions(64, 5), 3), generators(1))
    assert loss.max() < 1e-3  # a level close to zero amplifies rounding


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_sampling_follows_a_known_gaussian(base: MaskedVideoDiffusion, generators: Any, prediction: str) -> None:
    """The deterministic sampler carries each value of the starting noise to the same quantile of the data."""
    slow, mean = exact_learner(base, prediction, 0.5)
    made = slow.generate(torch.zeros(1, 0, 4, 16, 16), slow.null_actions(1, 4), 4, generators(1), steps=200)
    noise = torch.randn(1, 4, 4, 16, 16, generator=generators(1)[0])
    torch.testing.assert_close(made, mean[:, None, None] + 0.5 * noise, rtol=0, atol=0.06)


def test_modelscopes_own_schedule_recovers_a_point(base: MaskedVideoDiffusion, generators: Any) -> None:
    """Its last step keeps the noise of the first level (``set_alpha_to_one`` is off)."""
    slow, mean = exact_learner(base, "epsilon", 0.0, "shared", **MODELSCOPE)
    made = slow.generate(torch.zeros(1, 1, 4, 8, 8), slow.null_actions(1, 5), 4, generators(1), steps=50)
    torch.testing.assert_close(made, mean[:, None, None].expand_as(made), rtol=0, atol=0.15)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_clean_frames_come_back_bit_for_bit(prediction: str) -> None:
    process = make_process(prediction)
    data, noise = torch.randn(1000, 2, 3, 2, 2), torch.full((1000, 2, 3, 2, 2), float("inf"))
    noise[:, 1] = torch.randn(1000, 3, 2, 2)
    level = torch.stack([torch.full((1000,), CLEAN), torch.arange(1000.0)], 1)
    mixed = process.mix(data, noise, level)
    assert torch.equal(mixed[:, 0], data[:, 0])
    assert (mixed[100:, 1] != data[100:, 1]).any((1, 2, 3)).all()


def test_mixing_is_what_diffusers_adds() -> None:
    process = make_process("epsilon")
    data, noise, level = torch.randn(50, 1, 3, 2, 2), torch.randn(50, 1, 3, 2, 2), torch.arange(0.0, 1000.0, 20.0)
    expected = process.scheduler.add_noise(data[:, 0], noise[:, 0], level.long())
    torch.testing.assert_close(process.mix(data, noise, level[:, None])[:, 0], expected)
    velocity = make_process("v_prediction")
    expected = velocity.scheduler.get_velocity(data[:, 0], noise[:, 0], level.long())
    torch.testing.assert_close(velocity.target(data, noise, level[:, None])[:, 0], expected)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_levels_cover_the_whole_range(prediction: str) -> None:
    process = make_process(prediction)
    level = process.draw(4000, torch.Generator().manual_seed(0))
    low, high = (0.0, 1000.0) if prediction == "flow" else (-1.0, 999.0)
    assert level.min() > low
    assert level.max() <= high
    assert level.histc(10, 0, 1000).min() > 300


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("steps", [1, 4, 30])
def test_sampling_takes_as_many_steps_as_asked(prediction: str, steps: int) -> None:
    process = make_process(prediction)
    for _ in range(2):
        timesteps = process.timesteps(steps, "cpu")
        assert len(timesteps) == steps
        assert (timesteps.diff() < 0).all()


def test_latents_are_not_clipped_unless_asked() -> None:
    assert not make_process("epsilon").scheduler.config["clip_sample"]
    assert make_process("epsilon", clip_sample=True).scheduler.config["clip_sample"]


def test_unknown_schedulers_and_predictions_are_refused() -> None:
    with pytest.raises(ValueError, match="'Magic' is not known; choose one of FlowMatch"):
        NoiseProcess.create("Magic")
    with pytest.raises(ValueError, match="prediction_type 'sample' is not"):
        NoiseProcess.create("DDIMScheduler", prediction_type="sample")


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_saving_and_loading(prediction: str, tmp_path: Path) -> None:
    process = make_process(prediction)
    process.save_pretrained(tmp_path)
    again = NoiseProcess.from_pretrained(tmp_path)
    assert again.prediction == prediction
    assert torch.equal(again.timesteps(4, "cpu"), process.timesteps(4, "cpu"))


@pytest.mark.parametrize("name", ["DDPMScheduler", "PNDMScheduler", "DPMSolverMultistepScheduler"])
def test_a_folder_of_the_ddpm_family_is_sampled_with_ddim(name: str, tmp_path: Path) -> None:
    getattr(diffusers, name)(beta_schedule="scaled_linear", beta_start=0.001, beta_end=0.01).save_pretrained(tmp_path)
    process = NoiseProcess.from_pretrained(tmp_path)
    assert isinstance(process.scheduler, diffusers.DDIMScheduler)
    reference = getattr(diffusers, name).from_pretrained(tmp_path)
    assert torch.equal(process.scheduler.alphas_cumprod, reference.alphas_cumprod)
    assert json.loads((tmp_path / "scheduler_config.json").read_text())["_class_name"] == name


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_euler_samples_too(base: MaskedVideoDiffusion, generators: Any, prediction: str) -> None:
    slow, mean = exact_learner(base, prediction, 0.0)
    slow.noise = NoiseProcess.create("EulerDiscreteScheduler", prediction_type=prediction, beta_schedule="linear",
                                     beta_start=1e-4, beta_end=0.02, interpolation_type="linear")  # fmt: skip
    made = slow.generate(torch.randn(1, 2, 4, 3, 3), slow.null_actions(1, 4), 2, generators(1), steps=20)
    torch.testing.assert_close(made, mean[:, None, None].expand_as(made), rtol=0, atol=0.1)


def test_shifted_training_levels_lie_nearer_to_noise() -> None:
    process = make_process("flow")
    shifted, plain = (process.draw(4096, torch.Generator().manual_seed(0), shift) for shift in (3.0, 1.0))
    assert float(plain.mean()) == pytest.approx(500, rel=0.03)
    torch.testing.assert_close(shifted, 3000 * plain / (1000 + 2 * plain), rtol=1e-5, atol=1e-2)
    assert process.timesteps(4, "cpu").tolist() == pytest.approx([1000, 750, 500, 250])  # sampling steps stay
