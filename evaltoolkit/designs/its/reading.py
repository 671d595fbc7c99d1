"""From rows to periods: columns in their roles, events counted by period, periods recorded in part left out."""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import Calendar, Rows, Source, detect, numeric_column, parse_column, require_column, rows_text
from evaltoolkit.designs.its.counting import count_events, refuse_varying
from evaltoolkit.designs.its.options import Options
from evaltoolkit.errors import ColumnTypeError, DuplicateRowsError, PeriodError
from evaltoolkit.results import FlowStep
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]
Window = tuple[int | None, int | None]

_RARE = 0.01
"""Chance of so long a silence at an end below which the end counts as recorded in part."""


@dataclass(frozen=True, slots=True)
class Periods:
    """One row for each period (and unit), n rows in no particular order.

    Attributes
    ----------
    steps
        Shape (n,).
    values
        Missing where none was recorded, shape (n,).
    exposure
        Shape (n,); None without a population.
    columns
        Covariates and control columns by name, each of shape (n,).
    units
        Place of each row's unit in ``names``, shape (n,); zeros without a unit column.
    names
        Names of the units.
    people
        Number of rows behind each value where rows are people or events, shape (n,).
    partial, suspected
        Labels of periods left out as recorded in part, and of those that seem so.
    zeros
        Periods without a row that count as zero.
    placebos
        Outcomes that the program cannot have changed, by name, missing where none was recorded, each of shape (n,).
    flow
        From the data to these rows.
    frame
        The rows as they came.
    """

    calendar: Calendar
    steps: IntArray
    values: FloatArray
    exposure: FloatArray | None
    columns: Mapping[str, FloatArray]
    units: IntArray
    names: tuple[str, ...]
    people: FloatArray | None
    flow: tuple[FlowStep, ...]
    frame: pd.DataFrame
    partial: tuple[str, ...] = ()
    suspected: tuple[str, ...] = ()
    zeros: int = 0
    placebos: Mapping[str, FloatArray] = field(default_factory=dict)

    def where(self, kept: Mask | IntArray | slice) -> Periods:
        """Return some of the rows."""
        return dataclasses.replace(
            self, steps=self.steps[kept], values=self.values[kept], units=self.units[kept],
            exposure=None if self.exposure is None else self.exposure[kept],
            people=None if self.people is None else self.people[kept],
            columns={name: column[kept] for name, column in self.columns.items()},
            placebos={name: column[kept] for name, column in self.placebos.items()},
        )  # fmt: skip

    @property
    def known(self) -> Mask:
        """Rows with a value, a population where there is one, and every column."""
        known = ~np.isnan(self.values)
        for column in (*([] if self.exposure is None else [self.exposure]), *self.columns.values()):
            known &= ~np.isnan(column)
        return np.asarray(known)


def read(
    study: Study, options: Options, source: Source, *, unit: str | None = None, extra: tuple[str, ...] = ()
) -> Periods:
    """Read the columns of a study.

    Parameters
    ----------
    study, options, source
        What is asked, and the rows.
    unit
        Column of units; None for one series.
    extra
        Numeric columns beside outcome and population.

    Raises
    ------
    EvaluationError
        A column is missing or does not fit its role, or several rows stand for one period.
    """
    rows = source.rows(study)
    frame = rows.frame
    time = require_column(frame, options.time, role="time", where=study.place("time"))
    calendar = (
        Calendar(options.every) if options.every is not None
        else detect(time, where=study.place("time"), column=options.time)
    )  # fmt: skip
    steps = parse_column(time, calendar, where=study.place("time"), column=options.time)
    units, names = _units(frame, unit, study)
    exposure = _exposure(frame, study)
    columns = {
        name: numeric_column(frame, name, role="covariate", where=study.place("covariates"))
        for name in dict.fromkeys((*options.covariates, *extra))
    }
    table = Periods(
        calendar=calendar, steps=steps, values=_values(frame, study, options), exposure=exposure, columns=columns,
        units=units, names=names, people=None, flow=_first_steps(rows, study), frame=frame,
        placebos={
            name: numeric_column(frame, name, role="placebo outcome", where=study.place("placebo_outcomes", i))
            for i, name in enumerate(options.placebo_outcomes)
        },
    )  # fmt: skip
    table = _counted(table, study, options) if study.counts_people else _one_row_a_period(table, study)
    return _recorded(table, study, options)


def _values(frame: pd.DataFrame, study: Study, options: Options) -> FloatArray:
    if study.outcome.column == options.time:
        return np.ones(len(frame))
    return numeric_column(frame, study.outcome.column, role="outcome", where=study.place("outcome", "column"))


def _units(frame: pd.DataFrame, unit: str | None, study: Study) -> tuple[IntArray, tuple[str, ...]]:
    if unit is None:
        return np.zeros(len(frame), dtype=np.int64), ("",)
    values = require_column(frame, unit, role="unit", where=study.place("unit"))
    empty = values.isna().to_numpy()
    if empty.any():
        raise ColumnTypeError(
            f"the unit column '{unit}' is empty in {rows_text(empty)}", expected="a unit in every row",
            todo="fill in these rows, or leave them out with data.keep", where=study.place("unit"),
        )  # fmt: skip
    codes, names = pd.factorize(values.astype(str), sort=True)
    return codes.astype(np.int64), tuple(map(str, names))


