"""Whether what was said is done: how likely, by the latents of one frame and an instruction in words.

The words point: each of a few queries that they make is compared with every place of the picture, and the answer is
given by where those places are and what is there (soft attention: Bahdanau et al. 2015; its expected coordinates:
Levine et al. 2016). It is made a true chance by a slope and an offset that are fitted on held-out episodes (Platt
1999). One frame has to show that the instruction is done: "the red cube is on the left" can be told, "it has moved to
the left" cannot.

A planner that looks a few steps ahead gets nowhere by that alone while all that it can reach is far from done. So a
head may also say how soon it will be: what a step later is worth, to the power of the steps that it takes whoever
recorded the clips (a value function of goals: Schaul et al. 2015, of the policy that the data came from).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from slowfast.heads.parts import read_head, save_head
from slowfast.heads.words import Words, split

POINTS = 4
"""Places that an instruction points at: a thing, where it should go, what else matters."""


@dataclass(frozen=True)
class InstructionConfig:
    """``channels`` of a latent; ``words`` that are known, in lower case; ``soon``: what being done a step later is
    worth, in [0, 1), with 0 for a head that does not say how soon. Raises ValueError when there is no word, or when one
    of them is not a single word in lower case."""

    channels: int
    words: tuple[str, ...]
    width: int = 64
    soon: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.soon < 1:
            raise ValueError(f"soon is in [0, 1), got {self.soon}")
        if not self.words:
            raise ValueError("an instruction head has to know words, got none")
        for word in self.words:
            if split(word) != [word]:
                raise ValueError(f"words are single words in lower case, got {word!r}")


class InstructionHead(nn.Module):
    """Says how likely an instruction is done. Buffers that training sets: ``slope`` and ``offset`` of the answer's
    log-odds, and ``threshold``, the chance from which an instruction counts as done."""

    slope: torch.Tensor
    offset: torch.Tensor
    threshold: torch.Tensor

    def __init__(self, config: InstructionConfig) -> None:
        super().__init__()
        self.config, width, answers = config, config.width, 2 if config.soon else 1
        self.words = Words(config.words, width)
        self.look = nn.Sequential(
            nn.Conv2d(config.channels, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), nn.SiLU()
        )
        self.point = nn.Linear(width, POINTS * width)
        wide = 2 * width
        self.answer = nn.Sequential(
            nn.Linear(POINTS * (width + 2) + width, wide), nn.SiLU(), nn.Linear(wide, wide), nn.SiLU()
        )
        self.told = nn.Linear(wide, answers)
        for name, value in (("slope", 1.0), ("offset", 0.0), ("threshold", 0.5)):
            self.register_buffer(name, torch.tensor(value))

    def read(self, texts: Sequence[str]) -> torch.Tensor:
        """Instructions as numbers of their words, ``int64 [N, L]`` on the CPU. Raises ValueError for a text without a
        word, or none of whose words is known; of others, unknown words count as any word."""
        for text in texts:
            unknown = self.words.unknown(text)
            if unknown and len(unknown) == len(split(text)):
                known = ", ".join(self.config.words[:SHOWN]) + (", ..." if len(self.config.words) > SHOWN else "")
                raise ValueError(f"no word of the instruction {text!r} is known; this head has learned {known}")
        return self.words.read(texts)

    def forward(self, latents: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """Chances ``float32 [B, n]`` that in each frame ``[B, n, C, h, w]`` is done what ``words`` ``[B, L]`` say."""
        return self.log_odds(latents, words).sigmoid()

    def log_chances(self, latents: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """Logarithms of the chances, which still differ where chances all round to 0."""
        return functional.logsigmoid(self.log_odds(latents, words))

    def log_odds(self, latents: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """``float32 [B, n]``, calibrated."""
        return self.calibrated(self.logits(latents, words)[..., 0])

    def log_soon(self, latents: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """Logarithms ``float32 [B, n]`` of what is expected of ``config.soon`` to the power of the steps until it is
        done. Raises ValueError for a head that has not learned it."""
        if not self.config.soon:
            raise ValueError("this instruction head says what is done, not how soon: train it with task.soon above 0")
        return functional.logsigmoid(self.logits(latents, words)[..., 1])

    def logits(self, latents: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """``float32 [B, n, 1 or 2]``, as they are learned: whether it is done, and how soon."""
        seen = self.look(latents.flatten(0, 1).to(self.told.weight.dtype)).unflatten(0, latents.shape[:2])
        return self.judged(seen, self.words(words)[:, None])

    def judged(self, seen: torch.Tensor, heard: torch.Tensor) -> torch.Tensor:
        """Logits ``float32 [..., 1 or 2]`` by what was seen ``[..., width, h, w]`` and heard ``[..., width]``."""
        queries = self.point(heard).unflatten(-1, (POINTS, -1))  # [..., P, width]
        height, width = seen.shape[-2:]
        maps = seen.flatten(-2)  # [..., width, h * w]
        shares = (queries @ maps / maps.shape[-2] ** 0.5).softmax(-1)
        places, things = shares @ coordinates(height, width).to(shares), shares @ maps.transpose(-1, -2)
        pointed = torch.cat([places, things], -1).flatten(-2)
        known = torch.cat([pointed, heard.expand(*pointed.shape[:-1], -1)], -1)
        return self.told(self.answer(known)).float()

    def calibrated(self, logits: torch.Tensor) -> torch.Tensor:
        """Log-odds that are true on held-out frames."""
        slope, offset = (own.to(logits.device).float() for own in (self.slope, self.offset))
        return slope * logits + offset

    def done(self, chances: torch.Tensor) -> torch.Tensor:
        """Which instructions count as done, ``bool``."""
        return chances >= self.threshold.to(chances.device)

    def save_pretrained(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """Writes ``config.json`` and ``model.safetensors``."""
        save_head(self, asdict(self.config), folder, dtype)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> InstructionHead:
        """Raises FileNotFoundError when a file is missing, RuntimeError when weights do not fit the config."""
        config, state = read_head(folder)
        head = cls(InstructionConfig(**{**config, "words": tuple(config["words"])}))
        head.load_state_dict(state)
        return head


def coordinates(height: int, width: int) -> torch.Tensor:
    """Of each place of a picture, row by row, ``float32 [h * w, 2]``: down and to the right, from -1 to 1."""
    down, right = (torch.linspace(-1, 1, side) if side > 1 else torch.zeros(1) for side in (height, width))
    return torch.cartesian_prod(down, right)


SHOWN = 40
"""Words that an error names, at most."""
