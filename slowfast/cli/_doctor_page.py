"""The doctor's findings as one page with everything inside: pictures, histograms, and what was looked for."""

from __future__ import annotations

import base64
import importlib.util
import inspect
import io
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from slowfast.actions import ActionError
from slowfast.cli.doctor import listed, place
from slowfast.datasets.contact_sheet import action_labels
from slowfast.datasets.doctor.checks import CHECKS
from slowfast.datasets.doctor.examine import READABLE, Examination
from slowfast.datasets.doctor.finding import Finding
from slowfast.datasets.doctor.footage import Footage
from slowfast.datasets.episode import DatasetError
from slowfast.datasets.files import replacing

LISTED = 6
"""Findings of a check that the page shows in each split."""
PICTURED = 60
"""Findings with pictures; each costs reading the episode again."""
BEFORE, AFTER = 2, 3
"""Frames shown of a finding: so many before its frame, and so many from it on."""
SMALLEST, LARGEST = 96, 192  # width of a picture in pixels


def require_jinja() -> None:
    """Raises ImportError that names the extra when a page could not be written."""
    if importlib.util.find_spec("jinja2") is None:
        raise ImportError('jinja2 missing: a page needs `pip install "slowfast[eval]"`')


def write_page(path: Path, source: str, examination: Examination, splits: Mapping[str | None, Footage]) -> None:
    """Writes the page. Pictures are read again from ``splits``; those that cannot be read are left out."""
    require_jinja()
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = files("slowfast.cli").joinpath("templates/doctor.html").read_text(encoding="utf-8")
    shown = list(listed(examination.findings, LISTED))
    strips = _strips([finding for finding, _ in shown], splits)
    page = environment.from_string(template).render(
        source=source,
        summary=examination.summary,
        findings=[
            {"finding": finding, "place": place(finding), "more": more, "strip": strips.get(finding)}
            for finding, more in shown
        ],
        histograms={name: _histograms(split["measured"]) for name, split in examination.summary["splits"].items()},
        offsets={
            name: _offsets(split["measured"].get("alignment", {}))
            for name, split in examination.summary["splits"].items()
        },
        checks=_checks(examination.findings),
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _strips(findings: list[Finding], splits: Mapping[str | None, Footage]) -> dict[Finding, list[dict[str, Any]]]:
    """Pictures around each finding's frame, with the action that led to each."""
    placed = [f for f in findings if f.episode is not None and f.frame is not None and f.check != READABLE][:PICTURED]
    episodes: dict[tuple[str | None, str | None], list[Finding]] = {}
    for finding in placed:
        episodes.setdefault((finding.split, finding.episode), []).append(finding)
    strips = {}
    for split, part in splits.items():
        names = {name for s, name in episodes if s == split}
        numbers = {part.name(i): i for i in range(len(part)) if part.name(i) in names}
        for name, i in numbers.items():
            strips.update(_of_episode(part, i, episodes[split, name]))
    return strips


def _of_episode(part: Footage, i: int, findings: list[Finding]) -> dict[Finding, list[dict[str, Any]]]:
    try:
        take = part.take(i)
        labels = ["start", *action_labels(part.spec, take.actions)]
        first = next(take.frames())
    except (DatasetError, ActionError, StopIteration):
        return {}
    cameras: dict[str, list[Finding]] = {}
    for finding in findings:
        cameras.setdefault(finding.camera or min(first), []).append(finding)
    strips = {}
    for camera, here in cameras.items():
        wanted = {f: range(max((f.frame or 0) - BEFORE, 0), min((f.frame or 0) + AFTER, len(labels))) for f in here}
        pictures = part.pictures(i, camera, sorted({number for numbers in wanted.values() for number in numbers}))
        for finding, numbers in wanted.items():
            strips[finding] = [
                {"frame": n, "action": labels[n], "here": n == finding.frame, "uri": _uri(pictures[n])}
                for n in numbers
                if n in pictures
            ]
    return strips


def _uri(frame: np.ndarray) -> str:
    """``uint8 [H, W, 3]`` as a PNG; small ones grow by whole factors, so that their pixels stay visible."""
    height, width = frame.shape[:2]
    scale = -(-SMALLEST // width) if width < SMALLEST else min(1.0, LARGEST / width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    method = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
    buffer = io.BytesIO()
    Image.fromarray(frame).resize(size, method).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _histograms(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Action histograms as bars: ``title``, ``note`` and ``bars`` of (label, count, share of the longest)."""
    found = []
    for name, histogram in measured.get("action-balance", {}).items():
        note = f"{histogram['kind']}, {histogram['steps']} steps"
        if "entropy" in histogram:
            note += f", evenness {histogram['entropy']:.2f} of 1"
        if "distinct" in histogram:
            note += f", {histogram['distinct']} distinct"
        if histogram["kind"] != "continuous":
            found.append({"title": name, "note": note, "bars": _bars(histogram["counts"]), "narrow": False})
            continue
        for axis, binned in histogram["counts"].items():
            edges = binned["edges"]
            labels = {
                f"{low:.3g} to {high:.3g}": n for low, high, n in zip(edges, edges[1:], binned["counts"], strict=False)
            }
            title = f"{name}: {axis}"
            note_here = f"{note}, {edges[0]:.4g} to {edges[-1]:.4g}"
            found.append({"title": title, "note": note_here, "bars": _bars(labels), "narrow": True})
    return found


def _offsets(alignment: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    shares = alignment.get("explained", {})
    return _bars({offset: max(share, 0.0) for offset, share in shares.items()})


def _bars(counts: Mapping[str, float]) -> list[tuple[str, float, float]]:
    most = max(counts.values(), default=0) or 1
    return [(label, count, round(100 * count / most, 2)) for label, count in counts.items()]


def _checks(findings: list[Finding]) -> list[dict[str, Any]]:
    about = {READABLE: "Every episode can be read to its end."}
    about |= {check.name: " ".join((inspect.getdoc(check) or "").split("\n\n")[0].split()) for check in CHECKS}
    return [
        {"name": name, "about": text, "found": sum(finding.check == name for finding in findings)}
        for name, text in about.items()
    ]