def _exposure(frame: pd.DataFrame, study: Study) -> FloatArray | None:
    if study.outcome.population is None:
        return None
    return positive_column(frame, study.outcome.population, study.place("outcome", "population"))


def positive_column(frame: pd.DataFrame, column: str, where: str) -> FloatArray:
    """Return a column of populations, all above zero; missing values are NaN."""
    exposure = numeric_column(frame, column, role="population", where=where)
    wrong = exposure <= 0
    if wrong.any():
        raise ColumnTypeError(
            f"the population column '{column}' is zero or negative in {rows_text(wrong)}",
            expected="numbers above zero", todo="correct these rows", where=where,
        )  # fmt: skip
    return exposure


def _first_steps(rows: Rows, study: Study) -> tuple[FlowStep, ...]:
    people = study.counts_people
    unit = study.data.rows if people else "rows"
    first = FlowStep(label=f"{unit.capitalize()} in the data", n=rows.n_read, unit=unit, people=people)
    if rows.n_filtered == 0:
        return (first,)
    return (
        first,
        FlowStep(label=f"{unit.capitalize()} kept by the filters", n=len(rows.frame), unit=unit, people=people,
                 excluded=rows.n_filtered, reason="outside the filters of the study"),
    )  # fmt: skip


def _one_row_a_period(table: Periods, study: Study) -> Periods:
    span = int(np.ptp(table.steps)) + 1
    code = table.units * span + (table.steps - table.steps.min())
    _, place, times = np.unique(code, return_inverse=True, return_counts=True)
    twice = times[place] > 1
    if twice.any():
        noun, first = table.calendar.noun, table.calendar.label(int(table.steps[twice].min()))
        whose = "" if len(table.names) == 1 else " of one unit"
        raise DuplicateRowsError(
            f"several rows stand for the same {noun}{whose} ({rows_text(twice)}; {first} is one)",
            expected=f"one row for each {noun}{whose}",
            todo="add up or average the rows of a period first, name the unit column where there are several series, "
            "or correct the time column",
            where=study.place("time"),
        )  # fmt: skip
    return table


def _counted(table: Periods, study: Study, options: Options) -> Periods:
    """Turn rows that are people or events into one row for each unit and period."""
    sums = study.outcome.kind in {"count", "rate"}
    window = _window(options, table.calendar, study)
    low = int(table.steps.min()) if window[0] is None else window[0]
    high = int(table.steps.max()) if window[1] is None else window[1]
    within = dict(table.columns)
    if table.exposure is not None:
        within[study.outcome.population or ""] = table.exposure
    noun, rows = table.calendar.noun, study.data.rows
    refuse_varying(table.units, table.steps, within, noun, study.place("time"))
    made = count_events(
        table.steps, table.units, table.values, within, window=(low, high) if sums else None, n_units=len(table.names)
    )
    lost = int(np.isnan(table.values).sum())
    steps = list(table.flow)
    if lost:
        steps.append(FlowStep(label="With a value", n=table.values.size - lost, unit=rows, excluded=lost, people=True,
                              reason="no value was recorded"))  # fmt: skip
    zero = (
        f"; {made.zeros:,} without any {'event' if rows == 'events' else 'person'} count as zero" if made.zeros else ""
    )
    steps.append(FlowStep(label=f"Counted by {noun}{zero}", n=made.steps.size, unit=f"{noun}s"))
    exposure = None if table.exposure is None else made.columns[study.outcome.population or ""]
    return dataclasses.replace(
        table, steps=made.steps, values=made.values, units=made.units, exposure=exposure, people=made.people,
        columns={name: made.columns[name] for name in table.columns}, zeros=made.zeros, flow=tuple(steps),
        suspected=_suspected(table, study, options, window),
    )  # fmt: skip


def _suspected(table: Periods, study: Study, options: Options, window: Window) -> tuple[str, ...]:
    """Return the first and last period where events begin so late, or end so early, that recording may have too."""
    if table.calendar.unit in {"day", "period"}:
        return ()
    try:
        days = parse_column(table.frame[options.time], Calendar("day"), where=study.place("time"), column=options.time)
    except PeriodError:
        return ()
    first, last = int(days.min()), int(days.max())
    rate = days.size / max(last - first, 1)
    epoch = datetime.date(1970, 1, 1)
    found = []
    for i, day in enumerate((first, last)):
        step = int(table.steps.min() if i == 0 else table.steps.max())
        edges = table.calendar.days(step)
        if window[i] is not None or edges is None:
            continue
        silent = abs(((edges[i] - epoch).days) - day)
        if math.exp(-rate * silent) < _RARE:
            found.append(table.calendar.label(step))
    return tuple(dict.fromkeys(found))


def _window(options: Options, calendar: Calendar, study: Study) -> Window:
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
    low, high = _window(options, calendar, study)
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


def _recorded(table: Periods, study: Study, options: Options) -> Periods:
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
