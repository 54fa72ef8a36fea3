"""A text-to-video folder in ModelScope's layout becomes a world: at first it does exactly what it did before."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet3DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from slowfast.actions import ActionSpec, Discrete, Language
from slowfast.codecs import load_codec
from slowfast.slow import load_slow_learner
from slowfast.slow.build import from_text_to_video, with_actions
from slowfast.slow.masked_diffusion import MaskedDiffusionConfig
from slowfast.slow.windows import Windows
from slowfast.world_model import WorldModel

WIDTH, TOKENS, CHANNELS = 16, 11, 4
SPEC = ActionSpec((Discrete("move", ("turn left", "turn right", "forward")), Language("text", describes="move")))


def save_tokenizer(folder: Path) -> None:
    """A CLIP tokenizer of letters and a few merges, in its two classic files."""
    letters = [chr(code) for code in range(33, 127)]
    merges = ["t u", "r n</w>", "l e", "f t</w>", "tu rn</w>", "le ft</w>"]
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), *(pair.replace(" ", "") for pair in merges)]
    vocabulary = {piece: i for i, piece in enumerate([*pieces, "<|startoftext|>", "<|endoftext|>"])}
    pairs = [tuple(pair.split()) for pair in merges]
    CLIPTokenizer(vocab=vocabulary, merges=pairs, model_max_length=TOKENS).save_pretrained(folder)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a model in miniature, saved by the real libraries as ModelScope's folder is."""
    folder = tmp_path_factory.mktemp("text-to-video")
    torch.manual_seed(0)
    save_tokenizer(folder / "tokenizer")
    text = CLIPTextConfig(
        vocab_size=200, hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=TOKENS, hidden_act="gelu",
    )  # fmt: skip
    CLIPTextModel(text).save_pretrained(folder / "text_encoder")
    unet = UNet3DConditionModel(
        sample_size=8,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        block_out_channels=(8, 16, 16, 16),
        norm_num_groups=4,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
    )
    with torch.no_grad():
        for parameter in unet.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
    unet.save_pretrained(folder / "unet")
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        latent_channels=CHANNELS,
        norm_num_groups=4,
        sample_size=64,
    ).save_pretrained(folder / "vae")
    DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False,
        set_alpha_to_one=False, steps_offset=1,
    ).save_pretrained(folder / "scheduler")  # fmt: skip
    parts = {
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet3DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "TextToVideoSDPipeline", **parts}))
    return folder


