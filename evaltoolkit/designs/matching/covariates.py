"""Covariates as numbers: categories become indicators, logarithms and products are taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import is_text, numeric_column, require_column, rows_text
from evaltoolkit.designs.matching.options import Covariate, InteractTerm, LogTerm, columns_of, words_of
from evaltoolkit.errors import CollinearityError, ColumnTypeError, NoVariationError
from evaltoolkit.kernels.least_squares import least_squares

FloatArray = NDArray[np.float64]

MANY_LEVELS = 50
_SURE = 1e-6


@dataclass(frozen=True, slots=True)
class Covariates:
    """Covariates of n people as numbers.

    Attributes
    ----------
    X
        Columns that models use: of a category with k levels, k - 1 indicators. Shape (n, p).
    names
        Names of these columns.
    shown
        Columns for balance tables: of a category with k > 2 levels, all k. Shape (n, m).
    shown_names
        Names of these columns.
    owner, shown_owner
        Index of the covariate behind each column, shapes (p,) and (m,).
    """

    X: FloatArray
    names: tuple[str, ...]
    owner: tuple[int, ...]
    shown: FloatArray
    shown_names: tuple[str, ...]
    shown_owner: tuple[int, ...]


def expand(frame: pd.DataFrame, covariates: tuple[Covariate, ...], places: tuple[str, ...]) -> Covariates:
    """Turn covariates without missing values into numbers.

    Parameters
    ----------
    frame
        One row per person.
    covariates
        The covariates.
    places
        Where each covariate is declared, for messages.

    Raises
    ------
    ColumnNotFoundError, ColumnTypeError
        A column is not there, or holds what cannot be used.
    NoVariationError
        A covariate is the same for everybody.
    CollinearityError
        A covariate is a combination of others.
    """
    model: list[tuple[str, int, FloatArray]] = []
    shown: list[tuple[str, int, FloatArray]] = []
    for i, (covariate, where) in enumerate(zip(covariates, places, strict=True)):
        columns = _columns(frame, covariate, where)
        if all(np.ptp(values) == 0 for _, values in columns):
            raise constant(words_of(covariate), where)
        category = len(columns) > 1
        model += [(name, i, values) for name, values in (columns[1:] if category else columns)]
        shown += [(name, i, values) for name, values in (columns[1:] if len(columns) == 2 else columns)]
    result = Covariates(
        X=np.column_stack([values for _, _, values in model]),
        names=tuple(name for name, _, _ in model),
        owner=tuple(i for _, i, _ in model),
        shown=np.column_stack([values for _, _, values in shown]),
        shown_names=tuple(name for name, _, _ in shown),
        shown_owner=tuple(i for _, i, _ in shown),
    )
    _must_be_independent(result, places)
    return result


def with_columns(covariates: Covariates, new: list[tuple[str, int, FloatArray]], places: tuple[str, ...]) -> Covariates:
    """Return covariates with further columns: name, index of the covariate behind it, and values.

    Raises
    ------
    CollinearityError
        A new column is a combination of others.
    """
    if not new:
        return covariates
    names, owners = tuple(name for name, _, _ in new), tuple(owner for _, owner, _ in new)
    values = np.column_stack([values for _, _, values in new])
    result = Covariates(
        X=np.column_stack([covariates.X, values]),
        names=covariates.names + names,
        owner=covariates.owner + owners,
        shown=np.column_stack([covariates.shown, values]),
        shown_names=covariates.shown_names + names,
        shown_owner=covariates.shown_owner + owners,
    )
    _must_be_independent(result, places)
    return result


def _columns(frame: pd.DataFrame, covariate: Covariate, where: str) -> list[tuple[str, FloatArray]]:
    if isinstance(covariate, LogTerm):
        values = numeric_column(frame, covariate.log, role="covariate", where=where)
        if (values <= 0).any():
            raise not_positive(covariate.log, rows_text(values <= 0), where)
        return [(words_of(covariate), np.log(values))]
    if isinstance(covariate, InteractTerm):
        one, two = (numeric_column(frame, name, role="covariate", where=where) for name in covariate.interact)
        return [(words_of(covariate), one * two)]
    column = require_column(frame, covariate, role="covariate", where=where)
    if not is_text(column):
        return [(covariate, numeric_column(frame, covariate, role="covariate", where=where))]
    return _indicators(column, covariate, where)


def _indicators(values: pd.Series[Any], covariate: str, where: str) -> list[tuple[str, FloatArray]]:
    words = values.astype("string").str.strip()
    levels = sorted(words.unique())
    if len(levels) > MANY_LEVELS:
        raise many_levels(covariate, len(levels), where)
    return [(f"{covariate}: {level}", (words == level).to_numpy(dtype=np.float64)) for level in levels]


def _must_be_independent(covariates: Covariates, places: tuple[str, ...]) -> None:
    X = covariates.X
    # Correlations tell at once that columns are far from dependent; only a close case is worth a factorization.
    if _smallest_eigenvalue(X) > _SURE:
        return
    scaled = (X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1)
    fit = least_squares(np.column_stack([np.ones(X.shape[0]), scaled]), np.zeros(X.shape[0]))
    if fit.aliased.size:
        j = int(fit.aliased[0]) - 1
        raise dependent(covariates.names[j], places[covariates.owner[j]])


def _smallest_eigenvalue(X: FloatArray) -> float:
    """Return the smallest eigenvalue of the correlations of the columns; 0 where a column does not vary."""
    away = X - X.mean(axis=0)
    sizes = np.sqrt(np.einsum("ij,ij->j", away, away))
    if not (sizes > 0).all():
        return 0.0
    return float(np.linalg.eigvalsh(away.T @ away / np.outer(sizes, sizes))[0])


def all_columns(covariates: tuple[Covariate, ...]) -> tuple[str, ...]:
    """Return every data column that the covariates use, once each, in order."""
    return tuple(dict.fromkeys(name for covariate in covariates for name in columns_of(covariate)))


def constant(name: str, where: str) -> NoVariationError:
    """Return the error for a covariate that does not vary."""
    return NoVariationError(
        f"the covariate '{name}' is the same for everybody who is compared",
        expected="a covariate that differs between people", todo="remove it from covariates", where=where,
    )  # fmt: skip


def not_positive(name: str, rows: str, where: str) -> ColumnTypeError:
    """Return the error for a column without a logarithm."""
    return ColumnTypeError(
        f"the covariate column '{name}' holds values of zero or less in {rows}",
        expected="values above zero, because its logarithm is asked for",
        todo="use the column itself, or leave these rows out", where=where,
    )  # fmt: skip


def many_levels(name: str, found: int, where: str) -> ColumnTypeError:
    """Return the error for a text column that is no category."""
    return ColumnTypeError(
        f"the covariate column '{name}' holds {found} different texts",
        expected=f"numbers, or a category with at most {MANY_LEVELS} levels",
        todo="group its levels, or correct the texts if it should hold numbers", where=where,
    )  # fmt: skip


def dependent(name: str, where: str) -> CollinearityError:
    """Return the error for a covariate that follows from others."""
    return CollinearityError(
        f"the covariate '{name}' is a combination of the covariates before it",
        expected="covariates none of which follows from the others", todo="remove one of them", where=where,
    )  # fmt: skip
