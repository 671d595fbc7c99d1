"""Result to JSON and back: stable keys, null for missing, the same bytes for the same result."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from evaltoolkit.errors import ResultFileError
from evaltoolkit.results.types import SCHEMA, Result

_ORDER = (
    "schema", "study", "design", "estimand", "headline", "estimates", "diagnostics", "sensitivity", "figures", "tables",
    "statements", "flow", "evidence", "disclosure", "provenance",
)  # fmt: skip


def to_plain(result: Result) -> dict[str, Any]:
    """Return a result as plain dictionaries, lists, texts and numbers; no NaN or infinity."""
    return {name: _plain(getattr(result, name)) for name in _ORDER}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    msg = f"a result holds plain data only, not {type(value).__name__}"
    raise TypeError(msg)


def to_json(result: Result) -> str:
    """Return the text of ``result.json``: UTF-8, two-space indent, a final newline."""
    return json.dumps(to_plain(result), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str, *, name: str = "result.json") -> Result:
    """Read a result back.

    Raises
    ------
    ResultFileError
        The text is not JSON, has another schema, or does not fit it.
    """
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise ResultFileError(
            f"the file is not JSON: {error}",
            expected="a result.json that evaltoolkit wrote",
            todo="give the result.json of a report folder",
            where=name,
        ) from None
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if schema != SCHEMA:
        raise ResultFileError(
            f"the file's schema is {schema!r}",
            expected=f"schema {SCHEMA!r}",
            todo="write it again with this version of evaltoolkit",
            where=name,
        )
    try:
        return _adapter().validate_python(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "/".join(str(part) for part in first["loc"])
        raise ResultFileError(
            f"'{place}' does not fit: {first['msg']}",
            expected="a result.json as evaltoolkit wrote it",
            todo="run the evaluation again; do not edit the file",
            where=name,
        ) from None


def load_result(path: str | Path) -> Result:
    """Read ``result.json`` of a report folder."""
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ResultFileError(
            f"the file '{file}' cannot be read ({error.__class__.__name__})",
            expected="a result.json that evaltoolkit wrote",
            todo="correct the path",
        ) from None
    return from_json(text, name=file.name)


def _adapter() -> TypeAdapter[Result]:
    return TypeAdapter(Result, config=None)
