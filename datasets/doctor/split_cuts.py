"""A copy of a data set in which every clip ends where its scene ends."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py

from slowfast.actions import ActionSpec
from slowfast.datasets import hdf5
from slowfast.datasets.doctor.finding import Finding
from slowfast.datasets.doctor.stores import episode_files, splits
from slowfast.datasets.episode import DatasetError, Episode
from slowfast.datasets.store import Store, episode_path


@dataclass(frozen=True)
class SplitReport:
    """``episodes`` were written, of which ``parts`` come from clips with cuts; ``dropped`` scenes of a single frame
    have no action and were left out, and so were the ``unreadable`` episodes, by name."""

    episodes: int
    parts: int
    dropped: int
    unreadable: tuple[str, ...]


def split_at_cuts(
    folder: Path | str, out: Path | str, findings: Iterable[Finding], limit: int | None = None
) -> SplitReport:
    """Write the data set in ``folder`` (or each split of it) to ``out``, cut where ``findings`` of "scene-cuts" are.

    The action between two scenes belongs to neither. A part's metadata hold under ``cut`` the episode it comes from,
    its first frame there, and which part of how many it is. ``limit``: the first episodes of each split only. Raises
    :class:`DatasetError` where ``folder`` is no data set or ``out`` holds episodes already.
    """
    folder, out = Path(folder), Path(out)
    found = splits(folder)
    if not found:
        raise DatasetError(f"{folder}: no episodes to cut; `slowfast ingest` makes them of a source")
    if splits(out):
        raise DatasetError(f"{out}: holds episodes already; choose another folder")
    cuts: dict[tuple[str | None, str], set[int]] = {}
    for finding in findings:
        if finding.check == "scene-cuts" and finding.episode is not None and finding.frame is not None:
            cuts.setdefault((finding.split, finding.episode), set()).add(finding.frame)
    reports = [
        _split(
            files[:limit], out / (name or ""), {episode: at for (split, episode), at in cuts.items() if split == name}
        )
        for name, files in ((name, episode_files(path)) for name, path in found.items())
    ]
    return SplitReport(
        sum(report.episodes for report in reports),
        sum(report.parts for report in reports),
        sum(report.dropped for report in reports),
        tuple(name for report in reports for name in report.unreadable),
    )


def _split(files: list[Path], out: Path, cuts: Mapping[str, set[int]]) -> SplitReport:
    number = parts = dropped = 0
    unreadable = []
    for path in files:
        try:
            with hdf5.open_file(path) as file:
                length = int(hdf5.read_header(file)["length"])
                edges = [0, *sorted(cuts.get(path.stem, ())), length + 1]
                scenes = list(itertools.pairwise(edges))
                for part, (start, stop) in enumerate(scenes):
                    if stop - start < 2:
                        dropped += 1
                        continue
                    place = {"episode": path.stem, "first_frame": start, "part": part, "parts": len(scenes)}
                    metadata = {"cut": place} if len(scenes) > 1 else {}
                    episode = _scene(file, start, stop, metadata)
                    hdf5.write_file(episode_path(out, number), episode, _compression(file))
                    number, parts = number + 1, parts + (len(scenes) > 1)
        except (DatasetError, OSError, RuntimeError) as error:
            unreadable.append(str(path) if str(path) not in str(error) else str(error))
    if number:
        Store(out)
    return SplitReport(number, parts, dropped, tuple(unreadable))


def _scene(file: h5py.File, start: int, stop: int, metadata: Mapping[str, object]) -> Episode:
    """Frames ``start`` to ``stop`` and what lies between them; the rest of the episode is not read."""
    header = hdf5.read_header(file)
    spec = ActionSpec.from_json(header["action_spec"])
    between = slice(start, stop - 1)
    return Episode(
        frames={name: hdf5.read_frames(file, name, start, stop) for name in header["cameras"]},
        actions=ActionSpec.select(hdf5.read_actions(file, spec), between),
        spec=spec,
        fps=header["fps"],
        rewards=file["rewards"][between],
        terminations=file["terminations"][between],
        truncations=file["truncations"][between],
        states={name: rows[start:stop] for name, rows in file.get("states", {}).items()},
        infos={name: rows[start:stop] for name, rows in file.get("infos", {}).items()},
        metadata={**header["metadata"], **metadata},
    )


def _compression(file: h5py.File) -> str:
    """How the frames of an episode lie on disk, in ``hdf5.write_file``'s terms."""
    if "frames" not in file:
        return "mp4"
    return next(iter(file["frames"].values())).compression or "none"
