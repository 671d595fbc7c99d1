"""When each unit was first treated, from a start column or a treated indicator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import Calendar, binary_column, parse_column, require_column, rows_text
from evaltoolkit.designs.did.options import Options
from evaltoolkit.errors import MissingValuesError, TreatmentTimingError
from evaltoolkit.kernels.group_time import NEVER
from evaltoolkit.results import plural
from evaltoolkit.study import Study

IntArray = NDArray[np.int64]

_NEVER_WORDS = {
    "", "0", "0.0", "inf", "+inf", "-inf", "infinity", "never", "never treated", "never-treated", "untreated", "none",
    "na", "n/a", "nan", "<na>", "nat", "null", ".",
}  # fmt: skip
_FIRST_YEAR = 1000
"""Smaller numbers are no years: a code, whose meaning has to be stated."""


def start_of_rows(
    frame: pd.DataFrame, study: Study, options: Options, calendar: Calendar, unit: IntArray, step: IntArray
) -> IntArray:
    """Return the first treated period of each row's unit, ``NEVER`` for none, shape (rows,).

    Raises
    ------
    TreatmentTimingError
        A unit has several starts, or treatment switches off.
    """
    if options.estimator == "chaisemartin":
        return _first_change(frame, options, study, unit, step)
    if options.first_treated is not None:
        start = _declared(frame, options.first_treated, study.place("first_treated"), calendar, step)
        _one_per_unit(start, unit, options.first_treated, study.place("first_treated"))
        return start
    assert options.treated is not None
    return _from_indicator(frame, options.treated, study.place("treated"), unit, step)


def need_a_start(start: IntArray, study: Study, options: Options) -> None:
    """Refuse data without the program. Sums of an agency may be without it: they serve as a comparison for others.

    Raises
    ------
    TreatmentTimingError
        No unit is ever treated.
    """
    if (start == NEVER).all():
        raise TreatmentTimingError(
            "no unit is ever treated", expected="units that start the program in some period",
            todo="check the column of the start and the filters",
            where=study.place("first_treated" if options.first_treated else "treated"),
        )  # fmt: skip


def _declared(frame: pd.DataFrame, column: str, where: str, calendar: Calendar, step: IntArray) -> IntArray:
    values = require_column(frame, column, role="first-treated", where=where)
    never = is_never(values)
    zero_is_never(values, calendar, step, where)
    start = np.full(len(values), NEVER, dtype=np.int64)
    if not never.all():
        # Rows keep their numbers in messages: never-treated rows stand in with a known start.
        first = values[~never].iloc[0]
        start = parse_column(values.mask(never, first), calendar, where=where, column=column)
        start[never] = NEVER
    odd = no_years(start, calendar)
    if odd.any():
        raise code_in_starts(column, rows_text(odd), where)
    return start


def zero_is_never(values: pd.Series[Any], calendar: Calendar, step: IntArray, where: str) -> None:
    """Refuse a start column that holds 0 where 0 may be a period too.

    Parameters
    ----------
    values
        The start column, or its different values.
    calendar, step
        How periods are written, and those of the data.
    where
        Where the column is named, for the message.

    Raises
    ------
    TreatmentTimingError
    """
    if calendar.unit == "period" and bool((step < 0).any()) and _has_zero(values):
        raise TreatmentTimingError(
            f"the column '{values.name}' holds 0 and the periods run below 0, so 0 may be a period or mean never",
            expected="an empty cell for never, and periods numbered from 1", todo="renumber the periods", where=where,
        )  # fmt: skip


def no_years(start: IntArray, calendar: Calendar) -> NDArray[np.bool_]:
    """Return which starts are too small for years, where starts are years."""
    return np.asarray((start < _FIRST_YEAR) & (calendar.unit == "year"), dtype=np.bool_)


def code_in_starts(column: str, places: str, where: str) -> TreatmentTimingError:
    """Return the error for numbers among years that are no years."""
    return TreatmentTimingError(
        f"the column '{column}' holds numbers that are no years in {places}",
        expected="the year of the start; empty, 0 or inf for never",
        todo="correct these rows; where the number is a code for never, leave the cell empty", where=where,
    )  # fmt: skip


def is_never(values: pd.Series[Any]) -> NDArray[np.bool_]:
    """Return which values of a start column stand for a unit that never starts.

    >>> is_never(pd.Series(["2019", "never", None])).tolist()
    [False, True, True]
    """
    missing = values.isna().to_numpy()
    if pd.api.types.is_datetime64_any_dtype(values):
        return np.asarray(missing, dtype=np.bool_)
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.asarray(missing | (numbers == 0) | np.isinf(numbers), dtype=np.bool_)
    words = values.astype("string").str.strip().str.casefold()
    return np.asarray(missing | words.isin(_NEVER_WORDS).to_numpy(dtype=bool, na_value=False), dtype=np.bool_)


def _has_zero(values: pd.Series[Any]) -> bool:
    return bool((pd.to_numeric(values, errors="coerce") == 0).any())


def _one_per_unit(start: IntArray, unit: IntArray, column: str, where: str) -> None:
    size = int(unit.max()) + 1
    low, high = np.full(size, NEVER), np.full(size, np.iinfo(np.int64).min)
    np.minimum.at(low, unit, start)
    np.maximum.at(high, unit, start)
    several = int((low != high).sum())
    if several:
        raise TreatmentTimingError(
            f"the first treated period in '{column}' varies within {plural(several, 'unit')}",
            expected="one start for each unit, in every row of the unit (empty, 0 or inf for never)",
            todo="write the same start into all rows of a unit", where=where,
        )  # fmt: skip


def _first_change(frame: pd.DataFrame, options: Options, study: Study, unit: IntArray, step: IntArray) -> IntArray:
    """Return the period in which the treatment of each row's unit first differs from what it was at the beginning."""
    assert options.treated is not None
    treated = _indicator(frame, options.treated, study.place("treated"))
    order = np.lexsort((step, unit))
    _, first_row = np.unique(unit[order], return_index=True)
    baseline = treated[order][first_row]
    changed = treated != baseline[unit]
    first = np.full(int(unit.max()) + 1, NEVER, dtype=np.int64)
    np.minimum.at(first, unit[changed], step[changed])
    return first[unit]


def _indicator(frame: pd.DataFrame, column: str, where: str) -> NDArray[np.float64]:
    treated = binary_column(frame, column, role="treated", where=where)
    missing = np.isnan(treated)
    if missing.any():
        raise MissingValuesError(
            f"the treated column '{column}' is empty in {rows_text(missing)}", expected="0 or 1 in every row",
            todo="fill these rows, or leave them out with data.keep", where=where,
        )  # fmt: skip
    return treated


def _from_indicator(frame: pd.DataFrame, column: str, where: str, unit: IntArray, step: IntArray) -> IntArray:
    on = _indicator(frame, column, where) == 1
    size = int(unit.max()) + 1
    first = np.full(size, NEVER, dtype=np.int64)
    np.minimum.at(first, unit[on], step[on])
    reverts = np.unique(unit[~on & (step > first[unit])]).size
    if reverts:
        raise TreatmentTimingError(
            f"treatment switches off again in {plural(reverts, 'unit')} (column '{column}')",
            expected="an indicator that stays 1 once it is 1",
            todo="give first_treated, the period of the first exposure, if its effect is meant to last; or use "
            "estimator = 'chaisemartin'", where=where,
        )  # fmt: skip
    return first[unit]