def embed(folder: Path, text: str) -> torch.Tensor:
    """As the pipeline does it: ``[1, L, D]``."""
    words = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    ids = words(text, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt").input_ids
    with torch.no_grad():
        return CLIPTextModel.from_pretrained(folder / "text_encoder").eval()(ids)[0]


@pytest.mark.parametrize("actions", ["null", "indices alone"])
def test_without_prefix_and_words_the_output_is_the_originals(original: Path, actions: str) -> None:
    slow = from_text_to_video(original, SPEC)
    stock = UNet3DConditionModel.from_pretrained(original / "unet").eval()
    latents, timestep = torch.randn(2, 5, CHANNELS, 8, 8), torch.tensor([981, 321])
    given = slow.null_actions(2, 5)
    if actions == "indices alone":
        given["move"][:] = 1  # their embedding starts at zero
    with torch.no_grad():
        expected = stock(latents.transpose(1, 2), timestep, embed(original, "").expand(2, -1, -1)).sample
        ours = slow.predict(latents, timestep[:, None].expand(2, 5).float(), given)
    torch.testing.assert_close(ours, expected.transpose(1, 2), rtol=1e-4, atol=1e-5)


def test_words_are_read_as_the_original_reads_them(original: Path) -> None:
    slow = from_text_to_video(original, SPEC)
    stock = UNet3DConditionModel.from_pretrained(original / "unet").eval()
    latents = torch.randn(1, 3, CHANNELS, 8, 8)
    words = slow.actions.tensors(SPEC.columns([["turn left"] * 3]))
    with torch.no_grad():
        expected = stock(latents.transpose(1, 2), torch.tensor(500), embed(original, "turn left")).sample
        ours = slow.predict(latents, torch.full((1, 3), 500.0), words)
        null = slow.predict(latents, torch.full((1, 3), 500.0), slow.null_actions(1, 3))
    torch.testing.assert_close(ours, expected.transpose(1, 2), rtol=1e-4, atol=1e-5)
    assert (ours - null).abs().max() > 1e-4


def test_a_whole_sample_is_the_pipelines(original: Path) -> None:
    slow = from_text_to_video(original, SPEC)
    stock = UNet3DConditionModel.from_pretrained(original / "unet").eval()
    scheduler = DDIMScheduler.from_pretrained(original / "scheduler")
    scheduler.set_timesteps(6)
    words = embed(original, "turn left")
    sample = torch.randn(1, 4, CHANNELS, 8, 8, generator=torch.Generator().manual_seed(3)).transpose(1, 2)
    with torch.no_grad():
        for timestep in scheduler.timesteps:
            free, conditional = (stock(sample, timestep, text).sample for text in (embed(original, ""), words))
            sample = scheduler.step(free + 9 * (conditional - free), timestep, sample).prev_sample
    made = slow.generate(
        torch.zeros(1, 0, CHANNELS, 8, 8), slow.actions.tensors(SPEC.columns([["turn left"] * 4])), 4,
        [torch.Generator().manual_seed(3)], steps=6, guidance=9.0,
    )  # fmt: skip
    torch.testing.assert_close(made, sample.transpose(1, 2), rtol=1e-3, atol=1e-3)


def test_the_papers_settings_are_the_default(original: Path) -> None:
    slow = from_text_to_video(original, SPEC)
    assert slow.config == MaskedDiffusionConfig(32, "shared", steps=50, guidance=7.5, dropout=0.1)
    assert slow.noise.prediction == "epsilon"
    assert slow.noise.scheduler.config["steps_offset"] == 1
    assert from_text_to_video(original, SPEC, MaskedDiffusionConfig(window=16)).config.window == 16


def test_the_text_encoder_stays_frozen_and_the_rest_learns(original: Path) -> None:
    slow = from_text_to_video(original, SPEC)
    windows = Windows(torch.randn(2, 4, CHANNELS, 8, 8), slow.actions.tensors(SPEC.columns([["go"] * 4] * 2)), 1)
    slow.loss(windows, [torch.Generator().manual_seed(0)]).sum().backward()
    learning = {name for name, parameter in slow.named_parameters() if parameter.grad is not None}
    assert not any(name.startswith("actions.text.") for name in learning)
    assert {name for name, _ in slow.named_parameters() if name.startswith("unet.")} <= learning
    assert slow.actions.project[-1].weight.grad.any()


@pytest.mark.parametrize("spec", [ActionSpec((Discrete("move", ("a", "b")),)), ActionSpec((Language("text"),))])
def test_any_action_space_fits(original: Path, spec: ActionSpec) -> None:
    slow = from_text_to_video(original, spec)
    with torch.no_grad():
        output = slow.predict(torch.randn(1, 2, CHANNELS, 8, 8), torch.full((1, 2), 5.0), slow.null_actions(1, 2))
    assert output.isfinite().all()
    assert slow.null_actions(2, 0)[spec.components[0].name].shape[:2] == (2, 0)
    other = with_actions(slow, SPEC)
    assert other.actions.text is slow.actions.text
    assert other.unet is slow.unet


@pytest.mark.parametrize("part", ["unet", "text_encoder", "tokenizer", "scheduler", "vae"])
def test_a_missing_part_is_named(original: Path, tmp_path: Path, part: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(original, folder)
    shutil.rmtree(folder / part)
    with pytest.raises(FileNotFoundError, match=part):
        WorldModel.from_text_to_video(folder, SPEC, (64, 64))


def test_parts_that_do_not_fit_are_named(original: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(original, folder)
    AutoencoderKL(latent_channels=8, norm_num_groups=4, block_out_channels=(8,)).save_pretrained(folder / "vae")
    with pytest.raises(ValueError, match="does not take the 8 channels"):
        WorldModel.from_text_to_video(folder, SPEC, (64, 64))
    text = CLIPTextConfig(
        vocab_size=200, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2
    )
    CLIPTextModel(text).save_pretrained(folder / "text_encoder")
    with pytest.raises(ValueError, match="text encoder is 8 wide, the UNet's cross-attention takes 16"):
        from_text_to_video(folder, SPEC)


def test_its_autoencoder_is_the_codec(original: Path) -> None:
    codec = load_codec(original / "vae")
    assert (codec.spatial_factor, codec.temporal_factor, codec.latent_channels) == (8, 1, CHANNELS)
    frames = torch.rand(1, 2, 3, 64, 48) * 2 - 1
    with torch.no_grad():
        latents = codec.encode(frames)
        vae = AutoencoderKL.from_pretrained(original / "vae").eval()
        expected = vae.encode(frames[0]).latent_dist.mode() * vae.config.scaling_factor
    assert vae.config.scaling_factor == 0.18215
    torch.testing.assert_close(latents[0], expected)


def test_the_world_dreams_learns_and_survives_a_folder(original: Path, tmp_path: Path) -> None:
    world = WorldModel.from_text_to_video(original, SPEC, (64, 32), context=2, chunk=2)
    assert world.config.name == original.name
    world.slow.config = replace(world.slow.config, steps=2, guidance=1.0)
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 32, 3), np.uint8)
    made = world.imagine(frames, [0, "turn left", 2])
    assert made.shape == (2, 64, 32, 3)
    memory = world.new_memory()
    world.observe(np.concatenate([frames, made]), [0, 1, 2], memory)
    world.imagine(frames, [0, 1], memory=memory)

    world.save_pretrained(tmp_path / "adapted", dtype=None)
    again = WorldModel.from_pretrained(tmp_path / "adapted")
    assert again.base_hash == world.base_hash
    assert again.config == world.config
    assert load_slow_learner(tmp_path / "adapted").config == world.slow.config
    assert (again.imagine(frames, [0, "turn left", 2]) == made).all()
    again.save_pretrained(tmp_path / "adapted", dtype=None)  # over itself
    assert WorldModel.from_pretrained(tmp_path / "adapted").base_hash == world.base_hash
