"""Take one column in its role: numbers, categories, yes/no, each with one clear message when it does not fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.errors import ColumnNotFoundError, ColumnTypeError, MissingValuesError

_ROWS_SHOWN = 5


def require_column(frame: pd.DataFrame, column: str, *, role: str, where: str = "") -> pd.Series[Any]:
    """Return a column, or raise with the nearest name that is there."""
    if column not in frame.columns:
        raise ColumnNotFoundError.among(column, frame.columns, role=role, where=where)
    values = frame[column]
    if isinstance(values, pd.DataFrame):
        raise ColumnTypeError(
            f"the data have {values.shape[1]} columns named '{column}'", expected="one column of that name",
            todo="rename or remove the others", where=where,
        )  # fmt: skip
    return values


def numeric_column(frame: pd.DataFrame, column: str, *, role: str, where: str = "") -> NDArray[np.float64]:
    """Return a column as float64; missing values are NaN.

    Raises
    ------
    ColumnNotFoundError
        The column is not there.
    ColumnTypeError
        It holds text or infinite values; the message gives row numbers, never the values of the rows.
    MissingValuesError
        It holds no value at all.
    """
    values = require_column(frame, column, role=role, where=where)
    if pd.api.types.is_bool_dtype(values):
        values = values.astype("float64")
    strange = _no_number(values)
    if strange:
        raise ColumnTypeError(
            f"the {role} column '{column}' holds {strange}", expected="numbers", todo="name another column", where=where
        )
    numbers = pd.to_numeric(values, errors="coerce")
    text = (numbers.isna() & values.notna()).to_numpy()
    if text.any():
        raise ColumnTypeError(
            f"the {role} column '{column}' holds text in {rows_text(text)}", expected="numbers in every row",
            todo="correct these rows, or add the code for missing values to data.missing", where=where,
        )  # fmt: skip
    array = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    infinite = np.isinf(array)
    if infinite.any():
        raise ColumnTypeError(
            f"the {role} column '{column}' holds infinite values in {rows_text(infinite)}", expected="finite numbers",
            todo="correct these rows; a division by zero is a common cause", where=where,
        )  # fmt: skip
    if np.isnan(array).all():
        raise MissingValuesError(
            f"the {role} column '{column}' has no value in any row", expected="numbers",
            todo=f"name another column for the {role}, or check data.missing", where=where,
        )  # fmt: skip
    return array


def _no_number(values: pd.Series[Any]) -> str:
    """Return what a column holds that turns into numbers by accident only; empty where it is none of them."""
    types = pd.api.types
    if types.is_datetime64_any_dtype(values) or isinstance(values.dtype, pd.PeriodDtype):
        return "dates"
    if types.is_timedelta64_dtype(values):
        return "durations"
    return "complex numbers" if types.is_complex_dtype(values) else ""


def binary_column(frame: pd.DataFrame, column: str, *, role: str, where: str = "") -> NDArray[np.float64]:
    """Return a column of 0 and 1 (numbers, true/false or yes/no) as float64; missing values are NaN."""
    values = require_column(frame, column, role=role, where=where)
    if pd.api.types.is_object_dtype(values) or pd.api.types.is_string_dtype(values):
        words = values.astype("string").str.strip().str.casefold()
        known = words.map(
            {"yes": 1.0, "true": 1.0, "1": 1.0, "no": 0.0, "false": 0.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}
        )
        if bool((known.notna() | values.isna()).all()) and bool(known.notna().any()):
            return np.asarray(known.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)
        raise ColumnTypeError(
            f"the {role} column '{column}' holds texts other than yes and no", expected="0 and 1, or yes and no",
            todo=f"recode '{column}' so that 1 means yes", where=where,
        )  # fmt: skip
    array = numeric_column(frame, column, role=role, where=where)
    wrong = ~np.isnan(array) & (array != 0) & (array != 1)
    if wrong.any():
        raise ColumnTypeError(
            f"the {role} column '{column}' holds values other than 0 and 1 in {rows_text(wrong)}",
            expected="0 and 1", todo=f"recode '{column}' so that 1 means yes and 0 means no", where=where,
        )  # fmt: skip
    return array


def is_text(values: pd.Series[Any]) -> bool:
    """Return whether a column holds categories (text or a pandas categorical) and not numbers."""
    return bool(
        pd.api.types.is_object_dtype(values)
        or pd.api.types.is_string_dtype(values)
        or isinstance(values.dtype, pd.CategoricalDtype)
    )


def identifier_values(frame: pd.DataFrame, columns: Iterable[str]) -> frozenset[str]:
    """Return the values of the identifier columns as text, so that no output may hold one."""
    found: set[str] = set()
    for column in columns:
        if column in frame.columns:
            found.update(_as_text(value) for value in frame[column].dropna().unique())
    return frozenset(found)


def _as_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float | np.floating) and float(value).is_integer() else str(value)


def rows_text(mask: NDArray[np.bool_]) -> str:
    """Return "row 3" or "rows 3, 7, 9 and 12 more" (data rows, the first is 1).

    >>> rows_text(np.array([False, True, False, True]))
    'rows 2, 4'
    """
    places = (np.flatnonzero(mask) + 1).tolist()
    shown = ", ".join(str(p) for p in places[:_ROWS_SHOWN])
    more = f" and {len(places) - _ROWS_SHOWN} more" if len(places) > _ROWS_SHOWN else ""
    return ("row " if len(places) == 1 else "rows ") + shown + more
