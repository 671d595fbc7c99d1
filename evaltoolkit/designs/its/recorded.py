"""The rows that a series begins with, and which periods were recorded in whole."""

from __future__ import annotations

import dataclasses
import datetime
import math
from dataclasses import dataclass

import numpy as np

from evaltoolkit.data import Calendar
from evaltoolkit.designs.its.options import Options
from evaltoolkit.designs.its.periods import Periods
from evaltoolkit.errors import PeriodError
from evaltoolkit.results import FlowStep
from evaltoolkit.study import Study

Window = tuple[int | None, int | None]

_RARE = 0.01
"""Chance of so long a silence at an end below which the end counts as recorded in part."""


@dataclass(frozen=True, slots=True)
class Days:
    """The first and the last day of the rows, since 1970, and how many rows there are."""

    first: int
    last: int
    n_rows: int


def first_steps(n_read: int, n_kept: int, study: Study) -> tuple[FlowStep, ...]:
    """Return the flow from the data to the rows that the filters keep."""
    people = study.counts_people
    unit = study.data.rows if people else "rows"
    first = FlowStep(label=f"{unit.capitalize()} in the data", n=n_read, unit=unit, people=people)
    if n_read == n_kept:
        return (first,)
    return (
        first,
        FlowStep(label=f"{unit.capitalize()} kept by the filters", n=n_kept, unit=unit, people=people,
                 excluded=n_read - n_kept, reason="outside the filters of the study"),
    )  # fmt: skip


def suspected(
    table: Periods, days: Days | None, study: Study, options: Options
) -> tuple[str, ...]:  # fmt: skip
    """Return the first and last period where events begin so late, or end so early, that recording may have too."""
    if days is None or table.calendar.unit in {"day", "period"}:
        return ()
    window = window_of(options, table.calendar, study)
    rate = days.n_rows / max(days.last - days.first, 1)
    epoch = datetime.date(1970, 1, 1)
    found = []
    for i, day in enumerate((days.first, days.last)):
        step = int(table.steps.min() if i == 0 else table.steps.max())
        edges = table.calendar.days(step)
        if window[i] is not None or edges is None:
            continue
        silent = abs(((edges[i] - epoch).days) - day)
        if math.exp(-rate * silent) < _RARE:
            found.append(table.calendar.label(step))
    return tuple(dict.fromkeys(found))


def window_of(options: Options, calendar: Calendar, study: Study) -> Window:
    """Return the first and the last period that recording covers in part or in whole."""
    if options.recorded is None:
        return None, None
    found = []
    for key, moment in (("first", options.recorded.first), ("last", options.recorded.last)):
        where = study.place("recorded", key)
        found.append(None if moment is None else calendar.parse(moment, where=where, what=f"{key} day of recording"))
    return found[0], found[1]


def _whole(options: Options, calendar: Calendar, study: Study) -> Window:
    """Return the first and the last period that recording covers from its first to its last day."""
    low, high = window_of(options, calendar, study)
    if options.recorded is None:
        return low, high
    for key, moment, step in (("first", options.recorded.first, low), ("last", options.recorded.last, high)):
        edges = None if step is None else calendar.days(step)
        if edges is None or not isinstance(moment, datetime.date | str):
            continue
        try:
            day = Calendar("day").parse(moment, where=study.place("recorded", key))
        except PeriodError:
            continue  # a period and no day: it is covered as a whole
        first, last = (Calendar("day").parse(edge) for edge in edges)
        if key == "first" and day > first:
            low = (low or 0) + 1
        if key == "last" and day < last:
            high = (high or 0) - 1
    return low, high


def recorded(table: Periods, study: Study, options: Options) -> Periods:
    """Leave out periods that recording covers in part or not at all."""
    low, high = _whole(options, table.calendar, study)
    kept = np.ones(table.steps.size, dtype=np.bool_)
    if low is not None:
        kept &= table.steps >= low
    if high is not None:
        kept &= table.steps <= high
    if kept.all():
        return table
    labels = tuple(table.calendar.label(int(s)) for s in np.unique(table.steps[~kept]))
    noun = table.calendar.noun
    unit = f"{noun}s" if study.counts_people else "rows"
    step = FlowStep(label=f"Whole {noun}s of recording", n=int(kept.sum()), unit=unit, excluded=int((~kept).sum()),
                    reason=f"recording covers the {noun} in part or not at all")  # fmt: skip
    return dataclasses.replace(table.where(kept), partial=labels, flow=(*table.flow, step))
