"""From rows to a series: everything checked, what is missing counted and never filled in."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import (
    Calendar,
    Rows,
    Source,
    detect,
    identifier_values,
    numeric_column,
    parse_column,
    require_column,
    rows_text,
)
from evaltoolkit.designs.its.options import Options
from evaltoolkit.errors import (
    ColumnTypeError,
    DuplicateRowsError,
    MissingValuesError,
    NoPrePeriodError,
    NoVariationError,
    PeriodError,
)
from evaltoolkit.reduction import AnalysisSample
from evaltoolkit.results import FlowStep, plural
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FEWEST = 3
"""Periods that each stretch between interruptions needs (EPOC: three before and three after)."""


@dataclass(frozen=True, slots=True)
class Series:
    """A series of n periods.

    Attributes
    ----------
    steps
        Period of each value as a whole number, rising, shape (n,).
    values
        The outcome as it is recorded, shape (n,).
    exposure
        Population at risk, shape (n,); None where there is none.
    starts
        Period of each interruption, rising.
    calendar
        How periods are written.
    n_missing
        Periods between the first and the last that have no value.
    """

    steps: IntArray
    values: FloatArray
    exposure: FloatArray | None
    starts: tuple[int, ...]
    calendar: Calendar
    n_missing: int

    @property
    def after(self) -> NDArray[np.bool_]:
        """Periods from the first interruption on."""
        return self.steps >= self.starts[0]

    def label(self, i: int) -> str:
        """Return the i-th period as text."""
        return self.calendar.label(int(self.steps[i]))


def prepare(study: Study, options: Options, source: Source) -> AnalysisSample[Series]:
    """Read the data and return the series, with the flow from the data to it."""
    rows = source.rows(study)
    frame = rows.frame
    time = require_column(frame, options.time, role="time", where=study.place("time"))
    calendar = (
        Calendar(options.every) if options.every is not None
        else detect(time, where=study.place("time"), column=options.time)
    )  # fmt: skip
    steps = parse_column(time, calendar, where=study.place("time"), column=options.time)
    values = numeric_column(frame, study.outcome.column, role="outcome", where=study.place("outcome", "column"))
    exposure = _exposure(frame, study)
    known = ~np.isnan(values) & (True if exposure is None else ~np.isnan(exposure))
    _one_row_a_period(frame, steps, calendar, study)
    order = np.flatnonzero(known)[np.argsort(steps[known], kind="stable")]
    starts = _starts(study, options, calendar)
    series = Series(
        steps[order], values[order], None if exposure is None else exposure[order], starts, calendar,
        _missing(steps[order]),
    )  # fmt: skip
    _check(series, study, options)
    return AnalysisSample(series, _flow(rows, series), identifier_values(frame, study.disclosure.secret_columns))


def _missing(steps: IntArray) -> int:
    return int(steps[-1] - steps[0]) + 1 - steps.size if steps.size else 0


def _exposure(frame: pd.DataFrame, study: Study) -> FloatArray | None:
    if study.outcome.population is None:
        return None
    where = study.place("outcome", "population")
    exposure = numeric_column(frame, study.outcome.population, role="population", where=where)
    wrong = exposure <= 0
    if wrong.any():
        raise ColumnTypeError(
            f"the population column '{study.outcome.population}' is zero or negative in {rows_text(wrong)}",
            expected="numbers above zero", todo="correct these rows", where=where,
        )  # fmt: skip
    return exposure


def _one_row_a_period(frame: pd.DataFrame, steps: IntArray, calendar: Calendar, study: Study) -> None:
    twice = pd.Series(steps).duplicated(keep=False).to_numpy()
    if twice.any():
        first = calendar.label(int(steps[twice].min()))
        raise DuplicateRowsError(
            f"several rows stand for the same {calendar.noun} ({rows_text(twice)}; {first} is one)",
            expected=f"one row for each {calendar.noun}, {len(frame):,} rows for as many",
            todo="add up or average the rows of a period first (sites, groups), or correct the time column",
            where=study.place("time"),
        )  # fmt: skip


def _starts(study: Study, options: Options, calendar: Calendar) -> tuple[int, ...]:
    where = study.place("interruption")
    found = [calendar.parse(moment, where=where, what="interruption") for moment in options.interruption]
    if len(set(found)) < len(found):
        raise PeriodError(
            "two interruptions fall into the same period", expected=f"interruptions in different {calendar.noun}s",
            todo="name each once", where=where,
        )  # fmt: skip
    return tuple(sorted(found))


def _check(series: Series, study: Study, options: Options) -> None:
    where, noun = study.place("interruption"), series.calendar.noun
    column = study.outcome.column
    if series.steps.size == 0:
        raise MissingValuesError(
            f"no period has a value of '{column}'" + (" and a population" if series.exposure is not None else ""),
            expected="numbers", todo="check the columns and the filters", where=study.place("outcome", "column"),
        )  # fmt: skip
    _check_stretches(series, where, noun)
    y = series.values
    if np.ptp(y) == 0:
        raise NoVariationError(
            f"the outcome '{column}' never varies", expected="an outcome that varies",
            todo="check the outcome column and the filters", where=study.place("outcome", "column"),
        )  # fmt: skip
    if options.counts:
        _check_counts(series, study, options)


def _check_stretches(series: Series, where: str, noun: str) -> None:
    edges = [int(series.steps[0]), *series.starts, int(series.steps[-1]) + 1]
    span = f"the data run from {series.label(0)} to {series.label(-1)}"
    for i, (low, high) in enumerate(itertools.pairwise(edges)):
        n = int(((series.steps >= low) & (series.steps < high)).sum())
        if n >= FEWEST:
            continue
        start = series.calendar.label(series.starts[max(i - 1, 0)])
        which = f"before the interruption ({start})" if i == 0 else f"from the interruption ({start}) on"
        raise NoPrePeriodError(
            f"{plural(max(n, 0), noun)} {'lies' if n == 1 else 'lie'} {which}; {span}",
            expected=f"at least {FEWEST} {noun}s before, and after each interruption",
            todo="correct the interruption, or use a longer series", where=where,
        )  # fmt: skip


def _check_counts(series: Series, study: Study, options: Options) -> None:
    y, column, where = series.values, study.outcome.column, study.place("outcome", "column")
    if (y < 0).any():
        raise ColumnTypeError(
            f"'{column}' is negative in {plural(int((y < 0).sum()), series.calendar.noun)}",
            expected="counts of 0 or more", todo="correct them, or choose family = 'gaussian'", where=where,
        )  # fmt: skip
    if options.family == "poisson" and bool((y != np.round(y)).any()):
        raise ColumnTypeError(
            f"'{column}' holds fractions", expected="whole numbers for family = 'poisson'",
            todo="give counts with the population beside them, or choose family = 'quasi-poisson' or 'gaussian'",
            where=where,
        )  # fmt: skip
    edges = [int(series.steps[0]), *series.starts, int(series.steps[-1]) + 1]
    for low, high in itertools.pairwise(edges):
        if not y[(series.steps >= low) & (series.steps < high)].any():
            raise NoVariationError(
                f"all counts from {series.calendar.label(low)} to {series.calendar.label(high - 1)} are zero",
                expected="some count above zero on either side, or a ratio cannot be estimated",
                todo="choose family = 'gaussian', or longer periods", where=where,
            )  # fmt: skip


def _flow(rows: Rows, series: Series) -> tuple[FlowStep, ...]:
    noun = series.calendar.noun
    steps = [FlowStep(label="Rows in the data", n=rows.n_read, unit="rows")]
    kept = len(rows.frame)
    if kept < rows.n_read:
        steps.append(
            FlowStep(label="Rows kept by the filters", n=kept, unit="rows", excluded=rows.n_read - kept,
                     reason="outside the filters of the study")
        )  # fmt: skip
    n = series.steps.size
    if n < kept:
        steps.append(
            FlowStep(label="With a value", n=n, unit="rows", excluded=kept - n, reason="no value was recorded")
        )
    steps.append(FlowStep(label=f"{noun.capitalize()}s in the analysis", n=n, unit=f"{noun}s"))
    return tuple(steps)
