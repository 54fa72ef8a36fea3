"""One chunk ahead of true frames: how far off, beside its baseline and its ceiling, and whether actions matter.

Errors are squared errors of 8-bit frames, averaged over everything before they are compared or turned into decibels:
where nothing moves, repeating the last frame is exact, and a mean of decibels would drown in that. All arms of a
comparison start from the same noise, one generator a window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from slowfast.actions import ActionSpec, Columns, Discrete, Language
from slowfast.conditioning.phrases import describe
from slowfast.fast.generators import episode_generator
from slowfast.world_model import WorldModel


@dataclass(frozen=True)
class TrueWindows:
    """What really happened: ``frames`` ``uint8 [N, F, H, W, 3]``, ``actions`` columns ``[N, F]``, each the action that
    led *into* its frame; the first ``prefix`` frames are shown, the others are to be foretold."""

    frames: np.ndarray
    actions: Columns
    prefix: int

    def __post_init__(self) -> None:
        if not 1 <= self.prefix < self.frames.shape[1]:
            raise ValueError(f"prefix {self.prefix} has to leave new frames in a window of {self.frames.shape[1]}")

    @property
    def new(self) -> np.ndarray:
        return self.frames[:, self.prefix :]


@dataclass(frozen=True)
class ChunkErrors:
    """Ratios are to the error of repeating the last shown frame; PSNR in dB. ``codec_psnr`` is the ceiling: the true
    new frames through the codec. ``chunk_*`` is over all new frames, ``first_frame_*`` over the first."""

    first_frame_ratio: float
    chunk_ratio: float
    first_frame_psnr: float
    chunk_psnr: float
    repeat_psnr: float
    codec_psnr: float


@dataclass(frozen=True)
class ActionEffect:
    """Relative rises of the squared error (1.0 = doubled). ``action_sensitivity``: of the first new frame, over the
    windows in which a swappable action leads into it, when it is swapped. ``shuffled_actions``: of all new frames, when
    each window gets another window's actions. NaN when no window can tell."""

    action_sensitivity: float
    shuffled_actions: float


def one_chunk_errors(world: WorldModel, truth: TrueWindows, seed: int = 0, batch: int = 64) -> ChunkErrors:
    """Errors of the world's frames with all that is known of the actions."""
    made = imagined(world, truth, truth.actions, seed, batch)
    repeated = np.broadcast_to(truth.frames[:, truth.prefix - 1, None], truth.new.shape)
    errors, baseline = squared_errors(made, truth.new), squared_errors(repeated, truth.new)
    ceiling = squared_errors(_through_codec(world, truth.new, batch), truth.new)
    return ChunkErrors(
        first_frame_ratio=_ratio(errors[:, 0], baseline[:, 0]),
        chunk_ratio=_ratio(errors, baseline),
        first_frame_psnr=decibels(errors[:, 0]),
        chunk_psnr=decibels(errors),
        repeat_psnr=decibels(baseline),
        codec_psnr=decibels(ceiling),
    )


def action_effect(
    world: WorldModel, truth: TrueWindows, swap: Mapping[str, str], seed: int = 0, batch: int = 64
) -> ActionEffect:
    """What wrong actions do. ``truth.actions`` decides the route: see :func:`route`.

    ``swap`` maps labels of the first discrete component to labels, for instance ``{"turn left": "turn right", ...}``;
    only actions of new frames are changed. Raises ValueError for a label that is not there.
    """
    spec = world.action_spec
    right = squared_errors(imagined(world, truth, truth.actions, seed, batch), truth.new)
    turns, swapped = swapped_actions(spec, truth, swap)
    sensitivity = float("nan")
    if turns.any():
        chosen = TrueWindows(truth.frames[turns], spec.select(truth.actions, turns), truth.prefix)
        numbers = np.flatnonzero(turns)
        wrong = imagined(world, chosen, spec.select(swapped, turns), seed, batch, numbers)
        sensitivity = _ratio(squared_errors(wrong, chosen.new)[:, 0], right[turns, 0]) - 1
    shuffled = imagined(world, truth, shuffled_actions(spec, truth, seed), seed, batch)
    return ActionEffect(sensitivity, _ratio(squared_errors(shuffled, truth.new), right) - 1)


