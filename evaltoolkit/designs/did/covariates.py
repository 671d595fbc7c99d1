"""Covariates of a panel as numbers; categories become indicators."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import is_text, numeric_column, require_column
from evaltoolkit.designs.did.options import Options
from evaltoolkit.errors import ColumnTypeError, MissingValuesError, NoVariationError
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]

MANY_LEVELS = 30
"""Categories of a covariate, at most."""


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
        cuts = study.moments.grid.get(name)
        if cuts is not None and not is_text(values):
            values = pd.Series(grid_labels(numeric_column(frame, name, role="covariate", where=where), cuts, cut=True))
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


def grid_labels(values: FloatArray, cuts: Sequence[float], *, cut: bool = False) -> NDArray[np.object_]:
    """Return categories in words, from their places or, with ``cut``, from numbers; None where missing.

    >>> grid_labels(np.array([5.0, 10, np.nan]), (10.0,), cut=True).tolist()
    ['below 10', '10 or more', None]
    """
    names = [f"below {cuts[0]:g}", *(f"{a:g} to below {b:g}" for a, b in itertools.pairwise(cuts))]
    words = np.array([*names, f"{cuts[-1]:g} or more", None], dtype=object)
    known = np.isfinite(values)
    place = np.searchsorted(cuts, values, side="right") if cut else np.where(known, values, 0).astype(np.int64)
    found: NDArray[np.object_] = words[np.where(known, place, len(words) - 1)]
    return found


def _indicators(values: pd.Series[str], name: str, where: str) -> list[tuple[str, FloatArray]]:
    words = values.astype("string").str.strip()
    missing = words.isna().to_numpy(dtype=bool)
    if missing.all():
        raise MissingValuesError(
            f"the covariate column '{name}' has no value in any row", expected="values",
            todo="name another column, or check data.missing", where=where,
        )  # fmt: skip
    levels = sorted(words.dropna().unique())
    if len(levels) > MANY_LEVELS:
        raise ColumnTypeError(
            f"the covariate column '{name}' holds {len(levels)} different texts",
            expected=f"numbers, or a category with at most {MANY_LEVELS} levels",
            todo="group its levels, or correct the texts if it should hold numbers", where=where,
        )  # fmt: skip
    found = []
    for level in levels[1:]:
        column = (words == level).to_numpy(dtype=np.float64, na_value=np.nan)
        column[missing] = np.nan
        found.append((f"{name}: {level}", column))
    return found
