"""A LeRobot data set's folder: the one that was named, or a hub's, downloaded as far as it is read."""

from __future__ import annotations

import re
from pathlib import Path

from slowfast.datasets.episode import DatasetError
from slowfast.datasets.ingest.formats import SourceOptions
from slowfast.datasets.ingest.readers.lerobot_layout import Layout

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
TABLES = ("meta/*", "README.md")


def local_layout(source: str | Path, options: SourceOptions) -> Layout:
    """The layout of a local folder, or, where no such folder exists, of the data set ``user/name`` of the hub.

    ``options.revision`` is of a hub's data set; of its videos those of ``options.cameras`` alone are fetched. Raises
    :class:`DatasetError` for what neither is there nor can be fetched (offline, no such data set, no such revision).
    """
    folder = Path(source)
    if folder.exists():
        if options.revision is not None:
            raise DatasetError(f"{folder}: is a local folder; a revision goes with a data set of a hub")
        if not folder.is_dir():
            raise DatasetError(f"{folder}: is a file; a LeRobot data set is a folder with meta/info.json in it")
        return Layout(folder)
    if not HUB_ID.fullmatch(str(source)):
        raise DatasetError(f"{source}: no such folder, and no name of a data set on a hub (user/name)")
    # the tables first: a data set that cannot be read is told before its videos are fetched
    layout = Layout(_fetched(str(source), options.revision, TABLES))
    files = [_pattern(layout.data_path)]
    files += [_pattern(layout.video_path, camera.key) for camera in layout.cameras(options.cameras)]
    return Layout(_fetched(str(source), options.revision, (*TABLES, *files)))


def _pattern(template: str, camera: str = "*") -> str:
    """A path template of info.json as the pattern of all files that it makes."""
    return re.sub(r"\{(\w+)[^}]*\}", lambda field: camera if field[1] == "video_key" else "*", template)


def _fetched(name: str, revision: str | None, patterns: tuple[str, ...]) -> Path:
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(name, repo_type="dataset", revision=revision, allow_patterns=list(patterns))
    except Exception as error:  # its own, the operating system's, or those of whatever HTTP library it uses
        version = f" at revision {revision}" if revision else ""
        reason = str(error).strip().split("\n")[0]
        said = f"no such folder, and the hub's data set of that name{version} cannot be fetched ({reason})"
        raise DatasetError(f"{name}: {said}; check the name and the network, or name a local folder") from error
    return Path(found)
