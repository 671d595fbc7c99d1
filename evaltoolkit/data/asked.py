"""The rows that a study asks an engine for, as an expression that stays in the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pandas as pd

from evaltoolkit.data.engines import EngineSource
from evaltoolkit.data.sources import condition_holds, missing_filter_column
from evaltoolkit.errors import ColumnNotFoundError, ColumnTypeError, DataFileError
from evaltoolkit.study import Filter, Study

MOST_VALUES: Final = 20_000
"""Different values of a column that are brought here to be looked at one by one, at most."""
_WITHOUT_NAN: Final = frozenset({"mssql", "mysql", "sqlite"})
"""Engines whose numbers are never NaN, and which have no word for it."""
_NUMBER: Final = r"^\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*$"
_WHOLE: Final = r"^\s*[-+]?[0-9]{1,18}\s*$"


Look = Callable[[EngineSource, Any, str, str], "pd.Series[Any] | None"]


def asked(source: EngineSource, study: Study, look: Look | None = None) -> Any:
    """Return the columns and rows that a study names, with missing codes made NULL and its filters applied.

    Filters hold by the same rules as for files: those that an engine may understand in another way (texts in order,
    dates, ``!=``) are decided here, on the different values of their column.

    Parameters
    ----------
    source
        The table.
    study
        Names columns, filters and codes.
    look
        Returns the different values of a column, or None to leave its filter out: for a look ahead that runs nothing;
        then texts stay texts.

    Raises
    ------
    ColumnNotFoundError, ColumnTypeError
        A filter's column is not there, or cannot be compared with its value.
    DataFileError
        A filter's column has too many different values, or the engine stopped.
    """
    table = source.table
    nan = source.backend not in _WITHOUT_NAN
    table = table.select(*(_cleaned(table[name], study, nan=nan) for name in source.named(study)))
    if look is None:
        table = _with_numbers(source, table, study)
    for i, condition in enumerate(study.data.keep):
        if condition.column not in table.columns:
            raise missing_filter_column(condition, source.columns(), study, i)
        kept = _kept(source, table, condition, study.place("data", "keep", i), look or _looked)
        table = table if kept is None else table.filter(kept)
    return table


def _looked(source: EngineSource, table: Any, name: str, where: str) -> pd.Series[Any]:
    return distinct(source, table, name, where=where)


def number(table: Any, name: str, *, role: str, where: str) -> Any:
    """Return a column as 64-bit floats, NULL where missing.

    Raises
    ------
    ColumnNotFoundError, ColumnTypeError
        It is not there, or holds no numbers.
    """
    column = required(table, name, role=role, where=where)
    kind = column.type()
    if kind.is_numeric() or kind.is_boolean():
        return column.cast("int32").cast("float64") if kind.is_boolean() else column.cast("float64")
    raise ColumnTypeError(
        f"the {role} column '{name}' is of type {kind} in the engine", expected="a column of numbers",
        todo="cast the column in a view of the table, or name another", where=where,
    )  # fmt: skip


def required(table: Any, name: str, *, role: str, where: str) -> Any:
    """Return a column that has to be there.

    Raises
    ------
    ColumnNotFoundError
    """
    if name not in table.columns:
        raise ColumnNotFoundError.among(name, table.columns, role=role, where=where)
    return table[name]


def distinct(source: EngineSource, table: Any, name: str, *, where: str) -> pd.Series[Any]:
    """Return the different values of a column, NULL among them where it occurs, in no order.

    Raises
    ------
    DataFileError
        There are too many.
    """
    values: pd.Series[Any] = source.executed(values_of(table, name), f"values of {name}")[name]
    if len(values) > MOST_VALUES:
        raise DataFileError(
            f"the column '{name}' has more than {MOST_VALUES:,} different values",
            expected="a column with few different values where an engine may not give rows",
            todo='coarsen the column, or state release = "open" if rows may come', where=where,
        )  # fmt: skip
    return values


def values_of(table: Any, name: str) -> Any:
    """Return the query for the different values of a column."""
    return table.select(name).distinct().limit(MOST_VALUES + 1)


def _cleaned(column: Any, study: Study, *, nan: bool) -> Any:
    name, kind = column.get_name(), column.type()
    if kind.is_decimal():
        column = column.cast("float64")
    if kind.is_floating() and nan:
        column = column.isnan().ifelse(None, column)
    codes = study.data.missing
    if codes and kind.is_numeric():
        values = [float(code) for code in codes if _is_number(code)]
        column = column.isin(values).ifelse(None, column) if values else column
    elif codes and kind.is_string():
        column = column.strip().isin([code.strip() for code in codes]).ifelse(None, column)
    return column.name(name)


def _with_numbers(source: EngineSource, table: Any, study: Study) -> Any:
    """Return the table with columns of texts as numbers, where all that is no code for missing is a number.

    A file in which a code such as "refused" stands among numbers is read as texts; the same rule holds for files.
    Whole numbers without a gap stay whole, so that names of units read the same.
    """
    texts = [name for name in table.columns if table[name].type().is_string()]
    if not study.data.missing or not texts:
        return table
    tests: dict[str, Any] = {}
    for i, name in enumerate(texts):
        column = table[name]
        tests[f"other{i}"] = column.re_search(_NUMBER).ifelse(0, 1).max(where=column.notnull())
        tests[f"broken{i}"] = column.re_search(_WHOLE).ifelse(0, 1).max()
        tests[f"some{i}"] = column.notnull().ifelse(1, 0).max()
    found = source.executed(table.aggregate(**tests), "columns that hold numbers as texts").iloc[0].fillna(0)
    changed = {}
    for i, name in enumerate(texts):
        if found[f"some{i}"] and not found[f"other{i}"]:
            # Where a text is no number the cast is not reached, on engines that cast before they filter.
            safe = table[name].re_search(_NUMBER).ifelse(table[name].strip(), None)
            changed[name] = safe.cast("float64" if found[f"broken{i}"] else "int64")
    return table.mutate(**changed) if changed else table


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False


def _kept(source: EngineSource, table: Any, condition: Filter, where: str, look: Look) -> Any:
    """Return which rows pass a filter."""
    column, value = table[condition.column], condition.value
    several = isinstance(value, list)
    values = value if isinstance(value, list) else [value]
    numbers = column.type().is_numeric() and all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in values
    )  # fmt: skip
    if numbers and not several and condition.op in {"<", "<=", ">", ">=", "=="}:
        compared = {"<": column < value, "<=": column <= value, ">": column > value, ">=": column >= value}
        return compared.get(condition.op, column == value)
    there = look(source, table, condition.column, where)
    if there is None:
        return None
    kept = there[condition_holds(there, condition, where)]
    known = column.isin(kept.dropna().tolist()) if kept.notna().any() else column.isnull() & False
    return known | column.isnull() if bool(kept.isna().any()) else known