def route(spec: ActionSpec, truth: TrueWindows, text: bool) -> TrueWindows:
    """The windows with their actions through one route alone: ``text`` (the label of the described component, in words)
    or everything but text. Raises ValueError when the spec has no such route."""
    words = [c.name for c in spec.components if isinstance(c, Language)]
    if not words or (text and not any(isinstance(c, Language) and c.describes for c in spec.components)):
        if text:
            raise ValueError(f"{spec} has no language component that describes another: there is no text route")
        return truth
    null = spec.null(truth.frames.shape[:2])
    silent = {name: null[name] if name in words else column for name, column in truth.actions.items()}
    if not text:
        return TrueWindows(truth.frames, silent, truth.prefix)
    spoken = describe(spec, silent, np.random.default_rng(0))
    return TrueWindows(
        truth.frames, {name: spoken[name] if name in words else null[name] for name in spoken}, truth.prefix
    )


def has_text_route(spec: ActionSpec) -> bool:
    """Whether some language component puts another one in words."""
    return any(isinstance(c, Language) and c.describes for c in spec.components)


def swapped_actions(spec: ActionSpec, truth: TrueWindows, swap: Mapping[str, str]) -> tuple[np.ndarray, Columns]:
    """Which windows have a swappable action into their first new frame (bool ``[N]``), and all actions with the swap
    made in every new frame, in the index and in words."""
    component = next((c for c in spec.components if isinstance(c, Discrete)), None)
    if component is None:
        raise ValueError(f"{spec} has no discrete component whose labels could be swapped")
    for label in {*swap, *swap.values()}:
        if label not in component.labels:
            raise ValueError(f"cannot swap {label!r}: component {component.name!r} has the labels {component.labels}")
    indices = {component.labels.index(a): component.labels.index(b) for a, b in swap.items()}
    table = np.array([indices.get(i, i) for i in range(len(component.labels))] + [-1])
    columns = {name: column.copy() for name, column in truth.actions.items()}
    new = (slice(None), slice(truth.prefix, None))
    columns[component.name][new] = table[columns[component.name][new]]
    first = np.isin(truth.actions[component.name][:, truth.prefix], list(indices))
    for language in spec.components:
        if isinstance(language, Language):
            words = np.vectorize(lambda text: swap.get(text, text), otypes=[object])
            columns[language.name][new] = words(columns[language.name][new])
            first |= np.isin(truth.actions[language.name][:, truth.prefix].astype(str), list(swap))
    return first, columns


def shuffled_actions(spec: ActionSpec, truth: TrueWindows, seed: int) -> Columns:
    """Every window with the new actions of another one (a random cycle through all windows)."""
    order = np.random.default_rng(np.random.SeedSequence(seed)).permutation(len(truth.frames))
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)
    donors = spec.select(truth.actions, other)
    shown = spec.select(truth.actions, (slice(None), slice(0, truth.prefix)))
    return spec.concat([shown, spec.select(donors, (slice(None), slice(truth.prefix, None)))], axis=1)


def imagined(
    world: WorldModel,
    truth: TrueWindows,
    actions: Columns,
    seed: int = 0,
    batch: int = 64,
    numbers: np.ndarray | None = None,
) -> np.ndarray:
    """The world's new frames ``uint8 [N, n, H, W, 3]`` after the shown ones; more than a chunk is chained in latents.

    ``numbers`` ``[N]`` are the windows' own numbers (default: 0..N-1): window i draws from generator (seed, number).
    """
    numbers = np.arange(len(truth.frames)) if numbers is None else numbers
    parts = []
    for start in range(0, len(truth.frames), batch):
        rows = slice(start, start + batch)
        context = world.encode(truth.frames[rows, : truth.prefix])
        tensors = world.action_tensors(ActionSpec.select(actions, rows))
        generators = [episode_generator(seed, int(number)) for number in numbers[rows]]
        parts.append(world.decode(world.imagine_latents(context, tensors, None, generators)))
    return np.concatenate(parts)


def squared_errors(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Mean squared error of each frame, ``float64 [N, n]``, of ``uint8 [N, n, H, W, 3]``."""
    difference = one.astype(np.float32) - other.astype(np.float32)
    return np.square(difference).mean(axis=(2, 3, 4), dtype=np.float64)


def decibels(errors: np.ndarray) -> float:
    """PSNR of averaged squared errors of 8-bit frames."""
    return float(10 * np.log10(255.0**2 / max(float(errors.mean()), 1e-12)))


def figures(errors: ChunkErrors | ActionEffect, prefix: str = "") -> dict[str, float]:
    """As a flat mapping for logs and JSON."""
    return {f"{prefix}{name}": value for name, value in asdict(errors).items()}


def _ratio(errors: np.ndarray, baseline: np.ndarray) -> float:
    return float(errors.mean() / max(float(baseline.mean()), 1e-12))


def _through_codec(world: WorldModel, frames: np.ndarray, batch: int) -> np.ndarray:
    parts = (frames[start : start + batch] for start in range(0, len(frames), batch))
    return np.concatenate([world.decode(world.encode(part)) for part in parts])
