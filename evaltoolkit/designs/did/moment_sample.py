"""From rows that stay where they are, or from sums of several agencies, to the sample that estimates are made from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import Calendar, EngineSource, detect
from evaltoolkit.data.asked import asked, distinct
from evaltoolkit.designs.did.covariates import covariate_columns, grid_labels
from evaltoolkit.designs.did.facts import Facts
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.scope import Scope, nothing_left, scope_of
from evaltoolkit.designs.did.timing import code_in_starts, is_never, need_a_start, no_years, zero_is_never
from evaltoolkit.errors import NoVariationError, OptionError, PeriodError
from evaltoolkit.kernels.cohort_moments import CohortMoments
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.kernels.moment_clusters import ClusterMoments
from evaltoolkit.reduction.by_ibis import panel_moments
from evaltoolkit.reduction.fingerprints import MOST_NAMES, fingerprints, overlap_key
from evaltoolkit.reduction.long_form import ROUNDED, SHARP, Rows
from evaltoolkit.reduction.moments import Account, PanelMoments, observed
from evaltoolkit.reduction.plan import Bound, PanelPlan, panel_plan
from evaltoolkit.results import plural
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]
Table = CohortMoments | ClusterMoments


def plan_of(study: Study, options: Options) -> PanelPlan:
    """Return what a study's rows are reduced by."""
    columns = {
        "unit": options.unit, "time": options.time, "first_treated": options.first_treated, "treated": options.treated,
        "cluster": options.cluster, "weights": options.weights,
        "incomplete": "keep" if options.keeps_incomplete else "drop",
    }  # fmt: skip
    return panel_plan(study, columns, options.covariates)


def reduced(study: Study, options: Options, source: EngineSource) -> PanelMoments:
    """Reduce the rows that an engine holds.

    Raises
    ------
    EvaluationError
        The data, the plan or an option has to change, or what would leave is too small to.
    """
    rows = Rows(source, asked(source, study), plan_of(study, options), study.place)
    n_rows = rows.checked(source.executed(rows.overall(), "rows that cannot be used"))
    bound = bind(rows, source.executed(rows.by_period(), "periods and levels"), study)
    return panel_moments(rows, bound, source.size(), n_rows)


def fingerprinted(moments: PanelMoments, names: Callable[[], Iterable[str]]) -> PanelMoments:
    """Return sums with fingerprints of their units; ``names`` is not called where none may be made."""
    key = overlap_key() if moments.plan.counts_people else None
    if moments.plan.counts_people and key is None:
        return moments
    return dataclasses.replace(moments, fingerprints=fingerprints(names(), moments.plan, key))


def places(rows: Rows) -> Any:
    """Return the query for the names of the units, which are places."""
    return rows.table.select(name=rows.table[rows.plan.unit]).distinct().limit(MOST_NAMES + 1)


def bind(rows: Rows, found: pd.DataFrame, study: Study) -> Bound:
    """Return the plan with the values of time and start that the data hold."""
    plan = rows.plan
    calendar = detect(found["time"], where=study.place("time"), column=plan.time)
    by_step = grouped(found["time"].tolist(), calendar, study.place("time"))
    known = grouped(plan.periods, calendar, study.place("moments", "periods"))
    stated("time", set(by_step), set(known), study.place("moments", "periods"))
    periods = np.array(sorted(known or by_step), dtype=np.int64)
    times = tuple(tuple(by_step.get(int(step), known.get(int(step), []))) for step in periods)
    begun = _begun(rows, calendar, periods, study) if plan.first_treated is not None else {}
    starts = np.array(sorted(begun), dtype=np.int64)
    return Bound(
        plan, calendar, periods, times, starts, tuple(tuple(begun[int(g)]) for g in starts),
        shift_of(plan, found, times, study),
    )  # fmt: skip


def grouped(values: Sequence[Any], calendar: Calendar, where: str) -> dict[int, list[Any]]:
    """Return the values that stand for each step of the calendar.

    Raises
    ------
    PeriodError
        A value stands for none.
    """
    found: dict[int, list[Any]] = {}
    for value in values:
        found.setdefault(calendar.parse(value, where=where), []).append(value)
    return found


