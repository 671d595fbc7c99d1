"""Findings about data under a design, collected without estimating; row numbers are given, values never."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data.calendar import detect, parse_column
from evaltoolkit.data.sources import Rows
from evaltoolkit.errors import EvaluationError, did_you_mean
from evaltoolkit.study import Study

Severity = Literal["stop", "warn", "info"]

_ROWS_SHOWN = 5
_PERSONAL = re.compile(
    r"(^|_)(id|ssn|dob|name|surname|firstname|lastname|birth_?date|phone|email|address|mrn|case_?no)(_|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: its code, how serious it is, what was looked at, and which rows it concerns."""

    code: str
    severity: Severity
    looked_at: str
    text: str
    n: int = 0
    rows: tuple[int, ...] = ()


def findings(rows: Rows, study: Study, roles: Mapping[str, str]) -> list[Finding]:
    """Return what can be said about the rows before any estimate.

    Parameters
    ----------
    rows
        The rows that the study keeps.
    study
        The study.
    roles
        The design's columns, name to role (``unit``, ``time``, ``first-treated``, ``treated``, ``covariates`` ...).
    """
    outcomes = [study.outcome, *study.secondary]
    named = {**roles, **{o.column: "outcome" for o in outcomes}}
    named |= {o.population: "population" for o in outcomes if o.population}
    if study.counts_people:  # where rows are counted, the time column may stand for the outcome
        named |= {column: role for column, role in roles.items() if role == "time"}
    frame = rows.frame
    found = [Finding("C-ROWS", "info", "rows", f"{rows.n_read} rows read, {rows.n_filtered} left out by data.keep")]
    found += _absent(frame, [*named, *study.disclosure.identifiers], named)
    present = {column: role for column, role in named.items() if column in frame.columns}
    for column, role in present.items():
        found += _column(frame[column], column, role)
    found += _panel(frame, present, counted=study.counts_people)
    found += _undeclared(frame, study, present)
    found += _small(frame, study)
    return found


def _marked(code: str, severity: Severity, looked_at: str, text: str, mask: NDArray[np.bool_]) -> Finding:
    places = tuple(int(i) + 1 for i in np.flatnonzero(mask)[:_ROWS_SHOWN])
    return Finding(code, severity, looked_at, text, int(mask.sum()), places)


def _absent(frame: pd.DataFrame, columns: Iterable[str], roles: Mapping[str, str]) -> Iterator[Finding]:
    for column in columns:
        if column not in frame.columns:
            near = did_you_mean(column, map(str, frame.columns))
            role = roles.get(column, "identifier")
            yield Finding("C-COLUMN", "stop", column, f"the {role} column '{column}' is not in the data{near}", 1)


def _column(values: pd.Series[Any], column: str, role: str) -> Iterator[Finding]:
    missing = values.isna().to_numpy()
    if missing.all():
        yield _marked("C-EMPTY", "stop", column, f"the {role} column '{column}' has no value in any row", missing)
        return
    if missing.any() and role != "first-treated":
        yield _marked("C-MISSING", "warn", column, f"the {role} column '{column}' lacks values", missing)
    if role not in {"outcome", "population"}:
        return
    numbers = pd.to_numeric(values, errors="coerce")
    text = (numbers.isna() & values.notna()).to_numpy()
    if text.any():
        yield _marked("C-TEXT", "stop", column, f"the {role} column '{column}' holds text", text)
        return
    infinite = np.isinf(numbers.to_numpy(dtype=np.float64, na_value=np.nan))
    if infinite.any():
        yield _marked("C-INFINITE", "stop", column, f"the {role} column '{column}' holds infinite values", infinite)
    if role == "outcome" and numbers.nunique() == 1:
        yield Finding("C-CONSTANT", "stop", column, f"the outcome column '{column}' never varies", len(values))


def _panel(frame: pd.DataFrame, present: Mapping[str, str], *, counted: bool) -> Iterator[Finding]:
    by_role = {role: column for column, role in present.items()}
    time, unit = by_role.get("time"), by_role.get("unit")
    if time is None:
        return
    keys = [time] if unit is None else [unit, time]
    twice = frame.duplicated(keys, keep=False).to_numpy()
    if twice.any() and not counted:
        together = " and ".join(f"'{key}'" for key in keys)
        yield _marked("C-DUPLICATE", "stop", together, f"several rows have the same {together}", twice)
    try:
        calendar = detect(frame[time], column=time)
        steps = np.unique(parse_column(frame[time], calendar, column=time))
    except EvaluationError as error:
        yield Finding("C-PERIOD", "stop", time, error.found, 1)
        return
    if counted:
        return
    gaps = int(steps[-1] - steps[0] + 1 - len(steps))
    if gaps:
        yield Finding(
            "C-GAP", "warn", time, f"{gaps} {calendar.noun}s between the first and the last have no row", gaps
        )
    if unit is not None and not twice.any() and len(frame) != frame[unit].nunique() * len(steps):
        lacking = frame[unit].nunique() * len(steps) - len(frame)
        yield Finding(
            "C-BALANCE", "warn", f"'{unit}' and '{time}'", "some units lack a row in some periods", int(lacking)
        )


def _undeclared(frame: pd.DataFrame, study: Study, present: Mapping[str, str]) -> Iterator[Finding]:
    declared = {*study.disclosure.identifiers, study.disclosure.person, *present}
    for column in frame.columns:
        if column not in declared and _PERSONAL.search(str(column)):
            yield Finding(
                "C-IDENTIFIER", "warn", str(column),
                f"'{column}' looks like an identifier; name it under disclosure.identifiers, or remove it", len(frame),
            )  # fmt: skip


def _small(frame: pd.DataFrame, study: Study) -> Iterator[Finding]:
    column = study.outcome.column
    if study.counts_people or study.outcome.kind not in {"count", "rate"} or column not in frame.columns:
        return
    numbers = pd.to_numeric(frame[column], errors="coerce")
    small = ((numbers > 0) & (numbers < study.disclosure.threshold)).to_numpy()
    if small.any():
        text = f"cells from 1 to {study.disclosure.threshold - 1}; they are hidden wherever a count is shown"
        # Which rows hold small cells would itself say something about them.
        yield Finding("C-SMALL", "info", column, text, int(small.sum()))
