"""Words to token ids: SentencePiece with byte fallback, so that any string has an encoding.

A tokenizer is one ``tokenizer.model`` file. Padding is id 0; an empty string is all padding, the null of language.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sentencepiece

PAD = 0
REMEMBERED = 4096
"""Strings whose ids are kept."""


class SentencePieceTokenizer:
    """Encodes strings to ``int64 [..., length]``; longer texts are cut, shorter ones padded with 0."""

    def __init__(self, model: bytes, length: int = 8) -> None:
        self.model = model
        self.length = length
        self.processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self._remembered: dict[str, list[int]] = {}

    @classmethod
    def train(cls, texts: Sequence[str], vocabulary: int = 512, length: int = 8) -> SentencePieceTokenizer:
        """Learns pieces from ``texts`` (deterministic); 256 of the vocabulary are the bytes."""
        out = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sorted(set(texts))),
            model_writer=out,
            vocab_size=vocabulary,
            hard_vocab_limit=False,
            byte_fallback=True,
            character_coverage=1.0,
            pad_id=PAD,
            unk_id=1,
            bos_id=-1,
            eos_id=-1,
            model_type="bpe",
            num_threads=1,
            minloglevel=2,
        )
        return cls(out.getvalue(), length)

    @classmethod
    def from_pretrained(cls, path: str | Path, length: int = 8) -> SentencePieceTokenizer:
        return cls(Path(path).read_bytes(), length)

    def save_pretrained(self, path: str | Path) -> None:
        Path(path).write_bytes(self.model)

    @property
    def size(self) -> int:
        return int(self.processor.vocab_size())

    def encode(self, texts: np.ndarray) -> np.ndarray:
        """Object array of strings ``[...]`` to ids ``[..., length]``; each distinct string is encoded once."""
        flat = [str(text) for text in texts.reshape(-1)]
        known = {text: self._padded(text) for text in set(flat)}
        return np.array([known[text] for text in flat], np.int64).reshape(*texts.shape, self.length)

    def _padded(self, text: str) -> list[int]:
        """Ids of one string. A world is told the same few words over and over, so some are remembered."""
        ids = self._remembered.get(text)
        if ids is None:
            pieces = self.processor.encode(text.encode("utf-8", "replace"))  # a lone surrogate has no UTF-8
            ids = [*pieces[: self.length], *[PAD] * (self.length - len(pieces))]
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            self._remembered[text] = ids
        return ids
