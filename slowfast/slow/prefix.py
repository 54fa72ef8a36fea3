"""What layers along time see of a window's prefix, kept for calls in which the new frames alone have changed.

While a frame is sampled its prefix stays as it is, and what the network makes of the prefix changes only by what flows
back to it from the new frames' noise. So the first sampling step may run the whole window and keep what layers that mix
frames need of the prefix, and the others run the new frames alone. Layers that take each frame by itself need nothing.

The same goes from one new frame to the next: a dream's window moves on by a frame, most of its prefix was there before,
and only the frame that enters has to be run, see :meth:`KeptPrefix.enter`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional

_kept: KeptPrefix | None = None


class KeptPrefix:
    """Tensors of the prefix of a batch of windows, in the order in which layers along time come to them.

    ``frames``: P, how many there are. The first call of a network fills it; ``full`` from then on, it serves calls that
    bring the new frames alone. ``tensors``: those of another one, to go on with.
    """

    def __init__(self, frames: int, tensors: Sequence[torch.Tensor] = ()) -> None:
        self.frames = frames
        self.full = bool(tensors)
        self.entering = 0
        self.tensors = list(tensors)
        self._read = 0

    def enter(self, frames: int) -> None:
        """The next call brings so many frames of a prefix that has moved on, before the new frames: they are kept in
        place of the oldest ones. Raises ValueError where nothing would be left of what is kept."""
        if not 0 < frames < self.frames:
            raise ValueError(f"of {self.frames} frames of a prefix 1 to {self.frames - 1} may be new, got {frames}")
        self.entering = frames

    def keep(self, tensor: torch.Tensor) -> None:
        """Keeps a copy in the usual layout: what is kept lies in memory alike whatever it was cut from, or compiled
        code would be compiled for every way."""
        self.tensors.append(tensor.contiguous())

    def next(self) -> torch.Tensor:
        self._read += 1
        return self.tensors[self._read - 1]

    def replace(self, tensor: torch.Tensor) -> None:
        """Puts ``tensor`` in place of the one that was read last."""
        self.tensors[self._read - 1] = tensor.contiguous()

    def rewind(self) -> None:
        """A network's call has ended."""
        self.full, self.entering, self._read = True, 0, 0


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
    if not _kept.full:
        _kept.keep(part.narrow(axis, 0, _kept.frames))
        return part
    whole = torch.cat([_still_there(_kept, axis), part], axis)
    if _kept.entering:
        _kept.replace(whole.narrow(axis, 0, _kept.frames))
    return whole


def convolve(convolution: nn.Conv3d, images: torch.Tensor) -> torch.Tensor:
    """The convolution, 3 frames long, of windows as images ``[B, C, F, n]``."""
    new = images.shape[2]
    if _kept is not None:
        if _kept.full:
            images = torch.cat([_kept.next().permute(0, 3, 1, 2), images], 2)
            if _kept.entering:
                _kept.replace(images[:, :, _kept.entering : _kept.entering + 1].permute(0, 2, 3, 1))
        else:  # the new frames' only neighbour in the prefix
            _kept.keep(images[:, :, _kept.frames - 1 : _kept.frames].permute(0, 2, 3, 1))
    found = functional.conv2d(images, convolution.weight.squeeze(-1), convolution.bias, padding=(1, 0))
    return found[:, :, -new:]


def group_norm(norm: nn.GroupNorm, images: torch.Tensor) -> torch.Tensor:
    """The norm of windows as images ``[B, C, F, n]``: its statistics are of all frames, the prefix among them."""
    if _kept is None or not _kept.full:
        if _kept is not None:
            _kept.keep(_moments(norm, images[:, :, : _kept.frames]))
        return norm(images)
    moments = torch.cat([_still_there(_kept, 1), _moments(norm, images)], 1)
    if _kept.entering:
        _kept.replace(moments[:, : _kept.frames])
    mean, square = moments.mean(1)[..., None].unbind(1)  # [B, groups, 1]
    scale = (square - mean.square() + norm.eps).rsqrt() * norm.weight.unflatten(0, (norm.num_groups, -1))
    shift = norm.bias.unflatten(0, (norm.num_groups, -1)) - mean * scale
    normed = torch.addcmul(shift[:, None, None], _groups(norm, images), scale[:, None, None])
    return normed.flatten(-2).permute(0, 3, 1, 2)


def _still_there(kept: KeptPrefix, axis: int) -> torch.Tensor:
    """What is kept of the frames that have not left the prefix."""
    return kept.next().narrow(axis, kept.entering, kept.frames - kept.entering)


def _moments(norm: nn.GroupNorm, images: torch.Tensor) -> torch.Tensor:
    """Means of values and of their squares in each group of each frame, ``[B, F, 2, groups]``."""
    groups = _groups(norm, images)
    return torch.stack([groups.mean((2, 4)), groups.square().mean((2, 4))], 2)


def _groups(norm: nn.GroupNorm, images: torch.Tensor) -> torch.Tensor:
    """Images ``[B, C, F, n]`` as ``[B, F, n, groups, C / groups]``."""
    return images.permute(0, 2, 3, 1).unflatten(-1, (norm.num_groups, -1))
