"""Rows of a panel as codes and numbers, each column checked for what it has to hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import (
    Calendar,
    binary_column,
    numeric_column,
    parse_column,
    require_column,
    rows_text,
)
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.timing import start_of_rows
from evaltoolkit.errors import ColumnTypeError, DuplicateRowsError, MissingValuesError, TreatmentTimingError
from evaltoolkit.results import plural
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Long:
    """Rows as codes and numbers; missing numbers are NaN."""

    unit: IntArray
    step: IntArray
    start: IntArray
    outcome: FloatArray
    counts: FloatArray | None
    covariates: FloatArray
    cluster: IntArray
    weights: FloatArray | None
    exposure: FloatArray | None
    eligible: IntArray | None
    groups: IntArray | None
    treatment: FloatArray | None
    placebos: tuple[FloatArray, ...]
    units: NDArray[np.object_]


def long_rows(frame: pd.DataFrame, study: Study, options: Options, calendar: Calendar, covariates: FloatArray) -> Long:
    """Read the columns that the study names.

    Raises
    ------
    EvaluationError
        A column is not there, holds what it cannot hold, or rows of one unit disagree.
    """
    place = study.place
    step = parse_column(frame[options.time], calendar, where=place("time"), column=options.time)
    unit, units = _units(frame, options.unit, place("unit"))
    twice = pd.DataFrame({"unit": unit, "step": step}).duplicated(keep=False).to_numpy()
    if twice.any():
        raise DuplicateRowsError(
            f"several rows stand for the same unit and {calendar.noun} ({rows_text(twice)})",
            expected=f"one row for each '{options.unit}' and {calendar.noun}",
            todo="add up or average such rows first, or correct the columns named as unit and time",
            where=place("unit"),
        )  # fmt: skip
    outcome, counts = _outcome(frame, study, options)
    cluster = _steady(frame, options.cluster, "cluster", place("cluster"), unit)
    cluster = unit if cluster is None else cluster
    start = start_of_rows(frame, study, options, calendar, unit, step)
    return Long(
        unit, step, start, outcome, counts, covariates, cluster,
        weights=_weights(frame, options.weights, place("weights"), unit),
        exposure=_exposure(frame, study),
        eligible=_eligible(frame, options.eligible, place("eligible"), unit),
        groups=_steady(frame, options.period_effects, "group", place("period_effects"), unit),
        treatment=_treatment(frame, options),
        placebos=_placebos(frame, study, options),
        units=units,
    )  # fmt: skip


def _units(frame: pd.DataFrame, column: str | None, where: str) -> tuple[IntArray, NDArray[np.object_]]:
    if column is not None:
        return _codes(frame, column, "unit", where)
    rows = np.arange(len(frame))
    return rows, rows.astype(object)


def _codes(frame: pd.DataFrame, column: str, role: str, where: str) -> tuple[IntArray, NDArray[np.object_]]:
    values = require_column(frame, column, role=role, where=where)
    missing = values.isna().to_numpy()
    if missing.any():
        raise MissingValuesError(
            f"the {role} column '{column}' is empty in {rows_text(missing)}", expected="a value in every row",
            todo="fill these rows, or leave them out with data.keep", where=where,
        )  # fmt: skip
    codes, uniques = pd.factorize(values, sort=True)
    return codes.astype(np.int64), np.asarray(uniques, dtype=object)


def _steady(frame: pd.DataFrame, column: str | None, role: str, where: str, unit: IntArray) -> IntArray | None:
    """Return codes of a column that does not change within a unit; None without a column."""
    if column is None:
        return None
    codes, _ = _codes(frame, column, role, where)
    moving = _moving(codes, unit)
    if moving:
        raise TreatmentTimingError(
            f"the {role} in '{column}' changes within {plural(moving, 'unit')}",
            expected=f"each unit in one {role} throughout", todo=f"name {role}s that units do not leave", where=where,
        )  # fmt: skip
    return codes


def _moving(codes: IntArray, unit: IntArray) -> int:
    size = int(unit.max()) + 1
    low, high = np.full(size, codes.max()), np.full(size, 0)
    np.minimum.at(low, unit, codes)
    np.maximum.at(high, unit, codes)
    return int((low < high).sum())


def _eligible(frame: pd.DataFrame, column: str | None, where: str, unit: IntArray) -> IntArray | None:
    if column is None:
        return None
    found = binary_column(frame, column, role="eligible", where=where)
    missing = np.isnan(found)
    if missing.any():
        raise MissingValuesError(
            f"the column '{column}' is empty in {rows_text(missing)}", expected="0 or 1 in every row",
            todo="fill these rows, or leave them out with data.keep", where=where,
        )  # fmt: skip
    codes = found.astype(np.int64)
    moving = _moving(codes, unit)
    if moving or codes.min() == codes.max():
        what = f"changes within {plural(moving, 'unit')}" if moving else "is the same everywhere"
        raise TreatmentTimingError(
            f"who is eligible in '{column}' {what}",
            expected="units that are eligible throughout, and others that are not",
            todo="make the eligible and the ineligible of a place two units", where=where,
        )  # fmt: skip
    return codes


def _treatment(frame: pd.DataFrame, options: Options) -> FloatArray | None:
    if options.estimator != "chaisemartin" or options.treated is None:
        return None
    return binary_column(frame, options.treated, role="treated")


def _placebos(frame: pd.DataFrame, study: Study, options: Options) -> tuple[FloatArray, ...]:
    return tuple(
        numeric_column(frame, name, role="placebo outcome", where=study.place("placebo_outcomes", i))
        for i, name in enumerate(options.placebo_outcomes)
    )


def _exposure(frame: pd.DataFrame, study: Study) -> FloatArray | None:
    outcome = study.outcome
    if outcome.population is None:
        return None
    where = study.place("outcome", "population")
    return numeric_column(frame, outcome.population, role="population", where=where) / outcome.per


def _weights(frame: pd.DataFrame, column: str | None, where: str, unit: IntArray) -> FloatArray | None:
    if column is None:
        return None
    found = numeric_column(frame, column, role="weights", where=where)
    bad = ~(np.isfinite(found) & (found > 0))
    if bad.any():
        raise ColumnTypeError(
            f"the weights column '{column}' holds no number above zero in {rows_text(bad)}",
            expected="a sampling weight above zero in every row", todo="correct or leave out these rows", where=where,
        )  # fmt: skip
    low, high = np.full(int(unit.max()) + 1, np.inf), np.zeros(int(unit.max()) + 1)
    np.minimum.at(low, unit, found)
    np.maximum.at(high, unit, found)
    moving = int((high > low * (1 + 1e-9)).sum())
    if moving:
        raise ColumnTypeError(
            f"the weight in '{column}' changes within {plural(moving, 'unit')}", expected="one weight for each unit",
            todo="use one weight for each unit in all of its rows, such as that of the first period", where=where,
        )  # fmt: skip
    return found


def _outcome(frame: pd.DataFrame, study: Study, options: Options) -> tuple[FloatArray, FloatArray | None]:
    """Return the outcome in display units, and the counts of people or events behind it where there are any."""
    outcome, where = study.outcome, study.place("outcome", "column")
    read = binary_column if outcome.kind == "binary" else numeric_column
    y = read(frame, outcome.column, role="outcome", where=where)
    if outcome.kind in {"count", "rate"} and (y < 0).any():
        raise ColumnTypeError(
            f"the outcome column '{outcome.column}' holds values below zero in {rows_text(y < 0)}",
            expected=f"counts of zero or more for kind = '{outcome.kind}'",
            todo="correct these rows, or use kind = 'continuous'", where=where,
        )  # fmt: skip
    if options.family == "poisson" and (y < 0).any():
        raise ColumnTypeError(
            f"the outcome column '{outcome.column}' holds values below zero in {rows_text(y < 0)}",
            expected="numbers of zero or more for family = 'poisson'",
            todo="use family = 'linear', or correct these rows", where=where,
        )  # fmt: skip
    people = outcome.kind in {"count", "rate"} or (study.counts_people and outcome.kind in {"binary", "proportion"})
    counts = y if people else None
    if outcome.population is not None:
        place = study.place("outcome", "population")
        population = numeric_column(frame, outcome.population, role="population", where=place)
        if (population <= 0).any():
            raise ColumnTypeError(
                f"the population column '{outcome.population}' holds values of zero or less in "
                f"{rows_text(population <= 0)}",
                expected="numbers above zero", todo="correct or leave out these rows", where=place,
            )  # fmt: skip
        y = y / population * outcome.per
    return y, counts
