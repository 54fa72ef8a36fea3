"""From a command line to ``run(config)``: find the verb, read its config, turn mistakes into one line and status 2.

Not in ``__init__``, where the verbs become attributes of the package (``inspect`` is one) and would hide other names.
"""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, get_type_hints

from slowfast import __version__
from slowfast.cli._verbs import Verb, find, overview


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (default: the process's own); returns its exit status: 2 for a mistake, 130 for Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if list(arguments) == ["--version"]:
        print(f"slowfast {__version__}")
        return 0
    try:
        verb, rest = find(list(arguments))
        if verb is None or verb.group:
            print(overview(verb), file=sys.stdout if rest else sys.stderr)
            return 0 if rest else 2
        return _run(verb, rest)
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    except KeyboardInterrupt:
        print("slowfast: stopped", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("SLOWFAST_DEBUG"):
            traceback.print_exc()
        message = " ".join(str(error).split()) or type(error).__name__
        print(f"slowfast: error: {message}", file=sys.stderr)
        return 2


def _run(verb: Verb, arguments: list[str]) -> int:
    run: Callable[[Any], int] = import_module(verb.module).run
    config = _parse(verb, config_class(run), arguments)

    from slowfast.config import dump

    print(f"# slowfast {' '.join(verb.words)}\n{dump(config)}", file=sys.stderr)
    return run(config)


def config_class(run: Callable[[Any], int]) -> type[Any]:
    """The dataclass that a verb's ``run`` takes."""
    parameter = next(iter(inspect.signature(run).parameters))
    cls = get_type_hints(run)[parameter]
    assert isinstance(cls, type)
    return cls


def _parse(verb: Verb, cls: type[Any], arguments: list[str]) -> Any:
    import tyro

    from slowfast.cli._mappings import MAPPINGS
    from slowfast.config import draft

    recipe, rest = _take_recipe(arguments)
    about = (
        f"{inspect.getdoc(cls)}\n\n--recipe NAME|FILE takes the defaults from a recipe; options given beside it win."
    )
    defaults = draft(cls, recipe, missing=tyro.MISSING)
    with MAPPINGS:
        return tyro.cli(cls, args=rest, default=defaults, prog=f"slowfast {' '.join(verb.words)}", description=about)


def _take_recipe(arguments: list[str]) -> tuple[str | None, list[str]]:
    """``--recipe X`` or ``--recipe=X`` out of the arguments: its fields must be known before the others are parsed."""
    rest: list[str] = []
    recipe = None
    remaining = iter(arguments)
    for argument in remaining:
        name, equals, value = argument.partition("=")
        if name != "--recipe":
            rest.append(argument)
            continue
        recipe = value if equals else next(remaining, "")
        if not recipe or (not equals and recipe.startswith("--")):
            raise ValueError("--recipe needs a name or a path")
    return recipe, rest