def _begun(rows: Rows, calendar: Calendar, periods: IntArray, study: Study) -> dict[int, list[Any]]:
    """Return the values of the start column that stand for each start."""
    column, where = str(rows.plan.first_treated), study.place("first_treated")
    values = distinct(rows.source, rows.table, column, where=where)
    never = is_never(values)
    found = grouped(values[~never].tolist(), calendar, where)
    zero_is_never(values, calendar, periods, where)
    odd = int(no_years(np.array(list(found), dtype=np.int64), calendar).sum())
    if odd:
        raise code_in_starts(column, plural(odd, "start"), where)
    named = grouped(rows.plan.starts, calendar, study.place("moments", "starts"))
    stated("start", set(found), set(named), study.place("moments", "starts"))
    unknown = [None if pd.isna(v) else v for v in values[never].tolist()]
    if unknown:
        found[int(NEVER)] = [v for i, v in enumerate(unknown) if v is not None or None not in unknown[:i]]
    return found


def stated(what: str, found: set[int], named: set[int], where: str) -> None:
    """Stop where the data hold periods or starts that the plan does not name, if it names any.

    Raises
    ------
    PeriodError
    """
    other = sorted(found - named)
    if named and other:
        raise PeriodError(
            f"the {what} column holds {len(other)} values that the plan does not name",
            expected=f"only the values under [moments] {'periods' if what == 'time' else 'starts'}",
            todo="name them there, or leave the rows out with data.keep", where=where,
        )  # fmt: skip


def shift_of(plan: PanelPlan, found: pd.DataFrame, times: tuple[tuple[Any, ...], ...], study: Study) -> FloatArray:
    """Return what is taken out of each period: as stated, else the rounded mean, which keeps whole numbers whole.

    Parameters
    ----------
    plan
        The plan.
    found
        Mean and standard deviation of the outcome by value of time, roughly.
    times
        The values of time that stand for each period.
    study
        For messages.

    Raises
    ------
    OptionError
        Another number of shifts than of periods is stated.
    """
    T = len(times)
    if plan.shift is not None:
        stated = np.atleast_1d(np.array(plan.shift, dtype=np.float64))
        if stated.size not in {1, T}:
            raise OptionError(
                f"shift has {stated.size} numbers for {T} periods", expected="one number, or one for each period",
                todo="correct shift", where=study.place("moments", "shift"),
            )  # fmt: skip
        return np.broadcast_to(stated, (T,)).copy()
    if plan.kind in ROUNDED:
        return np.zeros(T)
    by_value = found.set_index("time")
    shift = np.zeros(T)
    for t, values in enumerate(times):
        part = by_value.loc[[v for v in values if v in by_value.index]]
        level, spread = float(part["level"].mean()), float(part["spread"].max())
        if np.isfinite(level) and plan.counts_people and plan.kind == "continuous":
            shift[t] = _rounded(level, spread)
        elif np.isfinite(level):
            unit = 10.0 ** np.clip(np.floor(-np.log10(spread)), 0, 300) if spread > 0 else 1.0
            shift[t] = np.round(level * unit) / unit
    return shift


def _rounded(level: float, spread: float) -> float:
    """Return a level of amounts of people rounded by their spread, as an engine rounds it."""
    size = max(spread if np.isfinite(spread) else 0.0, abs(level) * SHARP)
    if size <= 0:
        return 0.0
    scale = 10.0 ** np.ceil(np.log10(size) - SHARP)
    return float(np.round(level / scale) * scale)


@dataclasses.dataclass(frozen=True, slots=True)
class Sums:
    """A reduced panel as estimators take it.

    Attributes
    ----------
    moments
        As it was reduced.
    table
        Cells and periods that are used, with covariates as numbers.
    """

    moments: PanelMoments
    table: Table


def used_part(
    moments: PanelMoments, study: Study, options: Options
) -> tuple[Sums, Facts, Scope, tuple[str, ...], tuple[int, ...]]:
    """Return the cells and periods that are used, what is known of them, and names and places of the covariates.

    Raises
    ------
    EvaluationError
        Nothing is left to compare, or a covariate cannot be used.
    """
    table = moments.table
    start = table.starts[table.cohort]
    need_units(start, moments.account, table.periods.size, study, options)
    scope = scope_of(start, table.periods, np.ones((start.size, table.periods.size), dtype=np.bool_), study, options)
    names, owner, X = covariate_columns(_readable(moments), study, options)
    part = _restricted(moments.with_design(X), scope)
    facts = _facts(part, None if moments.counts is None else moments.counts[np.ix_(scope.kept, scope.inside)])
    if _constant(part):
        raise NoVariationError(
            f"the outcome '{study.outcome.column}' never varies", expected="an outcome that varies",
            todo="check the outcome column and the filters", where=study.place("outcome", "column"),
        )  # fmt: skip
    return Sums(moments, part), facts, scope, names, owner


