"""What the benchmarks share: results as JSON, the machine they ran on, and pages that scripts fill between markers.

A marked part of a Markdown page is what lies between ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->``; no figure in it
is typed by hand.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
NOT_MEASURED = "*Not measured yet.*"


def write_text(path: Path, text: str) -> None:
    """The file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def write_json(path: Path, result: dict[str, Any]) -> None:
    write_text(path, json.dumps(result, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """A benchmark's result, or None when it has not been run."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def machine(threads: int) -> dict[str, Any]:
    """What a time was taken on."""
    import torch

    return {"cpu": _cpu(), "cores": os.cpu_count(), "threads": threads, "torch": torch.__version__}


def called(world: str) -> str:
    """A world that ships by its name, another by its run's."""
    folder = Path(world)
    return folder.resolve().parent.name if folder.name == "model" else folder.name


def filled(page: str, name: str, body: str) -> str:
    """``page`` with ``body`` in the part ``name``. Raises ValueError when the page has no such part, or several."""
    pattern = re.compile(rf"(<!-- {re.escape(name)}:begin -->\n).*?(<!-- {re.escape(name)}:end -->)", re.DOTALL)
    if len(pattern.findall(page)) != 1:
        raise ValueError(f"the page needs exactly one part '<!-- {name}:begin -->' … '<!-- {name}:end -->'")
    return pattern.sub(lambda match: f"{match[1]}\n{body.strip()}\n\n{match[2]}", page)


Parts = dict[str, tuple[str, Callable[[dict[str, Any] | None], str]]]
"""The marked parts of a page: the result each is made of, and how."""


def filled_parts(page: str, parts: Parts, results: Path) -> str:
    """``page`` with all of ``parts`` as the JSON in ``results`` says."""
    shipped = read_json(results / "world_quality.json")
    for name, (file, table) in parts.items():
        result = read_json(results / file)
        page = filled(page, name, table(result) + measured_on(result, shipped))
    return page


def measured_on(result: dict[str, Any] | None, shipped: dict[str, Any] | None) -> str:
    """A sentence where ``result`` is of the world of that name as it was before; ``shipped``: a result of the one that
    ships. Nothing where it is of that one, of a world of another name, or of none."""
    if result is None or shipped is None:
        return ""
    world = result.get("world") if isinstance(result.get("world"), dict) else result
    before = world.get("base_hash")
    if before in (None, shipped["base_hash"]) or world.get("name", shipped["world"]) != shipped["world"]:
        return ""
    return f" Measured before the world's last stage of training (weights `{before[:12]}`)."


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """Rows under a header, aligned to the right but for the first column."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()
