"""Reading the study record of a result, which may lack any key."""

from __future__ import annotations

import dataclasses
import datetime
import unicodedata
from collections.abc import Mapping
from typing import Any

from evaltoolkit.plots.lettering import cleaned
from evaltoolkit.results import Estimate, Result


def look_up(study: Mapping[str, Any], *path: str) -> Any:
    """Return a value of the study record, or None where a key is absent.

    >>> look_up({"report": {"paper": "a4"}}, "report", "paper"), look_up({}, "report", "paper")
    ('a4', None)
    """
    value: Any = study
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def text_of(study: Mapping[str, Any], *path: str) -> str:
    """Return a value of the study record as text, empty where absent."""
    value = look_up(study, *path)
    return "" if value is None else str(value)


def seen(*texts: str) -> str:
    r"""Return the first text that can be seen: titles and alternative texts of a tagged PDF must not be empty.

    >>> seen(" ", "\u200b", "Effect")
    'Effect'
    """
    return next((text for text in texts if any(unicodedata.category(ch)[0] not in "CZ" for ch in text)), "Untitled")


def level_of(result: Result) -> float:
    """Return the confidence level of the study."""
    level = look_up(result.study, "inference", "level")
    return float(level) if isinstance(level, int | float) else 0.95


@dataclasses.dataclass(frozen=True, slots=True)
class Unit:
    """How an effect is shown: what it is multiplied with, and the words that follow it."""

    factor: float = 1.0
    words: str = ""

    def times(self, value: float | None) -> float | None:
        """Return a value as shown."""
        return None if value is None else self.factor * value


def unit_of(estimate: Estimate, result: Result) -> Unit:
    """Return the unit of an effect: percent, percentage points for outcomes that are shares, else the outcome's own."""
    if estimate.kind == "percent":
        return Unit(words="%")
    if estimate.is_ratio:
        return Unit(words=" times")
    record = outcome_of(estimate, result)
    return Unit(100.0, " points") if text_of(record, "kind") in {"binary", "proportion"} else Unit()


def outcome_of(estimate: Estimate, result: Result) -> Mapping[str, Any]:
    """Return what the study says about the outcome of an estimate; empty where it says nothing."""
    for record in look_up(result.study, "secondary") or ():
        column = text_of(record, "column")
        if estimate.outcome in {text_of(record, "label"), column, column.replace("_", " ")}:
            return dict(record)
    main = look_up(result.study, "outcome")
    return dict(main) if isinstance(main, Mapping) and estimate.outcome == result.headline.outcome else {}


def day_of(result: Result) -> datetime.date | None:
    """Return the date of the report; never taken from the clock."""
    try:
        return datetime.date.fromisoformat(text_of(result.study, "report", "date")[:10])
    except ValueError:
        return None


def clean_result(result: Result) -> Result:
    """Return the result with every text in it free of characters that no format can hold."""
    made: Result = _clean(result)
    return made


def _clean(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **{f.name: _clean(getattr(value, f.name)) for f in dataclasses.fields(value)})
    if isinstance(value, tuple):
        return tuple(_clean(inner) for inner in value)
    return cleaned(value)


def headline_hidden(result: Result) -> bool:
    """Return whether small-cell rules hid the main number (and not only a count beside it)."""
    return result.headline.estimate is None and any(h.path == "headline" for h in result.disclosure.hidden)
