"""``python -m slowfast.cli`` is the command ``slowfast``."""

from __future__ import annotations

import sys

from slowfast.cli import main

if __name__ == "__main__":
    sys.exit(main())
