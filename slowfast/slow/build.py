"""New slow learners: from a configuration, from a text-to-video folder, or from a trained world for other actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from slowfast.actions import ActionSpec, Language
from slowfast.conditioning.encoder import ActionEncoder, ActionEncoderConfig, module_name
from slowfast.conditioning.phrases import all_phrases
from slowfast.conditioning.text import NoText, PretrainedTextEncoder, SmallTextEncoder, TextEncoder
from slowfast.conditioning.tokenizer import SentencePieceTokenizer
from slowfast.slow.config import MaskedDiffusionConfig, SchedulerConfig, UNetConfig
from slowfast.slow.masked_diffusion import MaskedVideoDiffusion, load_unet
from slowfast.slow.noise import NoiseProcess


def create(
    spec: ActionSpec,
    latent_channels: int,
    unet: UNetConfig,
    scheduler: SchedulerConfig,
    config: MaskedDiffusionConfig,
    phrases: Mapping[str, Sequence[str]] | None = None,
) -> MaskedVideoDiffusion:
    """A slow learner with random weights; its tokenizer is trained on the spec's labels and ``phrases``."""
    network = unet.build(latent_channels)
    encoder = ActionEncoder(
        spec,
        ActionEncoderConfig(network.time_embed_dim, unet.text_width, route=unet.action_route),
        small_text_encoder(spec, unet.text_width, phrases),
    )
    return MaskedVideoDiffusion(network, encoder, scheduler.build(), config)


def small_text_encoder(
    spec: ActionSpec, width: int, phrases: Mapping[str, Sequence[str]] | None = None, texts: Sequence[str] = ()
) -> TextEncoder:
    """A learned encoder for the spec's language component, or a stand-in when it has none.

    ``texts`` are instructions found in the data; they and the phrases train the tokenizer.
    """
    if not any(isinstance(component, Language) for component in spec.components):
        return NoText(width)
    corpus = [*all_phrases(spec, phrases), *texts] or ["go"]
    return SmallTextEncoder(SentencePieceTokenizer.train(corpus), width)


def from_text_to_video(
    folder: str | Path, spec: ActionSpec, config: MaskedDiffusionConfig | None = None
) -> MaskedVideoDiffusion:
    """Adapts a text-to-video folder in diffusers' layout (ModelScope's: ``unet/``, ``text_encoder/``, ``tokenizer/``,
    ``scheduler/``) to actions.

    The new conditioning starts at zero: with no prefix and null actions the output is the original's. The paper's
    settings are the default: shared timestep, 50 DDIM steps, window 32. Raises FileNotFoundError for a missing part.
    """
    folder = Path(folder)
    for part in ("unet", "text_encoder", "tokenizer", "scheduler"):
        if not (folder / part).is_dir():
            raise FileNotFoundError(
                f"{folder / part}: a text-to-video folder holds unet/, text_encoder/, tokenizer/, scheduler/"
            )
    unet = load_unet(folder / "unet")
    text = PretrainedTextEncoder(folder / "text_encoder", folder / "tokenizer")
    width = int(unet.config["cross_attention_dim"])
    if text.width != width:
        raise ValueError(f"{folder}: the text encoder is {text.width} wide, the UNet's cross-attention takes {width}")
    encoder = ActionEncoder(spec, ActionEncoderConfig(unet.time_embed_dim, width, zero_init=True), text)
    config = config or MaskedDiffusionConfig(window=32, prefix_timestep="shared", steps=50, guidance=7.5, dropout=0.1)
    return MaskedVideoDiffusion(unet, encoder, NoiseProcess.from_pretrained(folder / "scheduler"), config)


def with_actions(
    trained: MaskedVideoDiffusion, spec: ActionSpec, phrases: Mapping[str, Sequence[str]] | None = None
) -> MaskedVideoDiffusion:
    """A trained world's network, the same object, with a new action encoder for ``spec``.

    Components that did not change keep their embeddings, and so does language while its tokenizer stays the same.
    """
    old = trained.actions
    if spec == old.spec:
        return trained
    text = old.text
    if not isinstance(text, PretrainedTextEncoder):
        text = small_text_encoder(spec, old.config.text_width, phrases)
    encoder = ActionEncoder(spec, old.config, text)
    same = [f"components.{module_name(c)}." for c in spec.components if c in old.spec.components]
    if _vocabulary(text) == _vocabulary(old.text):
        same.append("text.")
    kept = {key: value for key, value in old.state_dict().items() if key.startswith(("project.", "pooled.", *same))}
    encoder.load_state_dict({**encoder.state_dict(), **kept})
    return MaskedVideoDiffusion(trained.unet, encoder.to(trained.device), trained.noise, trained.config)


def _vocabulary(text: TextEncoder) -> bytes | None:
    return text.tokenizer.model if isinstance(text, SmallTextEncoder) else None


def parameter_count(module: torch.nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())
