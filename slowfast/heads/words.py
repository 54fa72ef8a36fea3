"""Instructions in words to vectors: a vocabulary, an embedding a word, a look at each word with its neighbours, a pool.

Words are what lies between blanks and punctuation, in lower case. A head learns from its own instructions and keeps
their words: a world may have no words at all, and a tokenizer that was made for a few labels of actions cuts sentences
off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import torch
from torch import nn

PAD, UNKNOWN = 0, 1


def split(text: str) -> list[str]:
    """The words of a text, as they are compared."""
    return re.findall(r"\w+", text.casefold())


def vocabulary(texts: Iterable[str]) -> tuple[str, ...]:
    """All words of some texts, in alphabetical order."""
    return tuple(sorted({word for text in texts for word in split(text)}))


class Words(nn.Module):
    """From texts to ``[N, width]``; a word that is not in ``known`` counts as any word."""

    def __init__(self, known: Sequence[str], width: int) -> None:
        super().__init__()
        self.numbers = {word: UNKNOWN + 1 + number for number, word in enumerate(known)}
        self.embedding = nn.Embedding(UNKNOWN + 1 + len(known), width, padding_idx=PAD)
        self.neighbours = nn.Conv1d(width, width, 3, padding=1)  # "left of blue" is not "blue left of"

    def read(self, texts: Sequence[str]) -> torch.Tensor:
        """Word numbers ``int64 [N, L]`` on the CPU, L as long as the longest text. Raises ValueError for a text without
        a word."""
        rows = [[self.numbers.get(word, UNKNOWN) for word in split(text)] for text in texts]
        for text, row in zip(texts, rows, strict=True):
            if not row:
                raise ValueError(f"an instruction needs words, got {text!r}")
        longest = max(map(len, rows), default=0)
        return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows], dtype=torch.int64)

    def unknown(self, text: str) -> list[str]:
        """The words of a text that are not known."""
        return [word for word in split(text) if word not in self.numbers]

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """Word numbers ``[N, L]`` to ``[N, width]``, the same however far the texts are padded."""
        heard = nn.functional.silu(self.neighbours(self.embedding(numbers).transpose(1, 2)))  # [N, width, L]
        return heard.masked_fill((numbers == PAD)[:, None], float("-inf")).amax(2)
