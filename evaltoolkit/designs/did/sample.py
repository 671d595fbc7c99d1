"""From rows to a panel: everything checked, what is left out counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import (
    Calendar,
    Rows,
    Source,
    binary_column,
    detect,
    identifier_values,
    numeric_column,
    parse_column,
    require_column,
    rows_text,
)
from evaltoolkit.designs.did.covariates import covariate_columns
from evaltoolkit.designs.did.facts import Facts, facts_of
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.scope import Scope, scope_of
from evaltoolkit.designs.did.timing import start_of_rows
from evaltoolkit.errors import (
    ColumnTypeError,
    DuplicateRowsError,
    MissingValuesError,
    NoVariationError,
    OptionError,
    TooFewClustersError,
    TreatmentTimingError,
)
from evaltoolkit.reduction import AnalysisSample, Panel, widen
from evaltoolkit.results import FlowStep, plural
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PanelStudy:
    """A panel and what it took to get it.

    Attributes
    ----------
    panel
        Units that are used, in the periods that are used.
    facts
        The same, summed by start.
    calendar
        How periods are written.
    covariate_names
        Names of the panel's covariates, and of the columns behind them.
    n_units
        Units in the data.
    n_incomplete, n_left, n_always
        Units that lack a period or a value, those of them left out, and those left out for a start in or before the
        first period.
    last_as_comparison
        Start of the last cohort where it stands in for never-treated units, and the periods from then on are left out.
    placebos
        Outcomes that the program cannot have changed: name and values, shape (n, T).
    """

    panel: Panel
    facts: Facts
    calendar: Calendar
    covariate_names: tuple[str, ...]
    covariate_owner: tuple[int, ...]
    n_units: int
    n_incomplete: int
    n_left: int
    n_always: int
    last_as_comparison: int | None
    placebos: tuple[tuple[str, FloatArray], ...] = ()


@dataclass(frozen=True, slots=True)
class _Long:
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


NOUNS = {
    "agency": "agencies", "city": "cities", "clinic": "clinics", "community": "communities", "county": "counties",
    "court": "courts", "department": "departments", "district": "districts", "facility": "facilities", "firm": "firms",
    "hospital": "hospitals", "jurisdiction": "jurisdictions", "municipality": "municipalities", "office": "offices",
    "place": "places", "precinct": "precincts", "program": "programs", "province": "provinces", "region": "regions",
    "school": "schools", "shelter": "shelters", "site": "sites", "state": "states", "town": "towns", "tribe": "tribes",
}  # fmt: skip
"""Names of a unit column that are words for what a unit is, with their plurals."""


def unit_words(study: Study, options: Options) -> tuple[str, str]:
    """Return what a unit is, one and many: the unit column's name where that is a word for it."""
    if study.data.rows == "people":
        return "person", "people"
    if options.unit is None:
        return "row", "rows"
    one = options.unit.casefold()
    return (one, NOUNS[one]) if one in NOUNS else ("site", "sites")


def prepare(study: Study, options: Options, source: Source) -> AnalysisSample[PanelStudy]:
    """Read the data and return the panel, with the flow from the data to it."""
    rows = source.rows(study)
    frame = rows.frame
    calendar = detect(
        require_column(frame, options.time, role="time", where=study.place("time")),
        where=study.place("time"), column=options.time,
    )  # fmt: skip
    names, owner, covariates = covariate_columns(frame, study, options)
    long = _long(frame, study, options, calendar, covariates)
    scope, panel, placebos = _panel(long, study, options)
    _check_panel(panel, study, options)
    content = PanelStudy(
        panel, facts_of(panel), calendar, names, owner, scope.n_units, scope.n_incomplete, scope.n_left, scope.n_always,
        scope.last_as_comparison, tuple(zip(options.placebo_outcomes, placebos, strict=True)),
    )  # fmt: skip
    return AnalysisSample(
        content, _flow(rows, study, options, content, scope), identifier_values(frame, study.disclosure.secret_columns)
    )


