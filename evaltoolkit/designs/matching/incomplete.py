"""Covariates with missing values: kept with an indicator, or imputed several times; always named and counted."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import is_text, numeric_column, require_column
from evaltoolkit.designs.matching.covariates import Covariates, all_columns, expand, with_columns
from evaltoolkit.designs.matching.options import Options, columns_of
from evaltoolkit.errors import MissingValuesError
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

NOT_RECORDED = "not recorded"
_CYCLES_FIRST, _CYCLES_BETWEEN, _NEIGHBOURS = 10, 5, 5


@dataclass(frozen=True, slots=True)
class Gap:
    """Missing values of one column among the people who are compared.

    Attributes
    ----------
    column
        Name of the column.
    treated, comparison
        How many have no value.
    imputed
        Whether its values are imputed; else it is a level or an indicator of its own.
    """

    column: str
    treated: int
    comparison: int
    imputed: bool


@dataclass(frozen=True, slots=True)
class Completed:
    """Covariates without missing values.

    Attributes
    ----------
    draws
        The covariates, once for each imputation; one where nothing is imputed.
    gaps
        Columns that had missing values.
    """

    draws: tuple[Covariates, ...]
    gaps: tuple[Gap, ...]


def complete(frame: pd.DataFrame, study: Study, options: Options, treated: Mask, outcome: FloatArray) -> Completed:
    """Return covariates without missing values, by the rule that the options name.

    With ``indicator``, a missing number becomes the mean of the column, and a column of 0 and 1 says for whom; a
    missing category is a level of its own. With ``impute``, numbers and categories of two levels are drawn by chained
    equations with predictive mean matching from all covariates, the treatment and the outcome; categories of more
    levels keep a level of their own.

    Raises
    ------
    MissingValuesError
        A column has too few values to impute from.

    References
    ----------
    van Buuren, S. and Groothuis-Oudshoorn, K. (2011). mice: multivariate imputation by chained equations in R. Journal
    of Statistical Software 45(3). doi:10.18637/jss.v045.i03
    """
    places = tuple(study.place("covariates", i) for i in range(len(options.covariates)))
    columns = [name for name in all_columns(options.covariates) if frame[name].isna().any()]
    absent = frame[columns].isna().to_numpy()
    levelled = frame.copy(deep=False)
    for name in columns:
        if is_text(frame[name]) and not (options.incomplete == "impute" and _levels(frame[name]) == 2):
            levelled[name] = frame[name].astype("string").fillna(NOT_RECORDED).astype(object)
    open_columns = [name for name in columns if levelled[name].isna().any()]
    if options.incomplete == "impute" and open_columns:
        frames = _imputed(levelled, study, options, open_columns, (treated, outcome))
        draws = tuple(expand(one, options.covariates, places) for one in frames)
    else:
        draws = (_indicated(levelled, options, open_columns, places),)
    imputes = set(open_columns) if options.incomplete == "impute" else set()
    gaps = tuple(
        Gap(name, int(absent[treated, j].sum()), int(absent[~treated, j].sum()), name in imputes)
        for j, name in enumerate(columns)
    )
    return Completed(draws, gaps)


def _levels(values: pd.Series) -> int:
    return int(values.astype("string").str.strip().nunique())


def _indicated(frame: pd.DataFrame, options: Options, open_columns: list[str], places: tuple[str, ...]) -> Covariates:
    filled, absent = frame.copy(deep=False), {}
    for name in open_columns:
        owner = _owner(options, name)
        values = numeric_column(frame, name, role="covariate", where=places[owner])
        absent[name, owner] = np.isnan(values)
        filled[name] = np.where(np.isnan(values), np.nanmean(values), values)
    made = expand(filled, options.covariates, places)
    patterns: dict[bytes, tuple[list[str], int]] = {}
    for (name, owner), mask in absent.items():
        patterns.setdefault(mask.tobytes(), ([], owner))[0].append(name)
    new = [
        (f"{', '.join(names)}: {NOT_RECORDED}", owner, np.frombuffer(key, dtype=np.bool_).astype(np.float64))
        for key, (names, owner) in patterns.items()
    ]
    # Where a category is missing for the very same people, its own level says so already.
    new = [column for column in new if not any(np.array_equal(column[2], known) for known in made.shown.T)]
    return with_columns(made, new, places)


def _owner(options: Options, name: str) -> int:
    return next(i for i, covariate in enumerate(options.covariates) if name in columns_of(covariate))


def _imputed(
    frame: pd.DataFrame, study: Study, options: Options, open_columns: list[str], known: tuple[Mask, FloatArray]
) -> list[pd.DataFrame]:
    """Return the frame once for each imputation."""
    # statsmodels takes long to import, and few studies impute.
    from statsmodels.imputation.mice import MICEData

    treated, outcome = known
    numbers: dict[str, FloatArray] = {"t": treated.astype(np.float64), "y": outcome}
    codes: dict[str, tuple[str, list[str]]] = {}
    for i, name in enumerate(all_columns(options.covariates)):
        where = study.place("covariates", _owner(options, name))
        for k, (values, levels) in enumerate(_numbers(frame, name, where)):
            numbers[f"x{i}_{k}"] = values
            if name in open_columns:
                _enough(values, name, where)
                codes[f"x{i}_{k}"] = (name, levels)
    table = pd.DataFrame({key: values for key, values in numbers.items() if np.nanstd(values) > 0})
    center, spread = table.mean(), table.std(ddof=0)
    chain = MICEData((table - center) / spread, k_pmm=_NEIGHBOURS, rng=np.random.default_rng(study.inference.seed))
    _cycle(chain, _CYCLES_FIRST)
    made = []
    for _ in range(options.n_imputations):
        _cycle(chain, _CYCLES_BETWEEN)
        one = frame.copy(deep=False)
        for key, (name, levels) in codes.items():
            values = chain.data[key].to_numpy() * spread[key] + center[key]
            given = numbers[key]
            values = np.where(np.isnan(given), _snapped(values, given), given)
            one[name] = np.array(levels, dtype=object)[np.rint(values).astype(np.int64)] if levels else values
        made.append(one)
    return made


def _cycle(chain: Any, times: int) -> None:
    with warnings.catch_warnings():
        # Columns that follow from others have coefficients whose covariance is singular but for rounding.
        warnings.filterwarnings("ignore", message="covariance is not symmetric positive-semidefinite")
        chain.update_all(times)


def _snapped(values: FloatArray, given: FloatArray) -> FloatArray:
    """Return values moved to the nearest observed one: drawn values are observed ones but for rounding."""
    known = np.unique(given[~np.isnan(given)])
    at = np.clip(np.searchsorted(known, values), 1, max(known.size - 1, 1))
    if known.size == 1:
        return np.full(values.size, known[0])
    low, high = known[at - 1], known[at]
    return np.where(values - low <= high - values, low, high)


def _numbers(frame: pd.DataFrame, name: str, where: str) -> list[tuple[FloatArray, list[str]]]:
    """Return a covariate as numbers for the chained equations, with its levels where it is a category of two."""
    column = require_column(frame, name, role="covariate", where=where)
    if not is_text(column):
        return [(numeric_column(frame, name, role="covariate", where=where), [])]
    words = column.astype("string").str.strip()
    levels = sorted(words.dropna().unique())
    if len(levels) == 2:
        values = words.map({level: float(i) for i, level in enumerate(levels)})
        return [(values.to_numpy(dtype=np.float64, na_value=np.nan), levels)]
    return [((words == level).to_numpy(dtype=np.float64), []) for level in levels[1:]]


def _enough(values: FloatArray, name: str, where: str) -> None:
    known = int((~np.isnan(values)).sum())
    if known < 2 * _NEIGHBOURS:
        raise MissingValuesError(
            f"the covariate '{name}' has a value in fewer than {2 * _NEIGHBOURS} rows",
            expected="enough values to impute the others from",
            todo=f"remove '{name}' from covariates, or use incomplete = 'indicator'", where=where,
        )  # fmt: skip
