"""Clips that are in the data set twice: within a split, or (a leak) in two splits.

Frames are looked up by a perceptual hash (``hashing.py``); where several frames of two clips agree at the same distance
in time, the clips are laid over each other there and compared picture by picture. Pictures that resemble each other are
no copies: the whole stretch that the two share has to match, frame by frame, far better than the clip matches itself
at other times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from slowfast.datasets.doctor.check import Check, Place
from slowfast.datasets.doctor.finding import Finding
from slowfast.datasets.doctor.footage import Clip
from slowfast.datasets.doctor.hashing import Hasher, Index, Moments
from slowfast.datasets.doctor.look import THUMB
from slowfast.datasets.doctor.spool import Kept, Spool

EVERY = 4
"""Frames of which one is in the index; all are looked up."""
INDEXED = 2**20
"""Frames in the index at most; beyond, fewer of each clip are."""
VOTES = 3
"""Frames that have to agree at the same distance in time before two clips are compared."""
COMPARED = 8
"""Candidates per clip that are compared, those with the most votes first."""
LEAST_FRAMES = 8
LEAST_PART = 0.25
"""Of the shorter clip that has to be shared."""
ALIKE = 0.25
"""Of the grey levels by which a clip differs from itself half the stretch later: nine of ten frames differ less."""
LEAST_CONTRAST = 0.25
"""Grey levels by which it has to differ from itself at all; a still picture has no copies."""


@dataclass(frozen=True)
class _Kept:
    place: Place
    thumbs: Kept

    def __len__(self) -> int:
        return self.thumbs.shape[0]


class Copies(Check):
    """Clips that are in the data set twice, within a split or in two."""

    name = "copies"
    whole = True

    def __init__(self, spool: Spool) -> None:
        super().__init__(spool)
        self._clips: list[_Kept] = []
        self._moments = Moments(THUMB * THUMB)

    def look(self, clip: Clip) -> Iterator[Finding]:
        thumbs = clip.looks[min(clip.looks)].thumbs
        self._moments.add(thumbs[::EVERY])
        self._clips.append(_Kept(Place.of(clip), self.spool.put(thumbs)))
        yield from ()

    def conclude(self) -> Iterator[Finding]:
        hasher = self._moments.hasher()
        if hasher is None or len(self._clips) < 2:
            return
        every = EVERY
        while sum(len(clip) // every + 1 for clip in self._clips) > INDEXED:
            every *= 2
        owners, times, index = self._indexed(hasher, every)
        for later, clip in enumerate(self._clips):
            if later == 0:
                continue
            thumbs = self.spool.get(clip.thumbs)
            for earlier, shift in _candidates(later, owners, times, *index.near(hasher.bands(thumbs))):
                shared = _shared(self.spool.get(self._clips[earlier].thumbs), thumbs, shift)
                if shared is not None:
                    yield self._copy(self._clips[earlier].place, clip.place, *shared)
                    break  # one copy says enough

    def _indexed(self, hasher: Hasher, every: int) -> tuple[np.ndarray, np.ndarray, Index]:
        """Clip and frame of each entry, ``int64 [n]``, and the index."""
        owners, times, bands = [], [], []
        for number, clip in enumerate(self._clips):
            thumbs = self.spool.get(clip.thumbs)[::every]
            owners.append(np.full(len(thumbs), number))
            times.append(np.arange(len(thumbs)) * every)
            bands.append(hasher.bands(thumbs))
        return np.concatenate(owners), np.concatenate(times), Index(np.concatenate(bands))

    def _copy(self, earlier: Place, later: Place, first: int, frame: int, count: int) -> Finding:
        where = f"episode {earlier.name}" + (f" of {earlier.split}" if earlier.split is not None else "")
        said = f"frames {frame} to {frame + count - 1} are those from {first} on of {where}"
        if earlier.split == later.split:
            fix = "leave one of them out: it counts twice in training"
            return self.found("warning", f"a near-copy: {said}", fix, later, frame)
        fix = f"leave it out of {later.split} or of {earlier.split}: what was trained on measures nothing"
        return self.found("error", f"a leak between splits: {said}", fix, later, frame)


def _candidates(
    later: int, owners: np.ndarray, times: np.ndarray, rows: np.ndarray, found: np.ndarray
) -> list[tuple[int, int]]:
    """Earlier clips and the shift (frame there minus frame here) at which most frames agree."""
    before = owners[found] < later
    pairs = np.stack([owners[found][before], times[found][before] - rows[before]], 1)
    if not len(pairs):
        return []
    keys, votes = np.unique(pairs, axis=0, return_counts=True)
    best = np.argsort(-votes, kind="stable")[:COMPARED]
    return [(int(keys[k, 0]), int(keys[k, 1])) for k in best if votes[k] >= VOTES]


def _shared(earlier: np.ndarray, later: np.ndarray, shift: int) -> tuple[int, int, int] | None:
    """First frame of the shared stretch in the earlier and in the later clip and its length, or None if they differ
    there. Thumbnails ``uint8 [n, 256]``; their brightness as a whole does not count."""
    first, frame = max(shift, 0), max(-shift, 0)
    count = min(len(earlier) - first, len(later) - frame)
    if count < max(LEAST_FRAMES, LEAST_PART * min(len(earlier), len(later))):
        return None
    pictures = [part.astype(np.float32) for part in (earlier[first : first + count], later[frame : frame + count])]
    one, other = (part - part.mean(1, keepdims=True) for part in pictures)
    contrast = np.median(np.abs(one[: count - count // 2] - one[count // 2 :]).mean(1))
    difference = np.quantile(np.abs(one - other).mean(1), 0.9)
    if contrast < LEAST_CONTRAST or difference > ALIKE * contrast:
        return None
    return first, frame, count