def need_units(start: IntArray, account: Account, n_periods: int, study: Study, options: Options) -> None:
    """Stop where no unit is left, or none that starts, of the cells with these starts.

    Raises
    ------
    NoPrePeriodError, MissingValuesError, TreatmentTimingError
    """
    if not start.size or (account.n_always and (start == NEVER).all()):
        raise nothing_left(account.n_always, n_periods, study, options)
    need_a_start(start, study, options)


def _readable(moments: PanelMoments) -> pd.DataFrame:
    """Return the covariates' values, those cut into categories by name."""
    frame = moments.covariates()
    for name, cuts in moments.plan.grid:
        frame[name] = grid_labels(frame[name].to_numpy(np.float64), cuts)
    return frame


def _restricted(table: Table, scope: Scope) -> Table:
    kept, inside = scope.kept, scope.inside
    starts, cohort = np.unique(scope.start[kept], return_inverse=True)
    shared: dict[str, Any] = {
        "starts": starts.astype(np.int64), "cohort": cohort.astype(np.int64), "periods": table.periods[inside],
        "design": table.design[kept], "shift": table.shift[inside],
        "there": None if table.there is None else table.there[np.ix_(kept, inside)],
    }  # fmt: skip
    if isinstance(table, CohortMoments):
        return dataclasses.replace(
            table, **shared, units=table.units[kept], n=table.n[kept], N2=table.N2[kept],
            m=table.m[np.ix_(kept, inside)], M2=table.M2[np.ix_(kept, inside)], Q=table.Q[np.ix_(kept, inside, inside)],
        )  # fmt: skip
    pairs = kept[table.cell]
    labels, cluster = np.unique(table.cluster[pairs], return_inverse=True)
    place = np.cumsum(kept) - 1
    return dataclasses.replace(
        table, **shared, labels=table.labels[labels], cluster=cluster.astype(np.int64),
        cell=place[table.cell[pairs]].astype(np.int64), units=table.units[pairs], n=table.n[pairs],
        m=table.m[np.ix_(pairs, inside)],
    )  # fmt: skip


def by_cell(table: Table) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return units, sums of weights and of weighted outcomes (less the shift) of each cell."""
    if isinstance(table, CohortMoments):
        return table.units, table.n, table.m
    S = table.cohort.size
    m = np.zeros((S, table.periods.size))
    np.add.at(m, table.cell, table.m)
    n, units = (np.bincount(table.cell, weights=v, minlength=S) for v in (table.n, table.units))
    return units.astype(np.int64), n.astype(np.float64), m


def _facts(table: Table, counts: FloatArray | None) -> Facts:
    units, n, m = by_cell(table)
    J, there = table.starts.size, observed(table)
    of = np.zeros((J, table.cohort.size))
    of[table.cohort, np.arange(table.cohort.size)] = 1
    size = (of @ units).astype(np.int64)
    seen, mass = (of @ (units[:, None] * there)).astype(np.int64), of @ (n[:, None] * there)
    treated = table.starts <= table.periods[-1]
    clusters, pairs = size, np.zeros((0, 2), dtype=np.int64)
    n_clusters, n_in, n_out = int(size.sum()), int(size[treated].sum()), int(size[~treated].sum())
    if isinstance(table, ClusterMoments):
        pairs = np.unique(np.column_stack([table.cohort[table.cell], table.cluster]), axis=0)
        clusters = np.bincount(pairs[:, 0], minlength=J).astype(np.int64)
        on = treated[pairs[:, 0]]
        n_clusters, n_in, n_out = table.labels.size, *(int(np.unique(pairs[k, 1]).size) for k in (on, ~on))
    return Facts(
        table.starts, table.periods, size, clusters, n_clusters, n_in, n_out, seen, mass,
        of @ m + mass * table.shift, None if counts is None else of @ counts,
    )  # fmt: skip


def _constant(table: Table) -> bool:
    _, n, m = by_cell(table)
    there = observed(table)
    level = (m / n[:, None] + table.shift)[there]
    if level.max() > level.min():
        return False
    if isinstance(table, ClusterMoments):
        return bool((table.units > 1).all())
    spread = np.einsum("stt->st", table.Q) - table.M2**2 / table.N2[:, None]
    return bool((spread[there] <= 0).all())
