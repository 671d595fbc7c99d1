"""What a panel adds up to, wherever its rows are, and what would be asked and would leave, told beforehand."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np

from evaltoolkit.data import Calendar, EngineSource, Source
from evaltoolkit.data.asked import asked, values_of
from evaltoolkit.designs.did.moment_estimators import check_moments
from evaltoolkit.designs.did.moment_sample import counted, fingerprinted, places, plan_of, reduced
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.sums_of_rows import sums_of_rows, unit_names
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.reduction.by_ibis import account_of, cells_of, sums_of, wide_form
from evaltoolkit.reduction.explanation import Explanation, Leaving, Step
from evaltoolkit.reduction.long_form import Rows
from evaltoolkit.reduction.moment_source import MomentsSource
from evaltoolkit.reduction.moments import PanelMoments
from evaltoolkit.reduction.plan import Bound
from evaltoolkit.reduction.small_sums import too_small
from evaltoolkit.study import Study


def sums(study: Study, options: Options, source: Source) -> PanelMoments:
    """Return what rows add up to, or what agencies have added up.

    Raises
    ------
    EvaluationError
        The estimator needs rows, or the data have to change.
    """
    check_moments(options, study)
    if isinstance(source, MomentsSource):
        return source.moments
    if isinstance(source, EngineSource):
        return reduced(study, options, source)
    return sums_of_rows(study, options, source)


def exported(study: Study, options: Options, source: Source) -> PanelMoments:
    """Return sums with fingerprints of their units, for other agencies to add theirs.

    People in an engine get none: their names would have to leave it.

    Raises
    ------
    EvaluationError
        As ``sums``.
    """
    found = sums(study, options, source)
    if not isinstance(source, EngineSource):
        return fingerprinted(found, lambda: unit_names(study, options, source))
    if found.plan.counts_people:
        return found
    rows = Rows(source, asked(source, study), found.plan, study.place)
    return fingerprinted(found, lambda: source.executed(places(rows), "names of the places")["name"].astype(str))


def explanation(study: Study, options: Options, source: Source) -> Explanation:
    """Return what would be asked of a source and what would leave it; no query is run."""
    check_moments(options, study)
    plan = plan_of(study, options)
    release = study.data.release or ("moments" if isinstance(source, EngineSource) else "open")
    if not isinstance(source, EngineSource):
        steps: list[Step] = [Step("read the file, and add its rows up here")]
        leaves = [Leaving("rows", (), "none: they are on this machine")]
        return Explanation(
            "difference-in-differences", release, "memory", plan.record(), plan.sha256, tuple(steps), tuple(leaves)
        )  # fmt: skip
    steps, leaves = _in_engine(study, options, source)
    return Explanation(
        "difference-in-differences", release, source.backend, plan.record(), plan.sha256, tuple(steps), tuple(leaves)
    )  # fmt: skip


def _in_engine(study: Study, options: Options, source: EngineSource) -> tuple[list[Step], list[Leaving]]:
    steps: list[Step] = []
    leaves: list[Leaving] = []

    def _look(_: EngineSource, table: Any, name: str, _where: str) -> None:
        steps.append(Step(f"values of {name}, on which a filter is decided", source.sql(values_of(table, name))))
        leaves.append(Leaving(f"values of {name}", (name,), "the different values, once each"))

    rows = Rows(source, asked(source, study, _look), plan_of(study, options), study.place)
    _add(steps, leaves, source, rows.overall(), "rows that cannot be used", "one line of numbers of rows")
    _add(steps, leaves, source, rows.by_period(), "periods and levels", "one line for each value of the time column")
    if options.first_treated is not None:
        query = values_of(rows.table, options.first_treated)
        _add(steps, leaves, source, query, f"values of {options.first_treated}", "the different values, once each")
    _add(steps, leaves, source, counted(source), "rows in the table", "one number")
    bound, example = _bound(rows)
    wide = wide_form(rows.long(bound), bound)
    cells = cells_of(wide, bound)
    _add(steps, leaves, source, account_of(cells), "what became of the units", "one line for each state: complete, "
         "incomplete, double, early")  # fmt: skip
    small = too_small(cells, bound)
    if small is not None:
        _add(steps, leaves, source, small, "cells too small to leave", "two numbers; above zero, nothing more leaves")
    said = "one line for each cell (a start with values of the covariates) of enough people" + example
    _add(steps, leaves, source, sums_of(cells, bound), "the sums", said)
    return steps, leaves


def _add(steps: list[Step], leaves: list[Leaving], source: EngineSource, query: Any, what: str, words: str) -> None:
    steps.append(Step(what, source.sql(query)))
    leaves.append(Leaving(what, tuple(query.columns), words))


def _bound(rows: Rows) -> tuple[Bound, str]:
    """Return the plan with the periods and starts that it states, else with two of each as an example."""
    plan = rows.plan
    periods = plan.periods or _examples(rows.table[plan.time])
    starts = plan.starts or (_examples(rows.table[plan.first_treated]) if plan.first_treated else ())
    example = "" if plan.periods else (
        "; written here for two periods and starts, and the same for all that the first steps find: T periods give "
        "T sums and T (T + 1) / 2 sums of products"
    )  # fmt: skip
    T = len(periods)
    begun = tuple((value,) for value in starts)
    return Bound(
        plan, Calendar("period"), np.arange(1, T + 1), tuple((value,) for value in periods),
        np.array([*range(2, 2 + len(begun)), NEVER], dtype=np.int64), (*begun, (None,)), np.zeros(T),
    ), example  # fmt: skip


def _examples(column: Any) -> tuple[Any, ...]:
    kind = column.type()
    if kind.is_numeric():
        return (1, 2)
    if kind.is_temporal():
        return (datetime.date(2000, 1, 1), datetime.date(2001, 1, 1))
    return ("first", "second")
