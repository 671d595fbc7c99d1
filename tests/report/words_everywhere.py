"""Change every free text of a result, to see where it comes out."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

CLOSED = {
    "kind", "verdict", "section", "standing", "level", "accent", "comparison", "why", "schema", "outcome_role", "key",
    "governs", "sum_of", "path", "role", "phase", "paper", "language", "date", "data_sha256",
    "design_sha256", "version",
}  # fmt: skip
"""Fields whose texts are chosen from a list, or are names for programs."""
CLOSED_CELLS = {"program", "comparison", "before", "after", "reference"}


def changed(value: Any, change: Callable[[str, str], str], path: str = "") -> Any:
    """Return the result with every free text replaced by what ``change(path, text)`` gives."""
    if path.rsplit("/", 1)[-1] in CLOSED:
        return value
    if isinstance(value, str):
        return value if value in CLOSED_CELLS or not value else change(path, value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            f.name: changed(getattr(value, f.name), change, f"{path}/{f.name}") for f in dataclasses.fields(value)
        }
        return dataclasses.replace(value, **fields)
    if isinstance(value, Mapping):
        return {key: changed(inner, change, f"{path}/{key}") for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(changed(inner, change, f"{path}/{i}") for i, inner in enumerate(value))
    return value


def shape(path: str) -> str:
    """Return a path without its positions: what kind of field it is."""
    return re.sub(r"/\d+", "", path)
