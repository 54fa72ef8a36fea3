"""What the episodes of a data set were told to do, in which frames it was done, and pairs of the two to learn from.

What is known of a frame and an instruction:

- its own instruction is done after a step that says so, and not yet done in all frames before the first such step, or
  in all frames of an episode without one. Frames that come later and do not say so are left out: the cube may lie where
  it should, or have been pushed on.
- another episode's instruction may be done by chance in any frame, and nobody has written that down. So such pairs are
  made only of frames in which the frame's own instruction is done, where nothing but the words tells the two apart, and
  only with words that differ. They are taken as not done. Where a share ``q`` of them is done all the same (both cubes
  lie on the left; two phrasings mean one thing), as many true pairs stand against them: what is learned for a pair that
  is done goes down to about ``1 / (1 + q * swapped pairs / true pairs)`` (0.92 for one in ten) and the order of pairs
  stays as it is. The slope and offset of the head are fitted on frames with their own instruction alone.

How soon an instruction is done is known of the first two kinds: at once, or when its episode did it. An episode that
never did it says so of frames that are not too near its end.

Every instruction is drawn equally often for each kind of pair, so that the words alone say nothing of the answer. For
that an instruction which no episode ever followed has to be left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.windows import WindowSampler, WindowShape
from slowfast.heads.words import split
from slowfast.training.instruction_config import InstructionTaskConfig
from slowfast.training.outcomes import EpisodeOutcomes
from slowfast.training.splits import Subset


@dataclass(frozen=True)
class EpisodeInstructions:
    """``texts``: the distinct instructions, words in lower case with blanks between them; ``said`` ``int64 [N]``: which
    of them each episode was told, -1 for none. ``done`` and ``not_yet``: ``bool [T + 1]`` of each episode, both False
    where it is not known. ``soon``: ``float32 [T + 1]``, the discount of a step to the power of the steps until it is
    done, nan where that is not known."""

    texts: tuple[str, ...]
    said: np.ndarray
    done: Sequence[np.ndarray]
    not_yet: Sequence[np.ndarray]
    soon: Sequence[np.ndarray]

    @classmethod
    def of(cls, part: Subset, config: InstructionTaskConfig) -> EpisodeInstructions:
        """Of a part of a folder of episodes. Raises DatasetError when none has an instruction, or they have no rewards
        or terminations."""
        outcomes = EpisodeOutcomes.of(part)
        told = [spoken(part.metadata(i).get("instruction")) for i in range(len(part))]
        texts = sorted({text for text in told if text})
        if not texts:
            raise DatasetError("no episode has an instruction: it belongs into its metadata, as 'instruction'")
        numbers = {text: number for number, text in enumerate(texts)} | {"": -1}
        done, not_yet = [], []
        for text, rewards, ends in zip(told, outcomes.rewards, outcomes.ends, strict=True):
            steps = rewards >= config.least_reward if config.success == "reward" else ends
            frames = np.concatenate([[False], steps])
            before = np.cumsum(frames) == 0
            done.append(frames & bool(text))
            not_yet.append(before & bool(text))
        soon = [how_soon(own, early, config.soon) for own, early in zip(done, not_yet, strict=True)]
        return cls(tuple(texts), np.array([numbers[text] for text in told], np.int64), done, not_yet, soon)

    @property
    def share(self) -> float:
        """Of the frames of which it is known, those in which the episode's own instruction is done."""
        done = sum(int(own.sum()) for own in self.done)
        return done / max(done + sum(int(own.sum()) for own in self.not_yet), 1)


def how_soon(done: np.ndarray, not_yet: np.ndarray, discount: float) -> np.ndarray:
    """``discount`` to the power of the steps until it is done, ``float32 [T + 1]``: 1 where it is done, 0 where the
    episode goes on for long and does not do it, nan where that is not known."""
    frames = np.arange(len(done))
    first = int(done.argmax()) if done.any() else None
    if first is None:
        early = np.where(discount ** (len(done) - 1 - frames) < OPEN, 0.0, np.nan)
    else:
        early = discount ** np.maximum(first - frames, 0.0)
    return np.where(done, 1.0, np.where(not_yet, early, np.nan)).astype(np.float32)


def spoken(text: object) -> str:
    """Its words with blanks between them; none for anything but text."""
    return " ".join(split(text)) if isinstance(text, str) else ""


