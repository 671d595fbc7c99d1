"""A series made inside an engine: a query looks for what may not leave, and only then one brings numbers by period."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import Calendar, EngineSource, Rows, parse_column
from evaltoolkit.data.asked import asked, distinct, number, required
from evaltoolkit.errors import (
    DuplicateRowsError,
    EvaluationError,
    PeriodError,
)
from evaltoolkit.reduction.series_release import (
    LARGEST_SHARE,
    SeriesPlan,
    no_small,
    release,
    some,
    sound,
    undated,
)
from evaltoolkit.results import SmallCells
from evaltoolkit.study import Study

IntArray = NDArray[np.int64]

_LARGEST: Final = 1.7976931348623157e308
_ISO: Final = r"^\s*[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}:[0-9]{2})?\s*$"
_UNITS: Final = {"week": "W", "month": "M", "quarter": "Q", "year": "Y"}


@dataclass(frozen=True, slots=True)
class Cells:
    """Rows counted by period and site.

    Attributes
    ----------
    table
        One row each: ``step``, ``unit`` (its name, empty for one series), ``n`` (rows with a value), ``total`` (sum of
        the values), the columns of ``within`` by name, and ``carried``.
    n_read, n_rows
        Rows in the table of the engine, and those that the study asks for.
    days
        First and last day of the rows since 1970; None where the time column holds no days.
    """

    table: pd.DataFrame
    n_read: int
    n_rows: int
    days: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class _Keyed:
    """The period of each row as the engine has it, how that becomes a step, and its day where there is one."""

    key: Any
    step_of: Callable[[pd.Series[Any]], IntArray]
    day: Any = None
    days: tuple[int, int] | None = None


def rows_by_period(source: EngineSource, study: Study, plan: SeriesPlan) -> Rows:
    """Return rows that stand for periods, once it is sure that they do and that no count among them is small.

    Raises
    ------
    DuplicateRowsError
        Several rows stand for one period, so they are no aggregates.
    DisclosureError
        A count of people is too small to leave.
    """
    asked_for = row_queries(asked(source, study), study, plan)
    found = source.executed(asked_for.places, "rows for each period").iloc[0]
    n_rows = some(found["n"], study)
    if found["several"]:
        raise DuplicateRowsError(
            f"several rows stand for the same period ({int(found['several']):,} times)",
            expected="one row for each period and site", where=study.place("data", "rows"),
            todo='state rows = "people" or "events" under [data] if a row is one, or name the unit column',
        )  # fmt: skip
    if asked_for.small is not None:
        few = source.executed(asked_for.small, "counts of too few people").iloc[0].fillna(0)
        release(int(few.sum()), n_rows * len(few), "counts", plan, study)
    frame = source.executed(asked_for.rows, "values by period").sort_values(list(asked_for.keys), ignore_index=True)
    return Rows(frame, source.size() if study.data.keep else n_rows)


@dataclass(frozen=True, slots=True)
class RowQueries:
    """What is asked of rows that stand for periods.

    Attributes
    ----------
    places
        How many rows there are, and how many periods have several.
    small
        How many counts are too small to leave, by column; None where no column counts people.
    rows
        The rows.
    keys
        Columns that tell them apart.
    """

    places: Any
    small: Any
    rows: Any
    keys: tuple[str, ...]


def row_queries(table: Any, study: Study, plan: SeriesPlan) -> RowQueries:
    """Return the queries for rows that stand for periods."""
    numbers = {name: _number(table, name, study) for name in _numbers(plan)}
    keys = tuple(name for name in (plan.unit, plan.time) if name is not None)
    for name in keys:
        required(table, name, role="unit" if name == plan.unit else "time", where=study.place("time"))
    rows = table.select(*keys, *([plan.carried] if plan.carried else []), **numbers)
    dated = rows.mutate(evaltoolkit_period=_period(rows[plan.time], plan))
    groups = dated.group_by(["evaltoolkit_period", *keys[:-1]]).aggregate(n=dated.count())
    small = {name: _how_many(_hidden(rows[name], plan.rule)) for name in _counting(plan)}
    return RowQueries(
        groups.aggregate(n=groups.n.sum(), several=_how_many(groups.n > 1)),
        rows.aggregate(**small) if small else None, rows, keys,
    )  # fmt: skip


def cells_by_period(source: EngineSource, study: Study, plan: SeriesPlan, calendar: Calendar) -> Cells:
    """Return rows counted by period and site, once it is sure that no count among them is small.

    Raises
    ------
    DisclosureError
        A cell holds too few people or events, or one row has most of a sum.
    ColumnTypeError, MissingValuesError, PeriodError
        A column does not fit its role.
    """
    table = asked(source, study)
    keyed = _keyed(source, table, study, plan, calendar)
    grouped = cells_of(table, keyed.key, study, plan, day=keyed.day)
    found = source.executed(looked_at(grouped, plan), "cells of too few people").iloc[0]
    n_rows = some(found["n_rows"], study)
    sound(found, study, plan)
    no_small(found, study, plan)
    cells = source.executed(released(grouped, plan), "counts and sums by period")
    days = keyed.days
    if keyed.day is not None:
        days = (_since_1970(found["first_day"]), _since_1970(found["last_day"]))
    cells.insert(0, "step", keyed.step_of(cells["key"]))
    cells["unit"] = cells["unit"].astype(str) if plan.unit else ""
    names = {f"low{i}": name for i, name in enumerate(plan.within)}
    made = cells.drop(columns="key").rename(columns=names).sort_values(["unit", "step"], ignore_index=True)
    return Cells(made, source.size() if study.data.keep else n_rows, n_rows, days)


def cells_of(table: Any, key: Any, study: Study, plan: SeriesPlan, *, day: Any = None) -> Any:
    """Return the query for counts and sums by period and site, with what tells whether they may leave."""
    import ibis

    one = ibis.literal(1).cast("float64")
    columns = {"key": key, "y": one if plan.value is None else _number(table, plan.value, study)}
    if plan.unit:
        columns["unit"] = required(table, plan.unit, role="unit", where=study.place("unit"))
    if plan.carried:
        columns["carried"] = required(table, plan.carried, role="first-treated", where=study.place("first_treated"))
    if day is not None:
        columns["day"] = day
    columns |= {f"w{i}": _number(table, name, study) for i, name in enumerate(plan.within)}
    rows = table.select(**columns)
    known = rows.y.notnull()
    asked_for = {
        "n_rows": rows.count(), "n": rows.y.count(), "total": rows.y.sum(), "size": rows.y.abs().sum(),
        "largest": rows.y.abs().max(), "other": _how_many((rows.y != 0) & (rows.y != 1)),
        "endless": _how_many(rows.y.abs() > _LARGEST),
    }  # fmt: skip
    for i in range(len(plan.within)):
        column = rows[f"w{i}"]
        asked_for |= {f"low{i}": known.ifelse(column, None).min(), f"min{i}": column.min(), f"max{i}": column.max()}
    if plan.carried:
        asked_for |= {"first": rows.carried.min(), "latest": rows.carried.max()}
    if day is not None:
        asked_for |= {"first_day": rows.day.min(), "last_day": rows.day.max()}
    return rows.group_by(["key", *(["unit"] if plan.unit else [])]).aggregate(**asked_for)


def released(grouped: Any, plan: SeriesPlan) -> Any:
    """Return the query for what leaves of cells that may."""
    low = [f"low{i}" for i in range(len(plan.within))]
    return grouped.select(
        "key", *(["unit"] if plan.unit else []), "n", "total", *low, *(["first"] if plan.carried else [])
    )


def looked_at(grouped: Any, plan: SeriesPlan) -> Any:
    """Return the query for how many cells may not leave, and for what is wrong with them."""
    asked_for = {
        "cells": grouped.count(), "n_rows": grouped.n_rows.sum(), "n": grouped.n.sum(),
        "other": grouped.other.sum(), "endless": grouped.endless.sum(), "undated": _how_many(grouped.key.isnull()),
        "few": _how_many(_hidden(grouped.n, plan.rule)), "little": _how_many(_hidden(grouped.total.abs(), plan.rule)),
        "rest": _how_many(_hidden(grouped.n - grouped.total, plan.rule) & (grouped.total > 0)),
        "dominated": _how_many(grouped.largest > LARGEST_SHARE * grouped["size"]),
    }  # fmt: skip
    for i, name in enumerate(plan.within):
        asked_for[f"varies{i}"] = _how_many(grouped[f"max{i}"] > grouped[f"min{i}"])
        if name in plan.people:
            asked_for[f"few{i}"] = _how_many(_hidden(grouped[f"low{i}"], plan.rule))
    if plan.unit:
        asked_for["nowhere"] = _how_many(grouped.unit.isnull())
    if plan.carried:
        asked_for["several"] = _how_many(grouped.latest > grouped["first"])
    if "first_day" in grouped.columns:
        asked_for |= {"first_day": grouped.first_day.min(), "last_day": grouped.last_day.max()}
    return grouped.aggregate(**asked_for)


def _keyed(source: EngineSource, table: Any, study: Study, plan: SeriesPlan, calendar: Calendar) -> _Keyed:
    """Return the period of each row: of days by the engine's own calendar, else by the different values."""
    column = required(table, plan.time, role="time", where=study.place("time"))
    day = _day(source, table, column)
    if day is not None:
        return _Keyed(truncated(day, plan), lambda values: _steps(values, calendar, plan, study), day)
    there = distinct(source, table, plan.time, where=study.place("time"))
    steps = _steps(there, calendar, plan, study)
    days = _days(there, plan)
    if np.unique(steps).size == steps.size:
        return _Keyed(column, lambda values: _steps(values, calendar, plan, study), days=days)
    import ibis

    branches = [(column.isin(there[steps == step].tolist()), int(step)) for step in np.unique(steps)]
    return _Keyed(ibis.cases(*branches, else_=None).cast("int64"), lambda values: values.to_numpy(np.int64), days=days)


