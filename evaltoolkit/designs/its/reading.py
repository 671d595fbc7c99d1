"""From rows to periods: columns in their roles, events counted by period, periods recorded in part left out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from evaltoolkit.data import (
    Calendar,
    EngineSource,
    Rows,
    Source,
    detect,
    numeric_column,
    parse_column,
    require_column,
    rows_text,
)
from evaltoolkit.designs.its.counting import count_events, refuse_varying, with_counts
from evaltoolkit.designs.its.in_engine import counted_in_engine, rows_in_engine
from evaltoolkit.designs.its.options import Options
from evaltoolkit.designs.its.periods import FloatArray, IntArray, Periods, positive
from evaltoolkit.designs.its.recorded import Days, first_steps, recorded, suspected, window_of
from evaltoolkit.errors import ColumnTypeError, DuplicateRowsError, PeriodError
from evaltoolkit.study import Study


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
    if not isinstance(source, EngineSource) or study.data.release == "open":
        table = _from_rows(source.rows(study), study, options, unit, extra)
    elif study.counts_people:
        table = counted_in_engine(study, options, source, unit, extra)
    else:
        table = _from_rows(rows_in_engine(study, options, source, unit, extra), study, options, unit, extra)
    return recorded(table, study, options)


def _from_rows(
    rows: Rows, study: Study, options: Options, unit: str | None, extra: tuple[str, ...]
) -> Periods:  # fmt: skip
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
        units=units, names=names, people=None, flow=first_steps(rows.n_read, len(frame), study), frame=frame,
        placebos={
            name: numeric_column(frame, name, role="placebo outcome", where=study.place("placebo_outcomes", i))
            for i, name in enumerate(options.placebo_outcomes)
        },
    )  # fmt: skip
    return _counted(table, study, options) if study.counts_people else _one_row_a_period(table, study)


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
    return positive(numeric_column(frame, column, role="population", where=where), column, where)


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
    window = window_of(options, table.calendar, study)
    low = int(table.steps.min()) if window[0] is None else window[0]
    high = int(table.steps.max()) if window[1] is None else window[1]
    within = dict(table.columns)
    if table.exposure is not None:
        within[study.outcome.population or ""] = table.exposure
    refuse_varying(table.units, table.steps, within, table.calendar.noun, study.place("time"))
    made = count_events(
        table.steps, table.units, table.values, within, window=(low, high) if sums else None, n_units=len(table.names)
    )
    found = with_counts(table, made, int(np.isnan(table.values).sum()), table.values.size, study)
    return dataclasses.replace(found, suspected=suspected(table, _days(table, study, options), study, options))


def _days(table: Periods, study: Study, options: Options) -> Days | None:
    try:
        days = parse_column(table.frame[options.time], Calendar("day"), where=study.place("time"), column=options.time)
    except PeriodError:
        return None
    return Days(int(days.min()), int(days.max()), days.size)
