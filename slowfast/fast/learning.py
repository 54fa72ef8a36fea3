"""One update of a stack of memories: gradient steps on the factors alone, with the slow learner frozen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from slowfast.fast import optimiser
from slowfast.fast.adapters import AdapterLayout, attached
from slowfast.fast.closed_form import solve
from slowfast.fast.lessons import Learner
from slowfast.fast.memory_state import MemoryState
from slowfast.fast.optimiser import AdamState
from slowfast.fast.recursive import solve_recursively
from slowfast.fast.replay import Candidates
from slowfast.fast.retracing import retraced
from slowfast.fast.rules import CLOSED_FORM, RECURSIVE, MemoryRule
from slowfast.slow.windows import Windows

if TYPE_CHECKING:
    from slowfast.heads.inverse_dynamics import InverseDynamics


@dataclass(frozen=True)
class Learned:
    """Rows ``[E', P]`` and optimiser after an update, the losses ``float32 [E']`` of its first and last step, and the
    ``keys`` of a memory that has some."""

    rows: torch.Tensor
    adam: AdamState
    loss_first: torch.Tensor
    loss_last: torch.Tensor
    keys: torch.Tensor | None


def learn(
    slow: Learner,
    layout: AdapterLayout,
    rule: MemoryRule,
    rows: torch.Tensor,
    adam: AdamState,
    candidates: Candidates,
    generators: Sequence[torch.Generator],
    settled: torch.Tensor | None = None,
    keys: torch.Tensor | None = None,
    inverse: InverseDynamics | None = None,
) -> Learned:
    """``rule.steps`` steps for E' episodes at once, each on its own windows with its own draws.

    One backward serves the sum of the episodes' mean losses: no episode's gradient sees another's. The losses are each
    of that step's own noise, before the step. ``settled``: rows that weights decay to (None: to nothing). ``keys``
    ``[E', r, r]``: of a rule whose optimiser is recursive. ``inverse``: with it the way back is learned as well.
    """
    picks = candidates.draw(rule.steps, rule.replay_batch, generators)
    settings, losses = rule.optimiser_settings, []
    with frozen(cast(nn.Module, slow)), attached(slow.unet, layout, rows) as attachment:
        for step in range(rule.steps):
            seen = candidates.windows(picks[step])
            windows = rule.windows(seen if inverse is None else retraced(seen, step, slow, inverse), slow, step)
            if rule.optimiser in (CLOSED_FORM, RECURSIVE):
                attachment.use(rows)
                asked = partial(_losses, slow, rule, windows, generators)
                if keys is None:
                    rows, loss = solve(slow.unet, layout, rows, asked, settings)
                else:
                    rows, keys, loss = solve_recursively(slow.unet, layout, rows, keys, asked, settings)
                adam = replace(adam, steps=adam.steps + 1)
            else:
                leaf = rows.detach().requires_grad_()
                attachment.use(leaf)
                loss = _losses(slow, rule, windows, generators)
                (gradient,) = torch.autograd.grad(loss.sum(), leaf)
                settings = replace(settings, learning_rate=rule.rate_at(step))
                rows, adam = optimiser.step(leaf.detach(), gradient, adam, settings, layout, settled)
            losses.append(loss.detach().float())
    return Learned(rows, adam, losses[0], losses[-1], keys)


def _losses(slow: Learner, rule: MemoryRule, windows: Windows, generators: Sequence[torch.Generator]) -> torch.Tensor:
    """Of each episode ``[E']``, over its windows."""
    of_windows = slow.loss(windows, generators, shift=rule.shift, levels=rule.levels)
    return of_windows.unflatten(0, (len(generators), -1)).mean(1)


def updated(
    state: MemoryState,
    index: torch.Tensor,
    newest: Windows,
    slow: Learner,
    layout: AdapterLayout,
    rule: MemoryRule,
    whole: int,
    generators: Sequence[torch.Generator],
    inverse: InverseDynamics | None,
) -> tuple[MemoryState, torch.Tensor]:
    """``state`` after an update of the episodes ``index`` ``int64 [E']``, and the losses ``[2, E']`` of it.

    They learn their ``newest`` windows and those that they replay. ``whole``: frames of a window that is worth it.
    """
    replay, rows = state.replay, index.to(state.rows.device)
    assert replay is not None
    adam = AdamState(state.adam.first[rows], state.adam.second[rows], state.adam.steps[index])
    settled = None if state.settled is None else state.settled[rows]
    keys = None if state.keys is None else state.keys[rows]
    found = replay.candidates(index, newest)
    new = learn(slow, layout, rule, state.rows[rows], adam, found, generators, settled, keys, inverse)
    if settled is not None:
        settled = torch.lerp(settled, new.rows, rule.consolidate)
    if newest.latents.shape[1] == whole:  # shorter windows lie within the first whole one, but for one frame
        replay = replay.offer(index, newest, generators)
    losses = torch.stack([new.loss_first, new.loss_last])
    return replace(state.written(index, new.rows, new.adam, settled, new.keys), replay=replay), losses


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Within the context gradients are recorded but no parameter of ``module`` takes one, and it is in eval mode.

    Eval mode, because diffusers' temporal convolutions hold a dropout. All flags are put back.
    """
    wanted = [parameter for parameter in module.parameters() if parameter.requires_grad]
    training = [part for part in module.modules() if part.training]
    try:
        for parameter in wanted:
            parameter.requires_grad_(False)
        module.eval()
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)
        for part in training:
            part.training = True
