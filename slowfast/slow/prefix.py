"""What layers along time see of a window's prefix, kept for calls in which the new frames alone have changed.

While a frame is sampled its prefix stays as it is, and what the network makes of the prefix changes only by what flows
back to it from the new frames' noise. So the first sampling step may run the whole window and keep what layers that mix
frames need of the prefix, and the others run the new frames alone. Layers that take each frame by itself need nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional

_kept: KeptPrefix | None = None


class KeptPrefix:
    """Tensors of the prefix of a batch of windows, in the order in which layers along time come to them.

    ``frames``: P, how many there are. The first call of a network fills it; ``full`` from then on, it serves calls that
    bring the new frames alone.
    """

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.full = False
        self._tensors: list[torch.Tensor] = []
        self._read = 0

    def keep(self, tensor: torch.Tensor) -> None:
        self._tensors.append(tensor)

    def next(self) -> torch.Tensor:
        self._read += 1
        return self._tensors[self._read - 1]

    def rewind(self) -> None:
        """A network's call has ended."""
        self.full, self._read = True, 0


@contextmanager
def keeping(kept: KeptPrefix | None) -> Iterator[None]:
    """One call of a network, whose layers along time fill ``kept`` or, when it is full, read it."""
    global _kept
    before, _kept = _kept, kept
    try:
        yield
    finally:
        _kept = before
    if kept is not None:
        kept.rewind()


def with_prefix(part: torch.Tensor, axis: int) -> torch.Tensor:
    """``part`` with that of the prefix before it; ``axis`` is that of frames."""
    if _kept is None:
        return part
    if _kept.full:
        return torch.cat([_kept.next(), part], axis)
    _kept.keep(part.narrow(axis, 0, _kept.frames))
    return part


def convolve(convolution: nn.Conv3d, images: torch.Tensor) -> torch.Tensor:
    """The convolution, 3 frames long, of windows as images ``[B, C, F, n]``."""
    new = images.shape[2]
    if _kept is not None:
        if _kept.full:
            images = torch.cat([_kept.next(), images], 2)
        else:  # the new frames' only neighbour in the prefix
            _kept.keep(images[:, :, _kept.frames - 1 : _kept.frames])
    found = functional.conv2d(images, convolution.weight.squeeze(-1), convolution.bias, padding=(1, 0))
    return found[:, :, -new:]


def group_norm(norm: nn.GroupNorm, images: torch.Tensor) -> torch.Tensor:
    """The norm of windows as images ``[B, C, F, n]``: its statistics are of all frames, the prefix among them."""
    if _kept is None or not _kept.full:
        if _kept is not None:
            _kept.keep(_moments(norm, images[:, :, : _kept.frames]))
        return norm(images)
    of_prefix = _kept.frames / (_kept.frames + images.shape[2])
    mean, square = torch.lerp(_moments(norm, images), _kept.next(), of_prefix).unbind(1)
    scale = (square - mean.square() + norm.eps).rsqrt().repeat_interleave(images.shape[1] // norm.num_groups, 1)
    scale = scale * norm.weight
    shift = norm.bias - mean.repeat_interleave(images.shape[1] // norm.num_groups, 1) * scale
    return torch.addcmul(shift[..., None, None], images, scale[..., None, None])


def _moments(norm: nn.GroupNorm, images: torch.Tensor) -> torch.Tensor:
    """Means of values and of their squares in each group, ``[B, 2, groups]``."""
    groups = images.permute(0, 2, 3, 1).unflatten(-1, (norm.num_groups, -1))
    return torch.stack([groups.mean((1, 2, 4)), groups.square().mean((1, 2, 4))], 1)
