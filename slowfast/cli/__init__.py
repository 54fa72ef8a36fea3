"""The command ``slowfast VERB [--recipe NAME] [--field value ...]``; a verb is one file of this folder.

A file defines a frozen dataclass and ``run(config) -> int``. The fields are the options: their defaults, then the
recipe, then the command line. ``--help`` imports the verb's own file, which imports what is heavy inside ``run``.
"""

from __future__ import annotations

from slowfast.cli._main import main

__all__ = ["main"]
