"""What measurements of memory say, in words and in table rows: every sentence follows from the numbers it is given.

Takes the mapping that ``metrics.json`` holds, so that a page, a terminal and the file cannot disagree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slowfast.evaluation.intervals import Interval

ARM_NAMES = {
    "codec": "the truth through the codec (ceiling)",
    "on": "memory on",
    "other": "another world's memory (control)",
    "off": "memory off",
    "repeat": "last true frame repeated",
}
FEW_WORLDS = 6
"""Below this an interval over worlds says little, and no claim is made from it alone."""

Metrics = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """A header and rows of text; all columns but the first hold figures."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        lines = [list(self.header), *(list(row) for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        drawn = [
            "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])
            for line in lines
        ]
        return "\n".join([drawn[0], "-" * len(drawn[0]), *drawn[1:]])


def recall_table(recall: Metrics) -> Table:
    """Every arm, best possible first; changes are of the squared error of the latents against memory off."""
    against = {"on": "memory", "other": "other_memory"}
    rows = []
    for arm, name in ARM_NAMES.items():
        errors = recall["arms"][arm]
        effect = recall["effects"].get(against.get(arm, ""))
        change = "" if effect is None else _change(_interval(effect["latent"]["reduction"]))
        latent = "" if errors["latent"] is None else f"{errors['latent']:.3f}"
        rows.append([name, latent, f"{errors['pixel']:.0f}", f"{errors['psnr']:.2f}", change])
    return Table(["dreamed lap", "latent error", "pixel error", "PSNR (dB)", "against memory off [95 %]"], rows)


def stage_table(recall: Metrics) -> Table:
    """Squared error of the latents by part of the lap, with and without memory."""
    rows = []
    for stage in recall["stages"]:
        part = slice(stage["start"], stage["stop"])
        off, on = (_mean(recall["arms"][arm]["latent_frames"][part]) for arm in ("off", "on"))
        frames = f"{stage['start'] + 1} to {stage['stop']}"
        rows.append([stage["name"], frames, f"{off:.3f}", f"{on:.3f}", percent(on / max(off, 1e-12) - 1)])
    return Table(["part of the lap", "frames", "memory off", "memory on", "change"], rows)


def return_table(back: Metrics) -> Table:
    """The dream that comes back by itself."""
    names = {"on": "memory on", "off": "memory off", "simulator": "simulator"}
    rows = []
    for arm, name in names.items():
        errors = back["arms"][arm]
        rows.append([name, f"{errors['difference']:.0f}", f"{errors['truth']:.0f}", f"{errors['motion']:.0f}"])
    return Table(["out and back", "later against first visit", "later visit against truth", "motion"], rows)


def headline(recall: Metrics) -> str:
    """One line: does memory help on these worlds, and is it because it is theirs?"""
    effect, own = (_interval(recall["effects"][name]["latent"]["reduction"]) for name in ("memory", "own_memory"))
    if not math.isfinite(effect.value):
        return "The memory diverged"
    if effect.sign > 0 and own.sign <= 0:
        return "The memory lowers the error, but not by remembering: another world's memory does as much"
    if effect.sign > 0:
        return f"With its memory, the dream is {_share(effect.value)} closer to what was there"
    if effect.sign < 0:
        return f"With its memory, the dream is {_share(-effect.value)} farther from what was there"
    return "Memory does not measurably help here"


def recall_verdicts(recall: Metrics) -> list[str]:
    """What the first measurement says, a sentence each."""
    arms, effects, worlds = recall["arms"], recall["effects"], recall["worlds"]
    said = [_of_memory(effects["memory"], arms, worlds), _of_control(effects)]
    off, on, repeat, codec = (arms[arm]["psnr"] for arm in ("off", "on", "repeat", "codec"))
    gap = codec - off
    if on > off and gap > 0 and _interval(effects["memory"]["pixel"]["reduction"]).sign > 0:
        said.append(
            f"In pixels, memory closes {_share((on - off) / gap)} of the distance in dB between the dream without it "
            f"({off:.1f} dB) and the best that the codec could show ({codec:.1f} dB)."
        )
    else:
        said.append(f"The best that the codec could show is {codec:.1f} dB; the dream without memory has {off:.1f} dB.")
    best = max(on, off)
    if best < repeat:
        said.append(f"Both dreams are worse than repeating the last true frame ({repeat:.1f} dB).")
    elif off < repeat:
        said.append(f"Repeating the last true frame gives {repeat:.1f} dB: better than the dream without memory.")
    else:
        said.append(f"Repeating the last true frame gives {repeat:.1f} dB.")
    if worlds < FEW_WORLDS:
        said.append(f"{worlds} worlds are few: the intervals over them say little.")
    return said


