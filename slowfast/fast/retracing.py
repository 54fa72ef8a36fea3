"""A walk that was seen shows the way back as well.

Played backwards a window is a view of the way back; the world's inverse dynamics reads the actions that it shows. So a
memory learns what is seen by turning back although the walk never did. Where things move by themselves that is not
true of them, and a rule should not ask for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from slowfast.slow.windows import ActionTensors, Windows, concat_actions, select_actions

if TYPE_CHECKING:
    from slowfast.fast.lessons import Learner
    from slowfast.fast.rules import MemoryRule
    from slowfast.heads.inverse_dynamics import InverseDynamics

WAYS = 3
"""Kinds of windows that :func:`retraced` makes of one."""


def reader_for(rule: MemoryRule, inverse: InverseDynamics | None) -> InverseDynamics | None:
    """``inverse`` if ``rule`` learns the way back, else None. Raises ValueError where there is none to read with."""
    if not rule.retrace:
        return None
    if inverse is None:
        raise ValueError(
            f"memory rule {rule.name!r} learns the way back, and this world has no inverse dynamics to read it "
            "with: `slowfast train inverse-dynamics --world WORLD --data DATA` adds it, or choose retrace: false"
        )
    return inverse


def retraced(windows: Windows, step: int, slow: Learner, inverse: InverseDynamics) -> Windows:
    """``windows`` with prefix P >= 1 as gradient step ``step`` shows them, in turn: as they are; played backwards; or
    turned round at their end, their last P frames as prefix and then the way back."""
    way, frames, prefix = step % WAYS, windows.latents.shape[1], windows.prefix
    if way == 0:
        return windows
    back, undone = windows.latents.flip(1), undoing(windows, slow, inverse)
    if way == 1:
        actions = concat_actions([slow.null_actions(len(back), 1), undone])
        return Windows(back, actions, prefix)
    new = frames - prefix
    shown = select_actions(windows.actions, (slice(None), slice(new, None)))
    turned = concat_actions([shown, select_actions(undone, (slice(None), slice(0, new)))])
    return Windows(torch.cat([windows.latents[:, new:], back[:, 1 : 1 + new]], 1), turned, prefix)


def undoing(windows: Windows, slow: Learner, inverse: InverseDynamics) -> ActionTensors:
    """The actions ``[B, F - 1]`` that lead back through windows of F frames, the last one first.

    A component that is null where a step was seen is null where it is undone: a memory is asked as it was taught.
    """
    read = slow.action_tensors(inverse.read(windows.latents.flip(1)))
    seen = {name: tensor[:, 1:].flip(1) for name, tensor in windows.actions.items()}
    missing = slow.null_actions(*next(iter(seen.values())).shape[:2])
    return {name: torch.where(_same(seen[name], missing[name]), missing[name], read[name]) for name in seen}


def _same(tensor: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Where two steps ``[B, F, ...]`` are the same in all numbers, NaN being NaN, with axes of size 1 for the rest."""
    same = (tensor == other) | ((tensor != tensor) & (other != other))
    return same.flatten(2).all(2)[(...,) + (None,) * (tensor.ndim - 2)] if tensor.ndim > 2 else same
