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


class SentencePieceTokenizer:
    """Encodes strings to ``int64 [..., length]``; longer texts are cut, shorter ones padded with 0."""

    def __init__(self, model: bytes, length: int = 8) -> None:
        self.model = model
        self.length = length
        self.processor = sentencepiece.SentencePieceProcessor(model_proto=model)

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
        distinct, inverse = np.unique(texts.astype(str).reshape(-1), return_inverse=True)
        ids = np.full((len(distinct), self.length), PAD, np.int64)
        encoded = [str(text).encode("utf-8", "replace") for text in distinct]  # a lone surrogate has no UTF-8
        for row, pieces in zip(ids, self.processor.encode(encoded), strict=True):
            row[: min(len(pieces), self.length)] = pieces[: self.length]
        return ids[inverse].reshape(*texts.shape, self.length)
