"""What would be asked of the place that rows are in, and what would leave it, told before anything runs."""

from __future__ import annotations

import dataclasses
import datetime
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evaltoolkit.data import Calendar, EngineSource, Source
from evaltoolkit.data.asked import asked, values_of
from evaltoolkit.designs.did.moment_estimators import check_moments
from evaltoolkit.designs.did.moment_sample import plan_of
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.strict_sample import without_cells
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.reduction.by_ibis import account_of, cells_of, combinations, first_sums_of, sums_of, wide_form
from evaltoolkit.reduction.explanation import Explanation, Leaving, Step
from evaltoolkit.reduction.long_form import Rows
from evaltoolkit.reduction.plan import Bound
from evaltoolkit.reduction.small_sums import too_small
from evaltoolkit.study import Study


@dataclass(frozen=True, slots=True)
class _Told:
    """Steps and what leaves, as they are told."""

    source: EngineSource
    steps: list[Step] = field(default_factory=list)
    leaves: list[Leaving] = field(default_factory=list)

    def query(self, query: Any, what: str, words: str) -> None:
        """Tell a query."""
        self.steps.append(Step(what, self.source.sql(query)))
        self.leaves.append(Leaving(what, tuple(query.columns), words))

    def later(self, what: str, words: str) -> None:
        """Tell a query that is written with numbers which earlier ones give."""
        self.steps.append(Step(f"{what} (written with numbers that earlier steps give)"))
        self.leaves.append(Leaving(what, (), words))

    def look(self, _: EngineSource, table: Any, name: str, _where: str) -> None:
        """Tell that the values of a column are looked at, and look at none."""
        self.query(values_of(table, name), f"values of {name}, on which a filter is decided", "each once")


def explanation(study: Study, options: Options, source: Source) -> Explanation:
    """Return what would be asked of a source and what would leave it; no query is run."""
    check_moments(options, study)
    plan, kind = plan_of(study, options), "difference-in-differences"
    if not isinstance(source, EngineSource):
        steps = (Step("read the file, and add its rows up here"),)
        leaves = (Leaving("rows", (), "none: they are on this machine"),)
        return Explanation(kind, study.data.release or "open", "memory", plan.record(), plan.sha256, steps, leaves)
    release = study.data.release or "moments"
    told = _Told(source)
    if release == "open":
        named = source.named(study)
        told.steps.append(Step("read the rows that the filters keep"))
        told.leaves.append(Leaving("rows", named, "every row that the filters keep, with the columns that are named"))
    else:
        plan = plan if release == "moments" else dataclasses.replace(plan, incomplete="drop")
        rows = Rows(source, asked(source, study, told.look), plan, study.place)
        bound, example = _looked_over(told, rows)
        (_moments if release == "moments" else _strict)(told, rows, bound, example)
    return Explanation(
        kind, release, source.backend, plan.record(), plan.sha256, tuple(told.steps), tuple(told.leaves)
    )  # fmt: skip


def _looked_over(told: _Told, rows: Rows) -> tuple[Bound, str]:
    """Tell what is asked whatever the release, and return the plan as the queries below are written by."""
    told.query(told.source.counting(), "number of rows", "one number, and once more at the end: a table that changed "
               "meanwhile is refused")  # fmt: skip
    told.query(rows.overall(), "rows that cannot be used", "one line of numbers of rows")
    told.query(rows.by_period(), "periods and levels", "one line for each value of the time column")
    start = rows.plan.first_treated
    if start is not None:
        told.query(values_of(rows.table, start), f"values of {start}", "the different values, once each")
    return _bound(rows)


def _moments(told: _Told, rows: Rows, bound: Bound, example: str) -> None:
    if rows.plan.covariates:
        told.query(combinations(rows), "combinations of covariates", "one number")
    cells = cells_of(wide_form(rows.long(bound), bound), bound)
    told.query(account_of(cells), "what became of the units", "one line for each state: complete, incomplete, double, "
               "early")  # fmt: skip
    small = too_small(cells, bound)
    if small is not None:
        told.query(small, "cells too small to leave", "three numbers; where the first is above zero no cell leaves, "
                   'and release = "strict" is taken where the estimator allows it')  # fmt: skip
    said = "one line for each cell (a start with values of the covariates) of enough people"
    told.query(sums_of(cells, bound), "the sums", said + example)


def _strict(told: _Told, rows: Rows, bound: Bound, example: str) -> None:
    bare = without_cells(bound)
    cells = first_sums_of(wide_form(rows.long(bound), bound), bare)
    told.query(account_of(cells), "what became of the units", "one line for each state: complete, incomplete, double, "
               "early")  # fmt: skip
    small = too_small(cells, bare)
    if small is not None:
        told.query(small, "starts too small to leave", "three numbers; above zero, nothing more leaves")
    told.query(sums_of(cells, bare), "the sums by start", "one line for each start of enough people" + example)
    if rows.plan.covariates:
        told.later("sums of products of the k covariates, and with outcomes", "k x k and k x T numbers for each start")
        told.later("Newton's steps of the scores, up to 25", "k and k (k + 1) / 2 numbers for each cohort, each time")
        told.later("weighted means of those compared", "k and T numbers for each cohort")
    told.later("cross-products of influence functions", "p (p + 1) / 2 numbers over the whole sample: p effects, mean "
               "outcomes and sizes of cohorts")  # fmt: skip


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
