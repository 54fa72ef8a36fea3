"""A small real slow learner, streams of frames for it, and memories on it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
import torch

from slowfast.actions import ActionSpec, Discrete, Language
from slowfast.fast import EpisodicMemory, memory_rule
from slowfast.slow.build import SchedulerConfig, UNetConfig, create
from slowfast.slow.masked_diffusion import MaskedDiffusionConfig, MaskedVideoDiffusion
from slowfast.slow.windows import ActionTensors

CONTEXT, CHUNK, CHANNELS, SIDE = 4, 4, 4, 4
MOVES = ("turn left", "turn right", "forward", "stay")


def build_slow_learner() -> MaskedVideoDiffusion:
    torch.manual_seed(0)
    spec = ActionSpec((Discrete("move", MOVES), Language("text", describes="move")))
    unet = UNetConfig(widths=(16, 32), head_size=8, norm_groups=4, text_width=16)
    slow = create(spec, CHANNELS, unet, SchedulerConfig(), MaskedDiffusionConfig(window=CONTEXT + CHUNK))
    # Some layers start at zero; a network that was trained has none, and then nothing hides behind them.
    with torch.no_grad():
        for parameter in slow.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
    return slow.eval()


@pytest.fixture(scope="module")
def slow() -> MaskedVideoDiffusion:
    return build_slow_learner()


MakeMemory = Callable[..., EpisodicMemory]


@pytest.fixture
def new_memory(slow: MaskedVideoDiffusion) -> MakeMemory:
    def make(episodes: int = 1, seed: int = 0, rule: str = "paper", **settings: object) -> EpisodicMemory:
        settings = {"rank": 4, "learning_rate": 1e-2, "layers": "attention_and_convolutions", **settings}
        return EpisodicMemory(slow, memory_rule(rule, **settings), episodes, seed, CONTEXT, CHUNK, base_hash="base")

    return make


Frames = Callable[..., tuple[torch.Tensor, ActionTensors]]


@pytest.fixture
def frames(slow: MaskedVideoDiffusion) -> Frames:
    """Latents and actions ``[E, n]``; what an episode sees depends on its own number alone."""

    def make(episodes: int, count: int, start: int = 0) -> tuple[torch.Tensor, ActionTensors]:
        latents, moves = [], []
        for episode in range(start, start + episodes):
            generator = torch.Generator().manual_seed(episode)
            moves.append(torch.randint(len(MOVES), (64,), generator=generator)[:count])
            latents.append(torch.randn(64, CHANNELS, SIDE, SIDE, generator=generator)[:count])
        actions = slow.null_actions(episodes, count)
        actions["move"] = torch.stack(moves)
        return torch.stack(latents), actions

    return make


@pytest.fixture
def predict(slow: MaskedVideoDiffusion, frames: Frames) -> Callable[[int], torch.Tensor]:
    """The network's output for a fixed batch, ``[B, F, C, h, w]``."""

    def run(batch: int) -> torch.Tensor:
        latents, actions = frames(batch, CONTEXT + CHUNK, start=100)
        with torch.no_grad():
            return slow.predict(latents, torch.full((batch, CONTEXT + CHUNK), 500.0), actions)

    return run


def digest(tensors: dict[str, torch.Tensor]) -> str:
    sums = hashlib.sha256()
    for name in sorted(tensors):
        sums.update(name.encode() + tensors[name].detach().contiguous().numpy().tobytes())
    return sums.hexdigest()


@pytest.fixture
def weights_digest(slow: MaskedVideoDiffusion) -> Callable[[], str]:
    """A hash of every weight and buffer of the slow learner."""
    return lambda: digest(slow.state_dict())


@pytest.fixture
def memory_digest() -> Callable[[EpisodicMemory], str]:
    """A hash of all that a memory is, generators included."""
    from slowfast.fast.state_io import state_tensors

    return lambda memory: digest(state_tensors(memory.snapshot()))