class Pairs(NamedTuple):
    """``episodes`` and ``frames`` ``int64 [B]``, the instruction that each comes with ``texts`` ``int64 [B]``,
    whether it is ``done`` ``bool [B]``, and how ``soon`` it will be ``float32 [B]``, nan where that is not known."""

    episodes: np.ndarray
    frames: np.ndarray
    texts: np.ndarray
    done: np.ndarray
    soon: np.ndarray


class PairSampler(WindowSampler):
    """Frames with instructions for batches: done, not yet done, and done with other words, a share of ``swapped`` of
    the last and equally many of the others. Raises DatasetError when nothing was ever done."""

    def __init__(self, instructions: EpisodeInstructions, swapped: float, batch_size: int, seed: int) -> None:
        lengths = np.array([len(own) - 1 for own in instructions.done], np.int64)
        super().__init__(lengths, [WindowShape(0, 1)], batch_size, seed)
        self._firsts = np.concatenate([[0], np.cumsum(lengths + 1)])
        said = np.repeat(instructions.said, lengths + 1)
        self._soon = np.concatenate(instructions.soon)
        done, not_yet = (np.concatenate(own) for own in (instructions.done, instructions.not_yet))
        self.followed = np.unique(said[done])
        """Instructions that some episode did, in ascending order."""
        if not len(self.followed):
            raise DatasetError(NEVER)
        if len(self.followed) < 2:
            swapped = 0.0
        if not np.isin(said[not_yet], self.followed).any():  # never with whole episodes, whose first frame is not yet
            raise DatasetError("every frame of the training data shows its instruction done: there is nothing to learn")
        self._kinds = np.array([(1 - swapped) / 2, (1 - swapped) / 2, swapped])
        self._done, self._not_yet = (_Grouped(np.flatnonzero(own), said, self.followed) for own in (done, not_yet))

    def pairs(self, step: int) -> Pairs:
        """Those of batch ``step``."""
        rng = np.random.default_rng(np.random.SeedSequence((self.seed, step)))
        kinds = rng.choice(3, self.batch_size, p=self._kinds)
        places = rng.random((3, self.batch_size))
        shown, chosen = self._done.draw(places[0], places[1])
        waiting, early = self._not_yet.draw(places[0], places[1])
        # One of the others, each equally likely: so many places further in a circle.
        further = 1 + (places[2] * (len(self.followed) - 1)).astype(np.int64)
        other = self.followed[(np.searchsorted(self.followed, shown) + further) % len(self.followed)]
        frames = np.where(kinds == 1, early, chosen)
        texts = np.choose(kinds, [shown, waiting, other])
        episodes = np.searchsorted(self._firsts, frames, side="right") - 1
        soon = np.where(kinds == 2, np.nan, self._soon[frames]).astype(np.float32)
        return Pairs(episodes, frames - self._firsts[episodes], texts, np.equal(kinds, 0), soon)

    def draw(self, step: int) -> tuple[WindowShape, np.ndarray, np.ndarray]:
        """Shape, episodes ``int64 [B]`` and frames ``int64 [B]`` of batch ``step``."""
        pairs = self.pairs(step)
        return self.shapes[0], pairs.episodes, pairs.frames


class _Grouped:
    """Frames by their instruction, to draw an instruction first and then one of its frames."""

    def __init__(self, frames: np.ndarray, said: np.ndarray, followed: np.ndarray) -> None:
        frames = frames[np.isin(said[frames], followed)]
        self.frames = frames[np.argsort(said[frames], kind="stable")]
        self.texts, self.firsts, self.counts = np.unique(said[self.frames], return_index=True, return_counts=True)

    def draw(self, which: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """By numbers from 0 to 1 ``[B]``: instructions ``int64 [B]`` and frames ``int64 [B]``."""
        group = (which * len(self.texts)).astype(np.int64)
        return self.texts[group], self.frames[self.firsts[group] + (where * self.counts[group]).astype(np.int64)]


OPEN = 0.05
"""What being done right after the end of an episode would be worth to a frame, from which it is open how soon it is."""
NEVER = (
    "no episode of the training data ever did what it was told: by `success` and `least_reward` no frame is one in "
    "which an instruction is done"
)
