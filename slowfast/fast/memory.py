"""The state of E independent episodes: what each has learned since it began, beside a network that never changes.

An :class:`EpisodicMemory` is read by attaching it and taught by appending frames. Nothing here touches the slow
learner's weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch

from slowfast.fast import generators as random
from slowfast.fast.adapters import AdapterLayout, is_attached
from slowfast.fast.arguments import (
    Episodes,
    check_continues,
    check_frames,
    check_recalled,
    check_same_size,
    episode_index,
)
from slowfast.fast.attaching import Reading
from slowfast.fast.keeping import keep, kept_by, pose_of
from slowfast.fast.learning import updated
from slowfast.fast.memory_state import MemoryState
from slowfast.fast.optimiser import AdamState
from slowfast.fast.replay import Replay, Stream
from slowfast.fast.retracing import reader_for
from slowfast.fast.rules import RECURSIVE
from slowfast.fast.showing import Kept
from slowfast.fast.start import chosen_start, first_rows

if TYPE_CHECKING:
    from slowfast.fast.lessons import Learner
    from slowfast.fast.rules import MemoryRule
    from slowfast.fast.start import MemoryStart
    from slowfast.heads.inverse_dynamics import InverseDynamics
    from slowfast.heads.odometry import Odometry
    from slowfast.slow.windows import ActionTensors, Windows

# A tensor that was made in inference mode could never take part in a later update.
_outside_inference = torch.inference_mode(False)


class EpisodicMemory:
    """Memories of E episodes on one slow learner; :meth:`slowfast.WorldModel.new_memory` makes one.

    ``context`` and ``chunk`` are f_p and f_g, in latent frames; ``base_hash`` names the weights it belongs to;
    ``odometry`` is the world's, by which kept frames are found if the rule says so and there is one; ``start`` is what
    the world ships for a rule with ``start="learned"``; ``inverse`` reads the actions of the way back for a rule that
    learns it. Episode e draws from its own CPU generator alone, ``SeedSequence(seed).spawn(E)[e]`` and there the next
    spawn at each reset: first factors, noise, timesteps, replay. So what an episode draws does not depend on E, on its
    neighbours or on what was drawn before a reset; values agree with those of a memory of that episode alone up to
    batched arithmetic.
    """

    @_outside_inference
    def __init__(
        self,
        slow: Learner,
        rule: MemoryRule,
        episodes: int,
        seed: int,
        context: int,
        chunk: int,
        base_hash: str,
        odometry: Odometry | None = None,
        start: MemoryStart | None = None,
        inverse: InverseDynamics | None = None,
    ) -> None:
        if min(episodes, context, chunk) < 1:
            raise ValueError(f"a memory needs 1 or more of episodes, context, chunk; got {(episodes, context, chunk)}")
        check_recalled(rule, slow)
        self.slow, self.rule, self.seed, self.base_hash = slow, rule, seed, base_hash
        self.context, self.chunk = context, chunk
        self.odometry = odometry if rule.recalled and rule.recall_by == "pose" else None
        self.layout = AdapterLayout.of(slow.unet, slow.memory_layers(rule.layers), rule.rank, rule.scaled_by)
        self._reading = Reading(slow.unet, self.layout, rule)
        self._generators = [random.episode_generator(seed, episode, 0) for episode in range(episodes)]
        self.start, self.inverse = chosen_start(rule, start, base_hash), reader_for(rule, inverse)
        rows = first_rows(self.layout, self._generators, self.start).to(next(slow.unet.parameters()).device)
        keys = self.layout.layers[0].rank if rule.optimiser == RECURSIVE else None
        self._state = MemoryState.fresh(rows, random.states(self._generators), rule.consolidate > 0, keys)

    # --- what it is ----------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._state.rows)

    @property
    def every(self) -> int:
        """New frames between two updates of an episode."""
        return self.rule.every or self.chunk

    @property
    def frames_pending(self) -> torch.Tensor:
        """``int64 [E]``: frames not yet learned (an episode's first frame alone counts as none)."""
        stream = self._state.stream
        if stream is None:
            return torch.zeros(len(self), dtype=torch.int64)
        return (stream.frames - 1).clamp(min=0) % self.every

    @property
    def steps(self) -> torch.Tensor:
        """``int64 [E]``: gradient steps that each episode's adapter has taken."""
        return self._state.adam.steps.clone()

    def delta(self, name: str, episode: int) -> torch.Tensor:
        """What an episode's memory adds to the weight of layer ``name`` of the network, in that weight's shape."""
        return self.layout.delta(self._state.rows[episode], name)

    # --- reading -------------------------------------------------------------------------------------------------

    @contextmanager
    def attached(self, episodes: Episodes = None) -> Iterator[None]:
        """Within the context the network reads the memories of ``episodes`` (repeats allowed), and writes nothing.

        A batch then holds ``k * E'`` entries, episode-major. Where no gradient is recorded, a single memory is merged
        into a copy of the weights, unless it is silent where it was taught nothing (``rule.familiar``). A rule that
        learns nothing has nothing to attach. Raises RuntimeError when a memory is attached already.
        """
        with self._reading.attached(self._state, None if episodes is None else self._index(episodes)):
            yield

    def kept(self, episodes: Episodes = None) -> Kept:
        """Frames of ``episodes`` that may be shown again."""
        return kept_by(self._state, self._index(episodes))

    def pose_of(self, frames: torch.Tensor, kept: Kept, episodes: Episodes = None) -> torch.Tensor:
        """Where frames ``[B, C, h, w]`` were seen from, ``[B, 3]``; see :func:`slowfast.fast.keeping.pose_of`."""
        return pose_of(self._state, self._index(episodes), frames, kept)

    # --- learning ------------------------------------------------------------------------------------------------

    @_outside_inference
    def append(
        self, latents: torch.Tensor, actions: ActionTensors, episodes: Episodes = None, dreamed: bool = False
    ) -> dict[str, torch.Tensor]:
        """Adds frames that were seen or made to the streams of ``episodes``, and learns where enough are new.

        ``latents`` ``[E', n, C, h, w]``, clean and normalised; ``actions`` ``[E', n, ...]``, the one that led into each
        frame. After every :attr:`every` new frames of an episode, the first frame not counted, its last
        ``context + chunk`` frames are learned: the last ``chunk`` as new, what lies before as prefix (the episode's
        first update has one frame of it, as Algorithm 1 says). Episodes that are due together learn in one pass.
        ``dreamed``: the frames are the world's own, and are learned in ``rule.dreamed_steps``; the frame that makes an
        update due decides for its chunk.

        Returns ``updates`` ``int64 [E']`` and ``loss_first``, ``loss_last`` ``float32 [E']``: the losses at the first
        and last gradient step of the latest update in this call, NaN where there was none. Raises ValueError for axes
        that do not fit, RuntimeError while a memory is attached.
        """
        index = self._index(episodes)
        self._check(index, latents, actions)
        device = self._device
        latents, actions = latents.to(device), {name: tensor.to(device) for name, tensor in actions.items()}
        steps = self.rule.steps_on(dreamed)
        stream, done = self._begin(latents, actions), 0
        if self.rule.recalled:
            vectors = self.slow.action_vectors(actions)
            self._state = keep(self._state, index, latents, vectors, dreamed, self.rule.bank, self.odometry)
        updates = torch.zeros(len(index), dtype=torch.int64)
        losses = torch.full((2, len(index)), float("nan"), device=device)
        while done < latents.shape[1]:
            until_due = self.every - (stream.frames[index] - 1) % self.every
            until_due[stream.frames[index] == 0] = 1 + self.every
            count = min(latents.shape[1] - done, int(until_due.min()))
            piece = slice(done, done + count)
            stream = stream.extend(index, latents[:, piece], {name: a[:, piece] for name, a in actions.items()})
            self._state = replace(self._state, stream=stream)
            done += count
            due = (until_due == count).nonzero().flatten() if steps else until_due[:0]
            lengths = stream.frames[index[due]].clamp(max=self.context + self.chunk)
            for length in lengths.unique().tolist():
                group = due[lengths == length]
                newest = stream.windows(index[group], length, max(1, length - self.chunk))
                losses[:, group.to(device)] = self._learn(index[group], newest, steps)
                updates[group] += 1
        return {"updates": updates, "loss_first": losses[0], "loss_last": losses[1]}

    @_outside_inference
    def study(self, windows: Windows) -> torch.Tensor:
        """One update of all episodes on windows ``[E, context + chunk, ...]`` that are not of their streams, which stay
        as they are. Returns the losses ``float32 [2, E]`` of its first and last gradient step."""
        everybody, length = self._index(None), self.context + self.chunk
        self._check(everybody, windows.latents, windows.actions)
        if windows.latents.shape[1] != length:
            raise ValueError(f"a window to study holds {length} frames, got {windows.latents.shape[1]}")
        self._begin(windows.latents, windows.actions)
        return self._learn(everybody, windows.to(self._device), self.rule.steps)

    @_outside_inference
    def cut(self, episodes: Episodes = None) -> None:
        """Says that the next frames do not follow the last ones; what was learned and kept stays."""
        if self._state.stream is not None:
            self._state = replace(self._state, stream=self._state.stream.cut(self._index(episodes)))

    @_outside_inference
    def reset(self, mask: Episodes = None, seeds: Sequence[int] | None = None) -> None:
        """Makes the episodes fresh: no effect, no frames, first factors from the next spawn of their own generator.

        How an episode goes on is fixed by (seed, episode, number of resets), not by what it drew or learned before.
        With ``seeds``, one for each of the episodes, it goes on as the only episode of a memory of that seed does after
        its first reset.
        """
        index = self._index(mask)
        if seeds is not None and len(seeds) != len(index):
            raise ValueError(f"{len(index)} episodes are reset with {len(seeds)} seeds")
        lives = self._state.lives.index_add(0, index, torch.ones_like(index))
        for row, episode in enumerate(index.tolist()):
            known = (self.seed, episode, int(lives[episode])) if seeds is None else (int(seeds[row]), 0, 1)
            self._generators[episode] = random.episode_generator(*known)
        drawn = [self._generators[episode] for episode in index.tolist()]
        rows = first_rows(self.layout, drawn, self.start).to(self._device)
        self._state = replace(self._state.written(index, rows, AdamState.fresh(rows)).forgetful(index), lives=lives)

    # --- keeping -------------------------------------------------------------------------------------------------

    def snapshot(self) -> MemoryState:
        """This moment, without copying: updates replace tensors instead of writing into them."""
        return replace(self._state, random=random.states(self._generators))

    def restore(self, snapshot: MemoryState) -> None:
        """Back to the moment of ``snapshot``, draws included: what follows repeats the same bits."""
        check_same_size(snapshot, self._state)
        self._generators = random.from_states(snapshot.random)
        self._state = snapshot

    def save(self, folder: str | Path, episode: int) -> None:
        """Writes one episode's adapter as a PEFT folder, for ``PeftModel.from_pretrained(network, folder)``."""
        from slowfast.fast.peft_io import save_adapter

        save_adapter(folder, self.layout, self._state.rows[episode], self.base_hash)

    @_outside_inference
    def load(self, folder: str | Path, episode: int) -> None:
        """Gives an episode the adapter of :meth:`save`, with a fresh optimiser and no frames.

        Raises ValueError if it belongs to other weights, layers or ranks, or the rule has no adapter to read or none
        that says all (``optimiser: recursive``).
        """
        from slowfast.fast.peft_io import check_loadable, load_adapter

        check_loadable(self.rule)
        index = self._index([episode])
        row = load_adapter(folder, self.layout, self.base_hash).to(self._device)[None]
        self._state = self._state.written(index, row, AdamState.fresh(row)).forgetful(index)

    def save_state(self, folder: str | Path) -> None:
        """Writes everything: adapters, optimiser, frames, generators. After :meth:`load_state` the same bits follow."""
        from slowfast.fast.state_io import save_state

        save_state(folder, self)

    @_outside_inference
    def load_state(self, folder: str | Path) -> None:
        """Takes up what :meth:`save_state` wrote. Raises ValueError if it belongs to other weights, rule or size."""
        from slowfast.fast.state_io import load_state

        self.restore(load_state(folder, self))

    # --- inside --------------------------------------------------------------------------------------------------

    @property
    def _device(self) -> torch.device:
        return self._state.rows.device

    def _index(self, episodes: Episodes) -> torch.Tensor:
        return episode_index(episodes, len(self))

    def _check(self, index: torch.Tensor, latents: torch.Tensor, actions: ActionTensors) -> None:
        if is_attached(self.slow.unet):
            raise RuntimeError("a memory is attached: leave `attached()` before frames are appended")
        check_frames(index, latents, actions)

    def _begin(self, latents: torch.Tensor, actions: ActionTensors) -> Stream:
        if self._state.stream is None:
            stream = Stream.empty(len(self), self.context + self.chunk, latents.float(), actions)
            self._state = replace(self._state, stream=stream, replay=Replay.empty(self.rule.replay, stream))
        stream = cast(Stream, self._state.stream)
        check_continues(stream, latents, actions)
        return stream

    def _learn(self, index: torch.Tensor, newest: Windows, steps: int) -> torch.Tensor:
        """One update of the episodes ``index`` on their newest windows; losses ``[2, E']``."""
        generators = [self._generators[episode] for episode in index.tolist()]
        rule, whole = replace(self.rule, steps=steps), self.context + self.chunk
        how = (self.slow, self.layout, rule, whole, generators, self.inverse)
        self._state, losses = updated(self._state, index, newest, *how)
        return losses
