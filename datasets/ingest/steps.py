"""Episodes from an iterable that may be read only once, straight into a store: RLDS step dictionaries as they come."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from slowfast.actions import ActionError, ActionSpec
from slowfast.datasets import hdf5
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.files import replacing
from slowfast.datasets.ingest.pipeline import REPORT, STAGE, Report
from slowfast.datasets.ingest.policy import FramePolicy
from slowfast.datasets.ingest.policy import episodes as cut
from slowfast.datasets.ingest.readers.rlds_steps import StepLayout, StepSettings, read_steps, recording_of, spec_of
from slowfast.datasets.store import Store, episode_path

PROGRESS = "steps.json"


def ingest_steps(
    episodes: Iterable[Mapping[str, Any]],
    out: Path | str,
    *,
    fps: float,
    image_keys: Sequence[str] = (),
    action: str = "action",
    labels: Sequence[str] = (),
    spec: ActionSpec | None = None,
    policy: FramePolicy | None = None,
    metadata: Mapping[str, Any] | None = None,
    compression: str = "auto",
    progress: Callable[..., None] | None = None,
) -> Report:
    """Write ``episodes`` (dictionaries with ``steps``, see ``readers.rlds.from_steps``) as they come into ``out``.

    Called again with the same settings and the same episodes after it was stopped, it passes over those that are done.
    An episode that cannot be read is left out and named in the report; what becomes of the others does not depend on
    it. ``metadata`` goes into every episode; the other settings are those of ``from_steps`` and of
    :class:`~slowfast.datasets.ingest.policy.FramePolicy`. ``progress(done, None, skipped=n)`` is called after each.
    Raises :class:`DatasetError` where ``out`` was begun with other settings, the iterable itself fails, or nothing of
    it can be read.
    """
    out = Path(out)
    settings = StepSettings(fps, tuple(image_keys), action, tuple(labels), spec)
    policy = policy or FramePolicy()
    state = _begun(out, settings, policy, dict(metadata or {}), compression)
    i = -1
    for i, episode in _guarded(episodes):
        if i < state["recordings"]:
            continue
        try:
            _write(out, episode, f"episode {i}", settings, policy, state)
        except (DatasetError, ActionError, MemoryError) as error:
            said = str(error) or "needs more memory than there is"
            state["skipped"][f"episode {i}"] = said if f"episode {i}" in said else f"episode {i}: {said}"
        state["recordings"] = i + 1
        _save(out, state)
        if progress:
            progress(i + 1, None, skipped=len(state["skipped"]))
    if state["episodes"] == 0:
        first = next(iter(state["skipped"].values()), "there are none")
        raise DatasetError(f"{out}: none of {i + 1} episodes can be read; the first says: {first}")
    return _finished(out, state)


def _write(
    out: Path, episode: Any, name: str, settings: StepSettings, policy: FramePolicy, state: dict[str, Any]
) -> None:
    layout = StepLayout(**state["layout"]) if state["layout"] else None
    steps = read_steps(episode, layout, settings, name)
    spec = ActionSpec.from_json(state["spec"]) if state["spec"] else spec_of(steps, settings, name)
    recording = recording_of(steps, spec, settings, name)
    recording = replace(recording, metadata={**recording.metadata, **state["settings"]["metadata"]})
    written: list[Path] = []
    frames, seconds = 0, 0.0
    try:
        for part in cut(recording, policy):
            written.append(episode_path(out, state["episodes"] + len(written)))
            hdf5.write_file(written[-1], part, state["settings"]["compression"])
            frames, seconds = frames + len(part) + 1, seconds + len(part) / part.fps
    except (DatasetError, ActionError, MemoryError):
        for path in written:
            path.unlink(missing_ok=True)
        raise
    state["layout"], state["spec"] = asdict(steps.layout), spec.to_json()
    state["episodes"] += len(written)
    state["frames"] += frames
    state["seconds"] += seconds


def _begun(
    out: Path, settings: StepSettings, policy: FramePolicy, metadata: dict[str, Any], compression: str
) -> dict[str, Any]:
    """What is done: counts, what was skipped, and the layout and spec that the first episode gave."""
    said = {
        "format": "rlds",
        "steps": settings.described(),
        "policy": policy.described(),
        "metadata": metadata,
        "compression": compression,
    }
    said = json.loads(json.dumps(said))
    begun, finished = out / STAGE / PROGRESS, out / REPORT
    state: dict[str, Any]
    if begun.exists():
        state = json.loads(begun.read_text())
        other = [key for key in said if state["settings"].get(key) != said[key]]
        if other:
            raise DatasetError(f"{begun}: was begun with other settings ({', '.join(other)}); choose another out")
        return state
    if finished.exists() or any(out.glob("episodes/*.h5")):
        raise DatasetError(f"{out}: holds episodes that come from elsewhere; choose another out")
    empty = {"recordings": 0, "episodes": 0, "frames": 0, "seconds": 0.0, "skipped": {}, "layout": None, "spec": None}
    state = {"settings": said, **empty}
    _save(out, state)
    return state


def _save(out: Path, state: dict[str, Any]) -> None:
    with replacing(out / STAGE / PROGRESS) as temporary:
        temporary.write_text(json.dumps(state))


def _finished(out: Path, state: dict[str, Any]) -> Report:
    for path in sorted(
        out.glob("episodes/*.h5")
    ):  # of an episode that was being written when an earlier run was killed
        if path.stem.isdigit() and int(path.stem) >= state["episodes"]:
            path.unlink()
    report = Report(
        "rlds",
        state["recordings"],
        state["episodes"],
        state["frames"],
        state["seconds"],
        state["skipped"],
        {"cameras": ", ".join(state["layout"]["cameras"])},
        state["spec"],
    )
    with replacing(out / REPORT) as temporary:
        temporary.write_text(json.dumps({"settings": state["settings"], **asdict(report)}, indent=1))
    Store(out)
    return report


def _guarded(episodes: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    i = -1
    try:
        for i, episode in enumerate(episodes):
            yield i, episode
    except Exception as error:  # anybody's code, or a damaged file
        raise DatasetError(f"the source fails after episode {i} ({error!r:.300}); what was written stays") from error
