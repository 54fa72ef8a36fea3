"""Every code block of the documentation runs, every command line in it parses, every link leads somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from slowfast.cli._main import _parse, config_class
from slowfast.cli._verbs import find

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "slowfast/checkpoints").glob("*/README.md")),
]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    language: str
    code: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        yield Block(match[1], match[2], text[: match.start()].count("\n") + 2)


def command_lines(page: Path) -> Iterator[str]:
    """Lines of blocks that are not Python, with continuations joined and comments cut."""
    for block in blocks(page):
        if block.language != "python":
            for line in block.code.replace("\\\n", " ").splitlines():
                yield line.split("  #")[0].strip()


def skip_without_opengl() -> None:
    """MuJoCo draws with what the machine has, and some have nothing."""
    from slowfast.envs.tabletop.env import TabletopEnv

    env = TabletopEnv()
    try:
        env.reset(seed=0)
    except RuntimeError as error:
        pytest.skip(f"no OpenGL to draw with: {error}")
    finally:
        env.close()


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_python_blocks_run_in_order(page: Path, playground: Path) -> None:
    if page.name == "tabletop.md":
        skip_without_opengl()
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "python":
            lines = "\n" * (block.line - 1) + block.code  # so that a traceback names the line of the page
            exec(compile(lines, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_command_lines_parse(page: Path, playground: Path) -> None:
    for line in command_lines(page):
        words = shlex.split(line, comments=True)
        if words[:1] == ["slowfast"] and not {"--help", "VERB"} & set(words):
            verb, rest = find(words[1:])
            assert verb is not None, line
            assert not verb.group, line
            from importlib import import_module

            try:
                _parse(verb, config_class(import_module(verb.module).run), rest)
            except SystemExit as exit:
                pytest.fail(f"{page}: {line!r} does not parse ({exit.code})")
        elif words[:1] == ["slowfast"] and words[1:] != ["--help"]:
            assert find(words[1:])[0] is not None, line


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_targets_and_scripts_that_are_named_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for line in command_lines(page):
        words = shlex.split(line, comments=True)
        if words[:1] == ["make"]:
            assert words[1] in targets, f"{page}: {line}"
        if words[:1] == ["python"]:
            assert (ROOT / words[1]).is_file(), f"{page}: {line}"
    for script in re.findall(r"`((?:benchmarks|examples)/\w+\.py)`", page.read_text(encoding="utf-8")):
        assert (ROOT / script).is_file(), f"{page} speaks of {script}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)", text):
        if not target.startswith(("http", "#")):
            assert (page.parent / target.split("#")[0]).is_file(), f"{page}: {target}"


def test_every_page_of_the_documentation_is_on_the_site() -> None:
    import yaml

    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = [next(iter(entry.values())) for entry in site["nav"]]
    assert sorted(listed) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))
