"""Text encoders for language actions: a small learned one, or a pretrained CLIP or T5 folder kept frozen.

Both map token ids ``[B, F, L]`` to ``[B, F, L, D]``. Without a language component there is one learned token, because
the network's cross-attention always reads something.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from slowfast.conditioning.tokenizer import PAD, SentencePieceTokenizer


class TextEncoder(nn.Module):
    """What an action encoder asks of text. ``frozen`` encoders are not saved with the trained weights."""

    frozen = False
    width: int

    def tokenize(self, texts: np.ndarray) -> np.ndarray:
        raise TypeError(f"{type(self).__name__} reads no text: the action spec has no language component")

    def forward(self, tokens: torch.Tensor | None, shape: tuple[int, ...]) -> torch.Tensor:
        raise TypeError("a text encoder defines forward")

    def save_pretrained(self, folder: Path) -> None:
        """Writes the files beside the weights that :func:`load_text_encoder` needs."""

    def describe(self) -> dict[str, Any]:
        raise TypeError("a text encoder describes itself")


class NoText(TextEncoder):
    """A world without language: one learned token stands in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.token = nn.Parameter(torch.zeros(1, width))

    def forward(self, tokens: torch.Tensor | None, shape: tuple[int, ...]) -> torch.Tensor:
        return self.token.expand(*shape[:2], 1, self.width)

    def describe(self) -> dict[str, Any]:
        return {"kind": "none", "width": self.width}


class SmallTextEncoder(TextEncoder):
    """SentencePiece tokens, embeddings, one layer that mixes neighbours; trained with the world."""

    def __init__(self, tokenizer: SentencePieceTokenizer, width: int) -> None:
        super().__init__()
        self.tokenizer, self.width = tokenizer, width
        self.embedding = nn.Embedding(tokenizer.size, width)
        self.position = nn.Parameter(torch.randn(tokenizer.length, width) * 0.02)
        self.mix = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.across = nn.Linear(tokenizer.length, tokenizer.length)

    def tokenize(self, texts: np.ndarray) -> np.ndarray:
        return self.tokenizer.encode(texts)

    def forward(self, tokens: torch.Tensor | None, shape: tuple[int, ...]) -> torch.Tensor:
        if tokens is None:
            tokens = torch.full((*shape[:2], self.tokenizer.length), PAD, device=self.position.device)
        hidden = self.embedding(tokens) + self.position
        hidden = hidden + self.across(hidden.transpose(-1, -2)).transpose(-1, -2)
        return hidden + self.mix(hidden)

    def save_pretrained(self, folder: Path) -> None:
        self.tokenizer.save_pretrained(folder / "tokenizer.model")

    def describe(self) -> dict[str, Any]:
        return {"kind": "small", "width": self.width, "length": self.tokenizer.length}


class PretrainedTextEncoder(TextEncoder):
    """A transformers text encoder (CLIP, T5) from ``text_encoder/`` and ``tokenizer/`` folders, frozen."""

    frozen = True

    def __init__(self, encoder_folder: str | Path, tokenizer_folder: str | Path) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoTokenizer, CLIPTextModel, T5EncoderModel

        for folder in (encoder_folder, tokenizer_folder):
            if not Path(folder).is_dir():
                raise FileNotFoundError(f"{folder}: a text-to-video folder holds text_encoder/ and tokenizer/")
        kind = AutoConfig.from_pretrained(encoder_folder, local_files_only=True).model_type
        classes = {"clip_text_model": CLIPTextModel, "clip": CLIPTextModel, "t5": T5EncoderModel}
        if kind not in classes:
            raise ValueError(f"{encoder_folder}: model_type {kind!r} is not one of {', '.join(classes)}")
        self.folders = (Path(encoder_folder), Path(tokenizer_folder))
        self.model = classes[kind].from_pretrained(encoder_folder, local_files_only=True).eval().requires_grad_(False)
        self.words = AutoTokenizer.from_pretrained(tokenizer_folder, local_files_only=True)
        self.width = int(self.model.config.hidden_size if kind != "t5" else self.model.config.d_model)
        self.length = int(min(self.words.model_max_length, 77))

    def tokenize(self, texts: np.ndarray) -> np.ndarray:
        distinct, inverse = np.unique(texts.astype(str).reshape(-1), return_inverse=True)
        if not len(distinct):  # the tokenizers of transformers refuse an empty batch
            return np.zeros((*texts.shape, self.length), np.int64)
        ids = self.words(
            distinct.tolist(), padding="max_length", truncation=True, max_length=self.length, return_tensors="np"
        )["input_ids"]
        return np.asarray(ids, np.int64)[inverse].reshape(*texts.shape, self.length)

    def forward(self, tokens: torch.Tensor | None, shape: tuple[int, ...]) -> torch.Tensor:
        if tokens is None:
            empty = torch.as_tensor(self.tokenize(np.full(shape[:2], "", object)))
            tokens = empty.to(next(self.model.parameters()).device)
        distinct, inverse = torch.unique(tokens.reshape(-1, tokens.shape[-1]), dim=0, return_inverse=True)
        with torch.no_grad():
            hidden = self.model(distinct)[0]
        return hidden[inverse].reshape(*tokens.shape, self.width)

    def save_pretrained(self, folder: Path) -> None:
        for source, name in zip(self.folders, ("text_encoder", "tokenizer"), strict=True):
            if source.resolve() != (folder / name).resolve():
                shutil.copytree(source, folder / name, dirs_exist_ok=True)

    def describe(self) -> dict[str, Any]:
        return {"kind": "pretrained", "width": self.width}


def load_text_encoder(folder: Path, description: dict[str, Any]) -> TextEncoder:
    """The encoder that ``describe()`` described, from the files in ``folder``. Raises ValueError on an unknown kind."""
    kind, width = description["kind"], int(description["width"])
    if kind == "none":
        return NoText(width)
    if kind == "small":
        tokenizer = SentencePieceTokenizer.from_pretrained(folder / "tokenizer.model", int(description["length"]))
        return SmallTextEncoder(tokenizer, width)
    if kind == "pretrained":
        return PretrainedTextEncoder(folder / "text_encoder", folder / "tokenizer")
    raise ValueError(f"{folder / 'config.json'}: text encoder kind {kind!r} is not one of none, small, pretrained")