def _long(frame: pd.DataFrame, study: Study, options: Options, calendar: Calendar, covariates: FloatArray) -> _Long:
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
    return _Long(
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


def _panel(long: _Long, study: Study, options: Options) -> tuple[Scope, Panel, list[FloatArray]]:
    periods, at = np.unique(long.step, return_inverse=True)
    shape = (long.units.size, periods.size)
    first_row = np.zeros(shape[0], dtype=np.int64)
    first_row[long.unit[::-1]] = np.arange(long.unit.size)[::-1]
    outcome = widen(long.unit, at, long.outcome, shape)
    parts = [widen(long.unit, at, column, shape) for column in long.covariates.T]
    covariates = np.stack(parts, axis=2) if parts else np.zeros((*shape, 0))
    # A row without one of its values is no observation, as in R did.
    outcome[np.isnan(covariates).any(axis=2)] = np.nan
    scope = scope_of(long.start[first_row], periods, np.isfinite(outcome), study, options)
    kept, inside = scope.kept, scope.inside
    cluster = long.cluster[first_row][kept]
    counts = None if long.counts is None else widen(long.unit, at, long.counts, shape)
    if counts is not None:
        counts = np.where(np.isfinite(outcome), counts, np.nan)[np.ix_(kept, inside)]
    placebos = [widen(long.unit, at, column, shape)[np.ix_(kept, inside)] for column in long.placebos]
    panel = Panel(
        outcome=outcome[np.ix_(kept, inside)],
        start=scope.start[kept],
        periods=periods[inside],
        covariates=covariates[np.ix_(kept, inside)],
        clusters=np.unique(cluster, return_inverse=True)[1].astype(np.int64),
        counts=counts,
        weights=None if long.weights is None else long.weights[first_row][kept],
        units=long.units[kept],
        exposure=None if long.exposure is None else widen(long.unit, at, long.exposure, shape)[np.ix_(kept, inside)],
        eligible=None if long.eligible is None else long.eligible[first_row][kept] == 1,
        groups=None if long.groups is None else long.groups[first_row][kept],
        treatment=None if long.treatment is None else widen(long.unit, at, long.treatment, shape)[np.ix_(kept, inside)],
    )
    return scope, panel, placebos


def _check_panel(panel: Panel, study: Study, options: Options) -> None:
    if np.nanmax(panel.outcome) == np.nanmin(panel.outcome):
        raise NoVariationError(
            f"the outcome '{study.outcome.column}' never varies", expected="an outcome that varies",
            todo="check the outcome column and the filters", where=study.place("outcome", "column"),
        )  # fmt: skip
    longest = int(panel.periods[-1] - panel.start.min())
    if options.balance_event_times is not None and longest < options.balance_event_times:
        raise OptionError(
            f"balance_event_times = {options.balance_event_times}, but no cohort is seen longer than "
            f"{plural(longest, 'period')} after its start",
            expected=f"a number from 0 to {longest}", todo="lower balance_event_times",
            where=study.place("balance_event_times"),
        )  # fmt: skip
    if panel.n_clusters < 2:
        raise TooFewClustersError(
            f"all units stand in one cluster ('{options.cluster}')", expected="several clusters",
            todo="name a cluster column with several values, or leave cluster out", where=study.place("cluster"),
        )  # fmt: skip


def _incomplete_words(options: Options, content: PanelStudy) -> tuple[str, int, str]:
    if options.keeps_incomplete:
        return "Observed in several periods", content.n_left, "seen in fewer than two periods"
    return "Complete in every period", content.n_left, "a period or a value is missing"


def _flow(rows: Rows, study: Study, options: Options, content: PanelStudy, scope: Scope) -> tuple[FlowStep, ...]:
    people, unit = study.counts_people, unit_words(study, options)[1]
    rows_word = {"people": "rows", "events": "records", "aggregates": "rows"}[study.data.rows]
    steps = [FlowStep(label="Rows in the data", n=rows.n_read, unit=rows_word, people=people)]
    if rows.n_filtered:
        steps.append(
            FlowStep(
                label="Rows in the study", n=len(rows.frame), unit=rows_word, excluded=rows.n_filtered,
                reason="outside the filters of the design file", people=people,
            )
        )  # fmt: skip
    n = content.n_units
    steps.append(FlowStep(label=f"{unit.capitalize()} in the study", n=n, unit=unit, people=people))
    for label, excluded, reason in (
        _incomplete_words(options, content),
        ("Not yet treated at the beginning", content.n_always, "the program was there from the beginning"),
    ):
        if excluded:
            n -= excluded
            steps.append(
                FlowStep(label=label, n=n, unit=unit, excluded=excluded, reason=reason, people=people)
            )  # fmt: skip
    treated = int(scope.treated.sum())
    steps.append(
        FlowStep(
            label="Compared", n=n, unit=unit, excluded=0, treated=treated, comparison=n - treated, people=people,
        )
    )  # fmt: skip
    return tuple(steps)