def return_verdicts(back: Metrics) -> list[str]:
    """What the second measurement says."""
    difference, truth = (_interval(back["effects"][name]["reduction"]) for name in ("difference", "truth"))
    said = [
        _compared("the later visit of a view differs from the first one", difference, back["worlds"]),
        _compared("the later visit differs from the truth", truth, back["worlds"]),
    ]
    still, real = back["arms"]["on"]["motion"], back["arms"]["simulator"]["motion"]
    if still < real / 2:
        said.append(
            f"Careful: the dream with memory moves less than half as much as the real world ({still:.0f} against "
            f"{real:.0f}), and a dream that stands still agrees with itself for free."
        )
    return said


def percent(change: float) -> str:
    """``-0.123`` as ``-12 %``, with a real minus sign."""
    digits = 1 if abs(change) < 0.01 else 0
    return "n/a" if not math.isfinite(change) else f"{100 * change:+.{digits}f} %".replace("-", "−")


def _of_memory(effect: Metrics, arms: Metrics, worlds: int) -> str:
    reduction, gain = _interval(effect["latent"]["reduction"]), _interval(effect["pixel"]["decibels"])
    measured = (
        f"{percent(-reduction.value)} squared error of the latents {_bounds(reduction)}, {_decibels(gain)} PSNR of the "
        f"frames ({arms['off']['psnr']:.1f} to {arms['on']['psnr']:.1f} dB), {worlds} unseen worlds"
    )
    verdict = {
        1: "Memory lowers the error of the dreamed lap",
        -1: "Memory raises the error of the dreamed lap",
        0: "Memory does not measurably change the error of the dreamed lap (the interval includes 0)",
    }[reduction.sign]
    return f"{verdict}: {measured}."


def _of_control(effects: Metrics) -> str:
    own, other = (_interval(effects[name]["latent"]["reduction"]) for name in ("own_memory", "other_memory"))
    change = f"another world's memory changes the error by {_change(other)}"
    if own.sign > 0:
        return (
            f"What helps is this world's own memory: {change}; against it the own memory is {_share(own.value)} better."
        )
    if own.sign < 0:
        return f"The control is better than the memory itself: {change}."
    return f"The control cannot be told from the memory itself: {change}."


def _compared(what: str, effect: Interval, worlds: int) -> str:
    if worlds < FEW_WORLDS:
        change = f"memory changes the squared error by which {what} by {percent(-effect.value)}"
        return f"In these {worlds} worlds, {change}: too few to say more."
    verdict = {
        1: f"Memory lowers the squared error by which {what}",
        -1: f"Memory raises the squared error by which {what}",
        0: f"Memory does not measurably change the squared error by which {what} (the interval includes 0)",
    }[effect.sign]
    return f"{verdict}: {_change(effect)}, {worlds} worlds."


def _interval(data: Mapping[str, float | None]) -> Interval:
    value, low, high = (
        float("nan") if data[name] is None else float(data[name] or 0) for name in ("value", "low", "high")
    )
    return Interval(value, low, high)


def _change(reduction: Interval) -> str:
    return f"{percent(-reduction.value)} {_bounds(reduction)}"


def _bounds(reduction: Interval) -> str:
    return f"[{percent(-reduction.high)}, {percent(-reduction.low)}]"


def _decibels(gain: Interval) -> str:
    return f"{gain.value:+.2f} dB [{gain.low:+.2f}, {gain.high:+.2f}]".replace("-", "−")


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
