"""What a memory learns from the frames it was given.

A lesson turns clean windows of an episode's stream into the windows whose loss is lowered. The loss itself is the slow
learner's: noise and loss on every frame from ``prefix`` on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from torch import nn

from slowfast.slow import SlowLearner
from slowfast.slow.windows import Windows, apart, select_actions


class Learner(SlowLearner, Protocol):
    """A slow learner (an ``nn.Module``) with the network that its ``memory_layers`` name layers of."""

    @property
    def unet(self) -> nn.Module: ...


def paper(windows: Windows, slow: Learner, step: int) -> Windows:
    """SlowFast-VGen's rule (§3.2, Eq. 3, Algorithm 1a): noise and loss on every frame, no action."""
    batch, frames = windows.latents.shape[:2]
    actions = {name: tensor.to(windows.latents.device) for name, tensor in slow.null_actions(batch, frames).items()}
    return Windows(windows.latents, actions, prefix=0)


def ancestor(windows: Windows, slow: Learner, step: int) -> Windows:
    """Temp-LoRA's rule (arXiv 2401.11504) carried over to video: clean prefix, action kept, loss on the new frames."""
    return windows


def episodic(windows: Windows, slow: Learner, step: int) -> Windows:
    """Ours: as ``ancestor``, but every other step shows one frame alone and learns all that follow.

    So every frame but an episode's first is learned as an answer, also those that are in the prefix of each window,
    and a step in which seven frames of eight are answers teaches more than one with four.
    """
    return replace(windows, prefix=1) if step % 2 else windows


def associative(windows: Windows, slow: Learner, step: int) -> Windows:
    """Ours: as ``ancestor``, but every other step asks for each new frame by itself, after the frames before it, as
    whoever steps a world frame by frame will."""
    return apart(windows) if step % 2 else windows


def imprint(windows: Windows, slow: Learner, step: int) -> Windows:
    """Ours: as ``ancestor``, with a prefix that is as long as it can be, one frame alone, and every length between, in
    turn.

    What is asked for later follows a way that was not taken before, or frames that the world dreamed; so a view is
    learned after as many different prefixes as a window has. With one frame alone all that follow are learned, with
    another length as many as are new: the first of these in the window and the last in turn.
    """
    length, longest = windows.latents.shape[1], windows.prefix
    prefix = (longest, *range(1, longest))[step % max(longest, 1)]
    if prefix == 1 or prefix == longest:
        return replace(windows, prefix=prefix)
    first = (longest - prefix) * (step // longest % 2)
    shown = (slice(None), slice(first, first + prefix + length - longest))
    return Windows(windows.latents[shown], select_actions(windows.actions, shown), prefix)


LESSONS: dict[str, Callable[[Windows, Learner, int], Windows]] = {
    "paper": paper,
    "ancestor": ancestor,
    "episodic": episodic,
    "readout": episodic,
    "associative": associative,
    "imprint": imprint,
    "retrieval": ancestor,  # by default in no step at all
}
