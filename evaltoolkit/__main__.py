"""``python -m evaltoolkit`` is the command ``evaltoolkit``."""

from __future__ import annotations

import sys

from evaltoolkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
