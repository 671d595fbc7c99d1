"""Every design file of the project, evaluated once: what the contract tests look at."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

from evaltoolkit.pipeline import Evaluated, evaluate

ROOT = Path(__file__).parents[2]
DESIGN_FILES = sorted((ROOT / "designs").glob("*.toml"))


@functools.cache
def evaluated(path: Path) -> Evaluated:
    return evaluate(path)


def kind_of(path: Path) -> str:
    return str(tomllib.loads(path.read_text(encoding="utf-8"))["design"])
