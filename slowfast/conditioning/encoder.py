"""From actions to what a network takes: a vector a frame and text tokens a frame.

Each component of the :class:`~slowfast.actions.ActionSpec` has its own embedding with a learned null; the vectors are
summed and projected to the width of the time embedding. Language goes both ways: its tokens into cross-attention, and
their mean into the vector. ``route`` leaves one of the two ways out, to measure what it is worth.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from slowfast.actions import ActionSpec, Columns, Component, Continuous, Discrete, Keyboard, Language
from slowfast.conditioning.text import TextEncoder, load_text_encoder
from slowfast.slow.windows import ActionTensors

ROUTES = ("both", "time_embedding", "cross_attention")


class Conditions(NamedTuple):
    """``frame`` ``[B, F, D]`` is added to the time embedding; ``text`` ``[B, F, L, Dt]`` goes into cross-attention."""

    frame: torch.Tensor
    text: torch.Tensor


@dataclass(frozen=True)
class ActionEncoderConfig:
    """``width``: of the vector a frame; ``text_width``: of the tokens; ``zero_init``: start without any effect.

    ``route`` says how actions enter the network: ``time_embedding`` (the vector alone), ``cross_attention`` (tokens
    alone, the other components as one more token) or ``both``.
    """

    width: int = 256
    text_width: int = 64
    zero_init: bool = False
    route: str = "both"

    def __post_init__(self) -> None:
        if self.route not in ROUTES:
            raise ValueError(f"action route {self.route!r} is not one of {', '.join(ROUTES)}")


class DiscreteEmbedding(nn.Embedding):
    """Index -1 is the null."""

    def __init__(self, component: Discrete, width: int) -> None:
        super().__init__(len(component.labels) + 1, width)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return super().forward(values + 1)


class ContinuousEmbedding(nn.Module):
    """Bounds map to [-1, 1] (an unbounded axis stays as it is); a vector with NaN or inf is the null."""

    middle: torch.Tensor
    reach: torch.Tensor

    def __init__(self, component: Continuous, width: int) -> None:
        super().__init__()
        low, high = torch.tensor(component.low), torch.tensor(component.high)
        bounded = torch.isfinite(low) & torch.isfinite(high) & (high > low)
        self.register_buffer("middle", torch.where(bounded, (low + high) / 2, 0.0), persistent=False)
        self.register_buffer("reach", torch.where(bounded, (high - low) / 2, 1.0), persistent=False)
        self.layers = nn.Sequential(nn.Linear(component.size, width), nn.SiLU(), nn.Linear(width, width))
        self.null = nn.Parameter(torch.zeros(width))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        known = torch.isfinite(values).all(-1, keepdim=True)
        scaled = (values.nan_to_num(0.0, 0.0, 0.0) - self.middle) / self.reach
        return torch.where(known, self.layers(scaled.to(self.null.dtype)), self.null)


class KeyboardEmbedding(nn.Module):
    """Keys as zeros and ones; -1 anywhere makes it the null."""

    def __init__(self, component: Keyboard, width: int) -> None:
        super().__init__()
        self.layers = nn.Linear(len(component.keys), width)
        self.null = nn.Parameter(torch.zeros(width))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        known = (values >= 0).all(-1, keepdim=True)
        return torch.where(known, self.layers(values.to(self.null.dtype)), self.null)


def _embedding(component: Component, width: int) -> nn.Module:
    if isinstance(component, Discrete):
        return DiscreteEmbedding(component, width)
    if isinstance(component, Continuous):
        return ContinuousEmbedding(component, width)
    if isinstance(component, Keyboard):
        return KeyboardEmbedding(component, width)
    raise TypeError(f"{component} has no embedding of its own")


def module_name(component: Component) -> str:
    """The component's name, unless torch has another use for it ("keys", a dot)."""
    taken = hasattr(nn.ModuleDict(), component.name) or not component.name.isidentifier()
    return f"{re.sub(r'[^0-9a-zA-Z]', '_', component.name)}__component" if taken else component.name


class ActionEncoder(nn.Module):
    """Encodes :data:`ActionTensors` ``[B, F]`` to :class:`Conditions`; ``text`` reads the language component."""

    def __init__(self, spec: ActionSpec, config: ActionEncoderConfig, text: TextEncoder) -> None:
        super().__init__()
        self.spec, self.config, self.text = spec, config, text
        language = [c for c in spec.components if isinstance(c, Language)]
        if len(language) > 1:
            raise ValueError(f"one language component at most, got {[c.name for c in language]}")
        self.language = language[0].name if language else None
        self.components = nn.ModuleDict(
            {module_name(c): _embedding(c, config.width) for c in spec.components if not isinstance(c, Language)}
        )
        self.pooled = nn.Linear(config.text_width, config.width)
        last = nn.Linear(config.width, config.width)
        self.project = nn.Sequential(nn.SiLU(), last)
        if config.zero_init:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        if config.route == "cross_attention":
            self.as_token = nn.Linear(config.width, config.text_width)

    def tensors(self, columns: Columns, device: torch.device | str = "cpu") -> ActionTensors:
        """Columns ``[B, F]`` of :meth:`ActionSpec.columns` as tensors; language becomes token ids ``[B, F, L]``."""
        out = {}
        for component in self.spec.components:
            column = columns[component.name]
            array = self.text.tokenize(column) if isinstance(component, Language) else column
            out[component.name] = torch.as_tensor(array).to(device)
        return out

    def null(self, batch: int, frames: int, device: torch.device | str = "cpu") -> ActionTensors:
        """All components missing."""
        return self.tensors(self.spec.null((batch, frames)), device)

    def forward(self, actions: ActionTensors) -> Conditions:
        shape = next(iter(actions.values())).shape[:2]
        tokens = actions[self.language] if self.language else None
        text = self.text(tokens, shape)  # [B, F, L, Dt]
        vector = self.pooled(text.mean(-2)) if self.language else text.new_zeros(*shape, self.config.width)
        for component in self.spec.components:
            if not isinstance(component, Language):
                vector = vector + self.components[module_name(component)](actions[component.name])
        if self.config.route == "cross_attention":
            token = self.as_token(self.project(vector))
            return Conditions(torch.zeros_like(vector), torch.cat([text, token[..., None, :]], -2))
        if self.config.route == "time_embedding":
            text = torch.zeros_like(text)
        return Conditions(self.project(vector), text)

    def save_pretrained(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """Writes ``config.json``, ``model.safetensors`` and what the text encoder needs."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.text.save_pretrained(folder)
        state = {k: v.detach().to(dtype or v.dtype).contiguous() for k, v in self.state_dict().items()}
        save_file(
            {k: v for k, v in state.items() if not (self.text.frozen and k.startswith("text."))},
            folder / "model.safetensors",
        )
        config = {"spec": json.loads(self.spec.to_json()), **asdict(self.config), "text": self.text.describe()}
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> ActionEncoder:
        """Raises FileNotFoundError when a file of the folder is missing, ValueError when weights do not fit."""
        folder = Path(folder)
        config = json.loads((folder / "config.json").read_text())
        spec = ActionSpec.from_json(json.dumps(config.pop("spec")))
        text = load_text_encoder(folder, config.pop("text"))
        encoder = cls(spec, ActionEncoderConfig(**config), text)
        missing, unexpected = encoder.load_state_dict(
            {k: v.float() for k, v in load_file(folder / "model.safetensors").items()}, strict=False
        )
        missing = [k for k in missing if not (text.frozen and k.startswith("text."))]
        if missing or unexpected:
            raise ValueError(f"{folder / 'model.safetensors'}: missing {missing}, unexpected {unexpected}")
        return encoder
