"""What a check found: where, how bad, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""``error``: training would learn something false, or fail. ``warning``: likely harmful. ``note``: good to know."""


@dataclass(frozen=True)
class Finding:
    """``check``: the check's name. ``message``: what was seen, with figures. ``fix``: what to do.

    ``split``: the sub-folder, None where the data set has none. ``episode``: number of an episode's file
    (``"000012"``) or name of a recording; None for what concerns all. ``frame``: the first frame concerned, counted
    from 0. ``seconds``: its time in the episode. ``camera``: where it was seen, if the check looks at one.
    """

    check: str
    severity: Severity
    message: str
    fix: str
    split: str | None = None
    episode: str | None = None
    frame: int | None = None
    seconds: float | None = None
    camera: str | None = None

    def described(self) -> dict[str, Any]:
        """JSON-compatible."""
        return asdict(self)
