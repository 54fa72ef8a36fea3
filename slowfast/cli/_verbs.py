"""The verbs are the files of this folder: each module with a top-level ``run`` is one, a sub-package is a group.

They are found by reading their source, so that listing them imports none (but a group's own ``__init__``).
"""

from __future__ import annotations

import ast
import difflib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path


class UnknownVerb(ValueError):
    """No file stands for what was typed."""


@dataclass(frozen=True)
class Verb:
    """A verb or a group of verbs: ``words`` as typed, the module behind it, its one-line summary."""

    words: tuple[str, ...]
    module: str
    summary: str
    group: bool = False


def verbs(words: tuple[str, ...] = ()) -> dict[str, Verb]:
    """What may follow ``words`` on the command line, by name."""
    package = ".".join(("slowfast.cli", *(word.replace("-", "_") for word in words)))
    folders = [Path(folder) for folder in import_module(package).__path__]
    found: dict[str, Verb] = {}
    for path in sorted(file for folder in folders for file in folder.iterdir()):
        group = (path / "__init__.py").is_file()
        source = path / "__init__.py" if group else path
        if path.name.startswith("_") or source.suffix != ".py":
            continue
        tree = ast.parse(source.read_text(encoding="utf-8"), str(source))
        if group or any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in tree.body):
            name = path.stem.replace("_", "-")
            summary = (ast.get_docstring(tree) or "").partition("\n")[0]
            found[name] = Verb((*words, name), f"{package}.{path.stem}", summary, group)
    return found


def find(arguments: list[str]) -> tuple[Verb | None, list[str]]:
    """The verb that ``arguments`` begin with and what follows it; None where they ask for the list of verbs."""
    verb: Verb | None = None
    rest = list(arguments)
    while verb is None or verb.group:
        if not rest or rest[0] in ("-h", "--help"):
            return verb, rest
        words = verb.words if verb else ()
        known = verbs(words)
        if rest[0] not in known:
            near = difflib.get_close_matches(rest[0], known, 1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UnknownVerb(f"no verb {' '.join((*words, rest[0]))!r}{hint} (verbs: {', '.join(known)})")
        verb = known[rest.pop(0)]
    return verb, rest


def overview(verb: Verb | None) -> str:
    """The help page of ``slowfast`` itself or of a group."""
    words = verb.words if verb else ()
    known = verbs(words)
    width = max((len(name) for name in known), default=0)
    command = " ".join(("slowfast", *words))
    about = verb.summary if verb else "Learned worlds you can step into, that remember."
    lines = [f"usage: {command} VERB [--recipe NAME] [--field value ...]", "", about, "", "verbs:"]
    lines += [f"  {name:<{width}}  {known[name].summary}" for name in known]
    lines += ["", f"`{command} VERB --help` shows a verb's fields, their defaults and an example."]
    return "\n".join([*lines, "SLOWFAST_DEBUG=1 shows where an error came from."])
