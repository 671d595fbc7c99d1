"""Periods of a table in an engine whose rows stay there."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.contract import small_cells
from evaltoolkit.data import Calendar, EngineSource, Rows, Source
from evaltoolkit.designs.its.counting import completed, with_counts
from evaltoolkit.designs.its.options import Options
from evaltoolkit.designs.its.periods import Periods
from evaltoolkit.designs.its.recorded import Days, first_steps, suspected, window_of
from evaltoolkit.errors import ColumnTypeError, DisclosureError
from evaltoolkit.reduction.explanation import Explanation, Leaving, Step
from evaltoolkit.reduction.series import Cells, cells_by_period, rows_by_period
from evaltoolkit.reduction.series_release import SeriesPlan
from evaltoolkit.reduction.series_told import record_of, told
from evaltoolkit.study import Study


def series_plan(study: Study, options: Options, unit: str | None, extra: tuple[str, ...]) -> SeriesPlan:
    """Return what the series of a study is made of.

    Raises
    ------
    DisclosureError
        The study lets no counts by period leave, or a column that identifies people would.
    """
    outcome = study.outcome
    counts = outcome.kind in {"count", "rate"}
    population = () if outcome.population is None else (outcome.population,)
    people = (*population, *extra, *options.placebo_outcomes) if counts else ()
    plan = SeriesPlan(
        time=options.time, every=options.every, unit=unit,
        value=None if outcome.column == options.time else outcome.column,
        counts=study.outcome_counts_people if study.counts_people else counts,
        within=tuple(dict.fromkeys((*population, *options.covariates, *extra, *options.placebo_outcomes))),
        people=people, carried=options.first_treated, rule=small_cells(study), noun=study.data.rows,
    )  # fmt: skip
    _may_leave(plan, study)
    return plan


def _may_leave(plan: SeriesPlan, study: Study) -> None:
    if study.data.release == "strict":
        raise DisclosureError(
            'release = "strict", and a time series is made of counts by period, which strict keeps in the engine',
            expected='release = "moments", which lets counts of 0 or enough people leave',
            todo="state it under [data] if the agreement for these data allows counts by period",
            where=study.place("data", "release"),
        )  # fmt: skip
    leaving = (plan.time, plan.unit, plan.value, plan.carried, *plan.within)
    secret = sorted({name for name in leaving if name in study.disclosure.secret_columns})
    if secret:
        raise DisclosureError(
            f"'{secret[0]}' identifies people, and its values would leave the engine",
            expected="time, unit and numbers that identify no one",
            todo="name another column, or take it out of disclosure.identifiers if it names places",
            where=study.place("disclosure", "identifiers"),
        )  # fmt: skip


def rows_in_engine(
    study: Study, options: Options, source: EngineSource, unit: str | None, extra: tuple[str, ...]
) -> Rows:  # fmt: skip
    """Return rows that stand for periods, as they are."""
    return rows_by_period(source, study, series_plan(study, options, unit, extra))


def counted_in_engine(
    study: Study, options: Options, source: EngineSource, unit: str | None, extra: tuple[str, ...]
) -> Periods:  # fmt: skip
    """Return rows that are people or events, counted by period inside the engine."""
    assert options.every is not None
    calendar = Calendar(options.every)
    plan = series_plan(study, options, unit, extra)
    cells = cells_by_period(source, study, plan, calendar)
    _populations(cells, study)
    sums = study.outcome.kind in {"count", "rate"}
    window = window_of(options, calendar, study)
    steps = cells.table["step"].to_numpy(dtype=np.int64)
    low = int(steps.min()) if window[0] is None else window[0]
    high = int(steps.max()) if window[1] is None else window[1]
    codes, names = pd.factorize(cells.table["unit"], sort=True)
    known = (cells.table["n"] > 0).to_numpy()
    made = completed(
        _by_unit_and_step(cells, codes, plan, sums=sums)[known], plan.within, window=(low, high) if sums else None,
        n_units=len(names),
    )  # fmt: skip
    table = Periods(
        calendar=calendar, steps=steps, values=np.zeros(0), exposure=None,
        columns={name: np.zeros(0) for name in plan.within if name != study.outcome.population},
        units=codes.astype(np.int64), names=tuple(map(str, names)), people=None,
        flow=first_steps(cells.n_read, cells.n_rows, study), frame=_frame(cells, plan),
    )  # fmt: skip
    days = None if cells.days is None else Days(*cells.days, cells.n_rows)
    lost = cells.n_rows - int(cells.table["n"].sum())
    partly = suspected(table, days, study, options)
    return dataclasses.replace(with_counts(table, made, lost, cells.n_rows, study), suspected=partly)


def _by_unit_and_step(cells: Cells, codes: NDArray[Any], plan: SeriesPlan, *, sums: bool) -> pd.DataFrame:
    index = pd.MultiIndex.from_arrays([codes, cells.table["step"]], names=["unit", "step"])
    n = cells.table["n"].to_numpy(dtype=np.float64)
    total = cells.table["total"].to_numpy(dtype=np.float64)
    found = pd.DataFrame({"value": total if sums else total / np.maximum(n, 1), "people": n}, index=index)
    for name in plan.within:
        found[name] = cells.table[name].to_numpy(dtype=np.float64)
    return found


def _frame(cells: Cells, plan: SeriesPlan) -> pd.DataFrame:
    """Return the cells under the names of the table, for what looks at sites."""
    names = {"unit": plan.unit or "unit", "first": plan.carried or "first"}
    return cells.table.rename(columns=names)


def _populations(cells: Cells, study: Study) -> None:
    name = study.outcome.population
    if name is None:
        return
    wrong = int((cells.table[name] <= 0).sum())
    if wrong:
        raise ColumnTypeError(
            f"the population column '{name}' is zero or negative in {wrong:,} cells of a period",
            expected="numbers above zero", todo="correct these rows", where=study.place("outcome", "population"),
        )  # fmt: skip


def explanation(
    study: Study, options: Options, source: Source, unit: str | None, extra: tuple[str, ...]
) -> Explanation:  # fmt: skip
    """Return what a study would ask of its source and what would leave it; no query is run."""
    release = study.data.release or ("moments" if isinstance(source, EngineSource) else "open")
    kind = "interrupted-time-series"
    if not isinstance(source, EngineSource):
        read, rows = Step("read the rows here"), Leaving("rows", (), "none: they are on this machine")
        return Explanation(kind, release, "memory", {}, "", (read,), (rows,))
    if release == "open":
        read, rows = Step("read the rows"), Leaving("rows", source.named(study), "every row that the filters keep")
        return Explanation(kind, release, source.backend, {}, "", (read,), (rows,))
    plan = series_plan(study, options, unit, extra)
    record, digest = record_of(plan)
    steps, leaves = told(source, study, plan, counts_rows=study.counts_people)
    return Explanation(kind, release, source.backend, record, digest, steps, leaves)
