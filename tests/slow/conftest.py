"""Small random slow learners of the real classes, on every noise process, and windows for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from slowfast.actions import ActionSpec, Discrete, Language
from slowfast.slow.build import SchedulerConfig, UNetConfig, create
from slowfast.slow.masked_diffusion import MaskedDiffusionConfig, MaskedVideoDiffusion
from slowfast.slow.noise import NoiseProcess
from slowfast.slow.windows import Windows

MOVES = ("turn left", "turn right", "forward", "stay")
WINDOW, CHANNELS, SIDE = 8, 4, 4
PROCESSES = {
    "flow": SchedulerConfig(),
    "epsilon": SchedulerConfig("DDIMScheduler", {"prediction_type": "epsilon"}),
    "v_prediction": SchedulerConfig("DDIMScheduler", {"prediction_type": "v_prediction"}),
}


def awaken(module: nn.Module) -> None:
    """Gives weights that start at zero a value, as training would; nothing hides behind them then."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            if not parameter.any():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)


@pytest.fixture(scope="session")
def spec() -> ActionSpec:
    return ActionSpec((Discrete("move", MOVES), Language("text", describes="move")))


@pytest.fixture(scope="session")
def base(spec: ActionSpec) -> MaskedVideoDiffusion:
    torch.manual_seed(0)
    unet = UNetConfig(widths=(16, 32), head_size=8, norm_groups=4, text_width=16)
    slow = create(spec, CHANNELS, unet, SchedulerConfig(), MaskedDiffusionConfig(window=WINDOW))
    awaken(slow)
    return slow.eval()


MakeLearner = Callable[..., MaskedVideoDiffusion]


@pytest.fixture
def learner(base: MaskedVideoDiffusion) -> MakeLearner:
    """The same weights under any noise process and settings."""

    def make(process: str = "flow", noise: NoiseProcess | None = None, **settings: Any) -> MaskedVideoDiffusion:
        config = MaskedDiffusionConfig(**{"window": WINDOW, **settings})
        return MaskedVideoDiffusion(base.unet, base.actions, noise or PROCESSES[process].build(), config).eval()

    return make


MakeWindows = Callable[..., Windows]


@pytest.fixture
def windows(base: MaskedVideoDiffusion) -> MakeWindows:
    """Random windows with random moves; window b depends on its number ``start + b`` alone."""

    def make(batch: int, prefix: int, new: int, start: int = 0, side: tuple[int, int] = (SIDE, SIDE)) -> Windows:
        actions = base.null_actions(batch, prefix + new)
        latents = []
        for b in range(batch):
            generator = torch.Generator().manual_seed(start + b)
            latents.append(torch.randn(WINDOW, CHANNELS, *side, generator=generator)[: prefix + new])
            actions["move"][b] = torch.randint(len(MOVES), (WINDOW,), generator=generator)[: prefix + new]
        return Windows(torch.stack(latents), actions, prefix)

    return make


@pytest.fixture
def generators() -> Callable[..., list[torch.Generator]]:
    """One generator an episode; episode e's depends on its number alone."""

    def make(episodes: int, start: int = 0) -> list[torch.Generator]:
        return [torch.Generator().manual_seed(1000 + start + episode) for episode in range(episodes)]

    return make


Calls = list[dict[str, torch.Tensor]]


@pytest.fixture
def recorded(base: MaskedVideoDiffusion) -> Any:
    """What the network is called with and answers, in the learner's axes, call by call."""
    calls: Calls = []

    def record(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: tuple[torch.Tensor]) -> None:
        sample, level, text, frame = inputs
        if output[0].requires_grad:
            output[0].retain_grad()
        calls.append(
            {"sample": sample.transpose(1, 2), "level": level, "text": text, "frame": frame, "output": output[0]}
        )

    handle = base.unet.register_forward_hook(record)
    yield calls
    handle.remove()
