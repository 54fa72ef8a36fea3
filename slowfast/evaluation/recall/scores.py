"""How good answers are: errors against the truth, likeness of pictures, and whether the right view was brought back."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch

from slowfast.evaluation.features import EfficientNetLite0
from slowfast.evaluation.one_chunk import squared_errors
from slowfast.evaluation.recall.walks import Asked

FEATURE_SIZE = 112
"""Side in pixels at which EfficientNet-Lite0 looks at frames."""
EXTRACTOR = f"EfficientNet-Lite0 (ImageNet) at {FEATURE_SIZE} pixels"


@dataclass(frozen=True)
class Scores:
    """One value a frame, ``float64 [W, n]``.

    ``latent``: squared error of normalised latents (NaN where an arm has none); ``pixel``: squared error of 8-bit
    frames; ``ssim``: structural similarity, 1 for equal; ``feature``: 1 - cosine of the extractor's features;
    ``right``: 1 where the nearest true view, of all that are asked in all worlds, is this world's right one or next to
    it.
    """

    latent: np.ndarray
    pixel: np.ndarray
    ssim: np.ndarray
    feature: np.ndarray
    right: np.ndarray

    @classmethod
    def concatenated(cls, parts: list[Scores]) -> Scores:
        """Frames of several queries one after the other, world by world."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts], 1) for f in fields(cls)))


class Judge:
    """Scores the answers to one query in all worlds; features of the truth are computed once."""

    def __init__(self, asked: Asked, network: EfficientNetLite0, turn_degrees: float) -> None:
        self.asked, self.network = asked, network
        self.views = unit_features(network, asked.truth)  # [W, n, D]
        self.near = asked.near_views(turn_degrees)

    def scores(self, frames: np.ndarray, latents: torch.Tensor | None, true_latents: torch.Tensor) -> Scores:
        """``frames`` ``uint8 [W, n, H, W, 3]`` and their ``latents`` ``[W, n, C, h, w]``, if there are any."""
        truth = self.asked.truth
        features = unit_features(self.network, frames)
        latent = np.full(frames.shape[:2], np.nan)
        if latents is not None:
            latent = (latents.double() - true_latents.double()).square().flatten(2).mean(2).cpu().numpy()
        return Scores(
            latent=latent,
            pixel=squared_errors(frames, truth).astype(np.float64),
            ssim=similarity(frames, truth),
            feature=1 - (features * self.views).sum(-1),
            right=self._right(features),
        )

    def _right(self, features: np.ndarray) -> np.ndarray:
        worlds, count = features.shape[:2]
        likeness = features.reshape(worlds * count, -1) @ self.views.reshape(worlds * count, -1).T
        nearest = likeness.argmax(1).reshape(worlds, count)
        home = nearest // count == np.arange(worlds)[:, None]
        allowed = self.near[np.arange(worlds)[:, None], np.arange(count)[None], nearest % count]
        return (home & allowed).astype(np.float64)

    @property
    def chance(self) -> float:
        """Share of right views for a view that is picked at random."""
        worlds, count = self.views.shape[:2]
        return float(self.near.sum(-1).mean() / (worlds * count))


def similarity(frames: np.ndarray, truth: np.ndarray, batch: int = 256) -> np.ndarray:
    """SSIM of each frame ``[W, n]`` (Wang et al. 2004, as torchmetrics computes it)."""
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    pairs = [torch.from_numpy(a.reshape(-1, *a.shape[2:])).permute(0, 3, 1, 2) for a in (frames, truth)]
    parts = [
        torch.atleast_1d(ssim(one.float(), other.float(), data_range=255.0, reduction="none"))
        for one, other in zip(*(side.split(batch) for side in pairs), strict=True)
    ]
    return torch.cat(parts).double().numpy().reshape(frames.shape[:2])


def unit_features(network: EfficientNetLite0, frames: np.ndarray) -> np.ndarray:
    """``float32 [W, n, D]`` of length 1."""
    flat = network.features(frames.reshape(-1, *frames.shape[2:]))
    flat = flat / np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-12)
    return flat.reshape(*frames.shape[:2], -1)
