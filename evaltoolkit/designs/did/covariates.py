"""Covariates of a panel as numbers; categories become indicators."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import is_text, numeric_column, require_column
from evaltoolkit.designs.did.options import Options
from evaltoolkit.errors import ColumnTypeError, MissingValuesError, NoVariationError
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]

_MANY_LEVELS = 30


def covariate_columns(
    frame: pd.DataFrame, study: Study, options: Options
) -> tuple[tuple[str, ...], tuple[int, ...], FloatArray]:
    """Return names, the index of the covariate behind each, and values, shape (rows, p), missing where not recorded.

    Raises
    ------
    ColumnNotFoundError, ColumnTypeError, MissingValuesError, NoVariationError
        A covariate is not there, holds what cannot be used, has no value, or is the same everywhere.
    """
    names: list[str] = []
    owner: list[int] = []
    columns: list[FloatArray] = []
    for i, name in enumerate(options.covariates):
        where = study.place("covariates", i)
        values = require_column(frame, name, role="covariate", where=where)
        if is_text(values):
            found = _indicators(values, name, where)
        else:
            found = [(name, numeric_column(frame, name, role="covariate", where=where))]
        if all(np.nanmax(v) == np.nanmin(v) for _, v in found) or not found:
            raise NoVariationError(
                f"the covariate '{name}' is the same everywhere", expected="a covariate that differs between units",
                todo="remove it from covariates", where=where,
            )  # fmt: skip
        names += [label for label, _ in found]
        owner += [i] * len(found)
        columns += [v for _, v in found]
    stacked = np.column_stack(columns) if columns else np.zeros((len(frame), 0))
    return tuple(names), tuple(owner), stacked


def _indicators(values: pd.Series[str], name: str, where: str) -> list[tuple[str, FloatArray]]:
    words = values.astype("string").str.strip()
    missing = words.isna().to_numpy(dtype=bool)
    if missing.all():
        raise MissingValuesError(
            f"the covariate column '{name}' has no value in any row", expected="values",
            todo="name another column, or check data.missing", where=where,
        )  # fmt: skip
    levels = sorted(words.dropna().unique())
    if len(levels) > _MANY_LEVELS:
        raise ColumnTypeError(
            f"the covariate column '{name}' holds {len(levels)} different texts",
            expected=f"numbers, or a category with at most {_MANY_LEVELS} levels",
            todo="group its levels, or correct the texts if it should hold numbers", where=where,
        )  # fmt: skip
    found = []
    for level in levels[1:]:
        column = (words == level).to_numpy(dtype=np.float64, na_value=np.nan)
        column[missing] = np.nan
        found.append((f"{name}: {level}", column))
    return found
