"""The slow learner: masked conditional video diffusion (SlowFast-VGen §3.1, Eq. 1 and 2).

A window is a clean prefix of f_p frames and f_g frames of noise, concatenated along time; the network sees all of it,
and only its prediction for the new frames counts, in the loss and in sampling.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import nn

from slowfast.actions import Columns
from slowfast.conditioning.encoder import ActionEncoder
from slowfast.model_folder import save_model
from slowfast.slow.config import MaskedDiffusionConfig, SamplingConfig
from slowfast.slow.moving import weights
from slowfast.slow.noise import CLEAN, NoiseProcess
from slowfast.slow.prefix import KeptPrefix
from slowfast.slow.unet import MaskedUNet3D
from slowfast.slow.windows import ActionTensors, Guess, Windows, select_actions

NEARLY = 0.9
"""Share of the noise level that sampling starts from, from which on a frame counts as noise alone."""


class MaskedVideoDiffusion(nn.Module):
    """A :class:`~slowfast.slow.SlowLearner` over latents; it knows nothing of pixels, environments or clips."""

    def __init__(
        self, unet: MaskedUNet3D, actions: ActionEncoder, noise: NoiseProcess, config: MaskedDiffusionConfig
    ) -> None:
        super().__init__()
        if actions.config.width != unet.time_embed_dim:
            raise ValueError(f"the action encoder is {actions.config.width} wide, the UNet takes {unet.time_embed_dim}")
        if config.training_shift != 1 and not noise.flow:
            raise ValueError(f"training_shift {config.training_shift} needs a flow matching scheduler")
        self.unet, self.actions, self.noise, self.config = unet, actions, noise, config
        for module in unet.modules():
            if isinstance(module, nn.Dropout) and module.p:
                module.p = config.dropout

    @property
    def device(self) -> torch.device:
        return self.unet.conv_in.weight.device

    @property
    def recalled(self) -> int:
        """Frames at the start of a prefix that a memory may recall; see :class:`MaskedDiffusionConfig`."""
        return self.config.recalled

    @property
    def roll_prefix(self) -> bool:
        """Whether dreams without a memory keep what they can of the prefix from frame to frame."""
        return self.config.roll_prefix

    def memory_layers(self, kind: str, shape: tuple[int, int, int] | None = None) -> list[str]:
        """Names inside :attr:`unet` that a memory may attach to; see :meth:`MaskedUNet3D.memory_layers`.

        ``shape``: (C, h, w) of a frame's latents, for a way from the middle to the output that is not open yet.
        """
        if kind == "associative" and shape is not None:
            start = float(self.noise.timesteps(self.config.steps, "cpu")[0])
            self.unet.open_associative(shape, NEARLY * start)
        return self.unet.memory_layers(kind)

    @torch.no_grad()
    def action_vectors(self, actions: ActionTensors) -> torch.Tensor:
        """The vectors ``[B, F, D]`` that actions ``[B, F]`` add to the time embedding."""
        return self.actions(actions).frame

    def null_actions(self, batch: int, frames: int) -> ActionTensors:
        """All action components missing."""
        return self.actions.null(batch, frames, self.device)

    def action_tensors(self, columns: Columns) -> ActionTensors:
        """Columns ``[B, F]`` as tensors."""
        return self.actions.tensors(columns, self.device)

    def predict(
        self, sample: torch.Tensor, level: torch.Tensor, actions: ActionTensors, kept: KeptPrefix | None = None
    ) -> torch.Tensor:
        """The network's prediction ``[B, F, C, h, w]`` for frames at noise levels ``[B, F]`` (-1: clean).

        ``kept``: see :class:`~slowfast.slow.prefix.KeptPrefix`; once it is full, of the new frames alone.
        """
        dtype = self.unet.conv_in.weight.dtype
        conditions = self.actions(actions)
        output = self.unet(
            rearrange(sample, "b f c h w -> b c f h w").to(dtype),
            level.clamp(min=0),
            conditions.text,
            conditions.frame,
            return_dict=False,
            kept=kept,
        )[0]
        return rearrange(output, "b c f h w -> b f c h w").to(sample.dtype)

    def loss(
        self,
        windows: Windows,
        generators: Sequence[torch.Generator],
        prefix_noise: float = 0.0,
        shift: float | None = None,
        levels: str = "trained",
        motion: float = 0.0,
    ) -> torch.Tensor:
        """Mean squared error over the new frames, ``[B]`` (Eq. 2).

        B = k * E windows, episode-major, E = ``len(generators)``: all draws for an episode's windows come from its own
        generator. ``prefix_noise``: with ``own`` timesteps, the prefix gets a noise level uniform in [0, this), which
        the network is told (augmentation against drift). ``shift``: in place of the config's ``training_shift``.
        ``levels``: where noise levels are drawn: ``trained``, as ever; ``sampled``, from those alone that sampling in
        ``config.steps`` steps visits; ``start``, always the one that sampling starts from, where there is only noise.
        ``motion``: by how much more what moves weighs, see :mod:`slowfast.slow.moving`.
        """
        latents, prefix = windows.latents, windows.prefix
        visited = None if levels == "trained" else self.noise.timesteps(self.config.steps, "cpu").float()
        if visited is not None and levels == "start":
            visited = visited[:1]
        shift = shift or self.config.training_shift
        level, noise = self._draw(latents, prefix, generators, prefix_noise, shift, visited)
        noisy = self.noise.mix(latents, noise, level)
        shown = level if self.config.prefix_timestep == "own" else level[:, -1:].expand_as(level)
        prediction = self.predict(noisy, shown, windows.actions)[:, prefix:]
        target = self.noise.target(latents, noise, level)[:, prefix:]
        errors = (prediction - target).float().square()
        if motion:
            errors = errors * weights(latents.float(), prefix, motion)
        return errors.flatten(1).mean(1)

    @torch.no_grad()
    def generate(
        self,
        context: torch.Tensor,
        actions: ActionTensors,
        frames: int,
        generators: Sequence[torch.Generator],
        steps: int | None = None,
        guidance: float | None = None,
        guess: Guess | None = None,
        kept: KeptPrefix | None = None,
    ) -> torch.Tensor:
        """Samples ``[B, frames, C, h, w]`` after ``context`` ``[B, P, C, h, w]``, P >= 0; actions ``[B, P + frames]``.

        B = k * E, episode-major; the starting noise of an episode comes from its generator. The context is the same
        bits at every step unless ``context_noise`` says otherwise. With a ``guess`` sampling starts from what is
        trusted of it and joins the others on the way. ``kept``: takes what layers along time see of the context; or,
        when it is full and frames :meth:`~slowfast.slow.prefix.KeptPrefix.enter` it, serves all others of the context.
        Raises ValueError when P + frames is more than the window.
        """
        batch, prefix = context.shape[:2]
        if prefix + frames > self.config.window:
            raise ValueError(f"{prefix} + {frames} frames do not fit the window of {self.config.window}")
        guidance = self.config.guidance if guidance is None else guidance
        level = torch.full((batch, prefix + frames), CLEAN, device=context.device)
        if self.config.context_noise:
            level[:, :prefix] = self.config.context_noise * self.noise.levels
        drawn = _normal(generators, batch, (prefix + frames, *context.shape[2:])).to(context)
        clean = self.noise.mix(context, drawn[:, :prefix], level[:, :prefix])
        sample = drawn[:, prefix:] * self.noise.start_scale
        timesteps = self.noise.timesteps(steps or self.config.steps, context.device)
        begins = None
        if guess is not None:
            trust = guess.trust.to(context.device)
            begins = self.noise.level_of(trust)
            mixed = self.noise.mix(guess.latents.to(context), drawn[:, prefix:], begins)
            sample = torch.where((trust > 0)[..., None, None, None], mixed, sample)
        if kept is None and self.config.keep_prefix and prefix:
            kept = KeptPrefix(prefix)
        for number, timestep in enumerate(timesteps):
            level[:, prefix:] = timestep if begins is None else begins.clamp(max=timestep)
            shown = level if self.config.prefix_timestep == "own" else level[:, -1:].expand_as(level)
            scaled = self._scaled(sample, timestep)
            first = prefix - kept.entering if kept is not None and kept.full else 0  # frame that has to be run
            part = (slice(None), slice(first, None))
            window = torch.cat([clean[part], scaled], 1)
            prediction = self._guided(window, shown[part], select_actions(actions, part), guidance, kept)
            prediction = prediction[:, prefix - first :]
            if begins is None:
                sample = self.noise.step(prediction, timestep, sample)
            else:
                later = timesteps[number + 1 : number + 2].tolist() or [CLEAN]
                sample = self.noise.between(prediction, sample, level[:, prefix:], begins.clamp(max=later[0]))
        return sample

    def set_sampling(self, sampling: SamplingConfig) -> None:
        """Samples so from now on, also when it is saved and loaded. Raises ValueError for a shift without flow
        matching, for a context's noise or a kept prefix without timesteps of its own, and for both at once."""
        said = {name: getattr(sampling, name) for name in ("steps", "context_noise", "keep_prefix", "roll_prefix")}
        self.config = replace(self.config, **{name: value for name, value in said.items() if value is not None})
        if sampling.shift is not None:
            self.noise.set_shift(sampling.shift)

    def widen(self, frames: int) -> None:
        """Takes windows of up to ``frames`` from now on; it has to be trained on them to be good at it."""
        self.config = replace(self.config, window=max(self.config.window, frames))

    def _scaled(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        scale = getattr(self.noise.scheduler, "scale_model_input", None)
        return scale(sample, timestep) if scale else sample

    def _guided(
        self,
        sample: torch.Tensor,
        level: torch.Tensor,
        actions: ActionTensors,
        guidance: float,
        kept: KeptPrefix | None = None,
    ) -> torch.Tensor:
        if guidance == 1.0:
            return self.predict(sample, level, actions, kept)
        null = self.null_actions(*level.shape)
        both = {name: torch.stack([actions[name], null[name]], 1).flatten(0, 1) for name in actions}
        doubled, levels = sample.repeat_interleave(2, 0), level.repeat_interleave(2, 0)
        conditional, free = rearrange(self.predict(doubled, levels, both, kept), "(b g) ... -> g b ...", g=2)
        return free + guidance * (conditional - free)

    def _draw(
        self,
        latents: torch.Tensor,
        prefix: int,
        generators: Sequence[torch.Generator],
        prefix_noise: float,
        shift: float,
        visited: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Noise levels ``[B, F]`` (of ``visited`` ones, if they are given) and noise like ``latents``."""
        each = _each(len(generators), latents.shape[0])
        drawn = torch.cat(
            [self.noise.draw(each, g, shift) if visited is None else _picked(visited, each, g) for g in generators]
        ).to(latents.device)
        noise = _normal(generators, latents.shape[0], latents.shape[1:]).to(latents)
        level = drawn[:, None].repeat(1, latents.shape[1])
        level[:, :prefix] = CLEAN
        if prefix_noise and prefix:
            if self.config.prefix_timestep == "shared":
                raise ValueError("prefix_noise needs prefix_timestep='own': a shared timestep cannot tell its level")
            share = torch.cat([torch.rand(each, generator=g, device=g.device) for g in generators]).to(latents.device)
            level[:, :prefix] = (share * prefix_noise * self.noise.levels)[:, None]
        return level, noise

    def save_pretrained(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """Writes ``unet/``, ``scheduler/``, ``action_encoder/`` and ``slow_learner.json``."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_model(self.unet, folder / "unet", dtype)
        self.noise.save_pretrained(folder / "scheduler")
        self.actions.save_pretrained(folder / "action_encoder", dtype)
        description = {"class": "MaskedVideoDiffusion", **asdict(self.config)}
        (folder / "slow_learner.json").write_text(json.dumps(description, indent=2) + "\n")

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> MaskedVideoDiffusion:
        """Reads what :meth:`save_pretrained` wrote, as float32."""
        folder = Path(folder)
        description: dict[str, Any] = json.loads((folder / "slow_learner.json").read_text())
        description.pop("class")
        return cls(
            load_unet(folder / "unet"),
            ActionEncoder.from_pretrained(folder / "action_encoder"),
            NoiseProcess.from_pretrained(folder / "scheduler"),
            MaskedDiffusionConfig(**description),
        )


def load_unet(folder: str | Path) -> MaskedUNet3D:
    """A stock or own ``UNet3DConditionModel`` folder as float32, from disk alone."""
    unet: MaskedUNet3D = MaskedUNet3D.from_pretrained(
        str(folder), local_files_only=True, use_safetensors=True, low_cpu_mem_usage=False
    )
    return unet.float().eval()


def _each(episodes: int, batch: int) -> int:
    if episodes == 0 or batch % episodes:
        raise ValueError(f"{batch} windows cannot be shared equally among {episodes} generators (one an episode)")
    return batch // episodes


def _picked(values: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """``count`` of ``values``, each as likely as the others."""
    index = torch.randint(len(values), (count,), generator=generator, device=generator.device)
    return values.to(generator.device)[index]


def _normal(generators: Sequence[torch.Generator], batch: int, shape: Sequence[int]) -> torch.Tensor:
    each = _each(len(generators), batch)
    return torch.cat([torch.randn(each, *shape, generator=g, device=g.device) for g in generators])
