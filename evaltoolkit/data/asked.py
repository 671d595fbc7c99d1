"""The rows that a study asks an engine for, as an expression that stays in the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pandas as pd

from evaltoolkit.data.engines import EngineSource
from evaltoolkit.data.sources import condition_holds, missing_filter_column
from evaltoolkit.errors import ColumnNotFoundError, ColumnTypeError, DataFileError, DisclosureError
from evaltoolkit.study import Filter, Study

MOST_VALUES: Final = 20_000
"""Different values of a column that are brought here to be looked at one by one, at most."""
_WITHOUT_NAN: Final = frozenset({"mssql", "mysql", "sqlite"})
"""Engines whose numbers are never NaN, and which have no word for it."""
_NUMBER: Final = r"^\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*$"
_WHOLE: Final = r"^\s*[-+]?[0-9]{1,18}\s*$"

_YES: Final = ("yes", "true", "1", "1.0")
_NO: Final = ("no", "false", "0", "0.0")

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
        kept = _kept(source, table, study, i, look or _looked)
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


def indicator(table: Any, name: str, *, role: str, where: str) -> Any:
    """Return a column of 0 and 1, true and false or yes and no as 64-bit floats; 2 for any other text.

    Raises
    ------
    ColumnNotFoundError, ColumnTypeError
        As ``number``.
    """
    column = required(table, name, role=role, where=where)
    if not column.type().is_string():
        return number(table, name, role=role, where=where)
    import ibis

    words = column.strip().lower()
    branches = [(words.isin(_YES), 1.0), (words.isin(_NO), 0.0), (words.notnull(), 2.0)]
    return ibis.cases(*branches).cast("float64")


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
        if name in _units(study):
            # Names of units: as floats, wide ones would no longer differ.
            return column
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
        # Names of units with more digits than whole numbers hold stay texts: as floats they would no longer differ.
        names = found[f"broken{i}"] and name in _units(study)
        if found[f"some{i}"] and not found[f"other{i}"] and not names:
            # Where a text is no number the cast is not reached, on engines that cast before they filter.
            safe = table[name].re_search(_NUMBER).ifelse(table[name].strip(), None)
            changed[name] = safe.cast("float64" if found[f"broken{i}"] else "int64")
    return table.mutate(**changed) if changed else table


def _units(study: Study) -> set[Any]:
    """Return the columns whose values are names only: of units and of clusters."""
    return {study.settings.get("unit"), study.settings.get("cluster")}


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False


def _kept(source: EngineSource, table: Any, study: Study, i: int, look: Look) -> Any:
    """Return which rows pass a filter."""
    condition, where = study.data.keep[i], study.place("data", "keep", i)
    column, value = table[condition.column], condition.value
    several = isinstance(value, list)
    values = value if isinstance(value, list) else [value]
    numbers = column.type().is_numeric() and all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in values
    )  # fmt: skip
    if numbers and condition.op in {"in", "not-in"}:
        inside = column.isin(values)
        return inside if condition.op == "in" else ~inside | column.isnull()
    if numbers and not several:
        compared = {"<": column < value, "<=": column <= value, ">": column > value, ">=": column >= value}
        compared |= {"==": column == value, "!=": column != value}
        return compared[condition.op]
    if column.type().is_string() and condition.column == study.settings.get("unit") and study.counts_people:
        return _kept_people(column, condition, values, where)
    there = look(source, table, condition.column, where)
    if there is None:
        return None
    kept = there[condition_holds(there, condition, where)]
    known = column.isin(kept.dropna().tolist()) if kept.notna().any() else column.isnull() & False
    return known | column.isnull() if bool(kept.isna().any()) else known


def _kept_people(column: Any, condition: Filter, values: list[Any], where: str) -> Any:
    """Return which rows pass a filter on names of people: the engine decides, since no name may leave it."""
    if condition.op in {"in", "not-in", "==", "!="} and all(isinstance(v, str) for v in values):
        inside = column.isin(values)
        if condition.op == "!=":
            return ~inside
        return ~inside | column.isnull() if condition.op == "not-in" else inside
    raise DisclosureError(
        f"the filter on '{condition.column}' would need names of people, which may not leave an engine",
        expected="op '==', '!=', 'in' or 'not-in' with texts",
        todo="filter by another column, or in a view of the table", where=where,
    )  # fmt: skip