def _day(source: EngineSource, table: Any, column: Any) -> Any:
    """Return the day of each row; None where the column holds no days."""
    kind = column.type()
    if kind.is_date() or kind.is_timestamp():
        return column if kind.is_date() else column.date()
    if not kind.is_string():
        return None
    found = source.executed(shape_of(table, column), "whether times are days").iloc[0].fillna(0)
    return None if found["odd"] or not found["n"] else column.strip().substr(0, 10).cast("date")


def shape_of(table: Any, column: Any) -> Any:
    """Return the query for whether a column of texts holds days."""
    return table.aggregate(odd=_how_many(~column.re_search(_ISO)), n=column.count())


def _period(column: Any, plan: SeriesPlan) -> Any:
    kind = column.type()
    if plan.every is None or not (kind.is_date() or kind.is_timestamp()):
        return column
    return truncated(column if kind.is_date() else column.date(), plan)


def truncated(day: Any, plan: SeriesPlan) -> Any:
    """Return the first day of the period of each day."""
    return day.truncate(_UNITS[plan.every]) if plan.every in _UNITS else day


def _steps(values: pd.Series[Any], calendar: Calendar, plan: SeriesPlan, study: Study) -> IntArray:
    where = study.place("time")
    if values.isna().any():
        raise undated(plan, study)
    try:
        return parse_column(values, calendar, where=where, column=plan.time)
    except PeriodError as error:
        raise PeriodError(
            f"the column '{plan.time}' cannot be read as {calendar.unit} in some rows", expected=error.expected,
            todo=error.todo, where=where,
        ) from None  # fmt: skip


def _days(values: pd.Series[Any], plan: SeriesPlan) -> tuple[int, int] | None:
    try:
        days = parse_column(values, Calendar("day"), column=plan.time)
    except EvaluationError:
        return None
    return int(days.min()), int(days.max())


def _since_1970(day: Any) -> int:
    return int(pd.Timestamp(day).normalize().to_datetime64().astype("datetime64[D]").astype(np.int64))


def _numbers(plan: SeriesPlan) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*([plan.value] if plan.value else []), *plan.within]))


def _counting(plan: SeriesPlan) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*([plan.value] if plan.value and plan.counts else []), *plan.people]))


def _number(table: Any, name: str, study: Study) -> Any:
    roles = {study.outcome.column: "outcome", study.outcome.population: "population"}
    where = study.place("outcome", "population" if name == study.outcome.population else "column")
    return number(table, name, role=roles.get(name, "covariate"), where=where).name(name)


def _how_many(condition: Any) -> Any:
    return condition.ifelse(1, 0).sum()


def _hidden(count: Any, rule: SmallCells) -> Any:
    small = (count > 0) & (count < rule.threshold)
    return small if rule.show_zero else small | (count == 0)
