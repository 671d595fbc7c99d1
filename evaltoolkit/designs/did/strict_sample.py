"""Units that stay in an engine: what is known of them, and what their effects are estimated from there."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.data import Calendar, EngineSource, is_text
from evaltoolkit.data.asked import asked, distinct
from evaltoolkit.designs.did.covariates import MANY_LEVELS, grid_labels
from evaltoolkit.designs.did.facts import Facts
from evaltoolkit.designs.did.moment_estimators import check_moments
from evaltoolkit.designs.did.moment_sample import bind, need_units, plan_of
from evaltoolkit.designs.did.options import Options
from evaltoolkit.designs.did.scope import Scope, scope_of
from evaltoolkit.errors import ColumnTypeError, OptionError
from evaltoolkit.kernels.cohorts import NEVER
from evaltoolkit.reduction.by_ibis import (
    account_in,
    account_of,
    first_sums_of,
    sums_of,
    wide_form,
    without_covariates,
)
from evaltoolkit.reduction.influence import InfluenceSpec
from evaltoolkit.reduction.long_form import Rows
from evaltoolkit.reduction.moments import Account
from evaltoolkit.reduction.plan import Bound
from evaltoolkit.reduction.small_sums import COMPLETE, released
from evaltoolkit.study import Study

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class InEngine:
    """Units that stay in an engine.

    Attributes
    ----------
    source
        Where they are.
    wide
        One row a unit, as an expression.
    spec
        What its columns are.
    """

    source: EngineSource
    wide: Any
    spec: InfluenceSpec


@dataclass(frozen=True, slots=True)
class StrictSample:
    """What is known of units in an engine, and how they are reached."""

    engine: InEngine
    facts: Facts
    scope: Scope
    names: tuple[str, ...]
    owner: tuple[int, ...]
    account: Account
    calendar: Calendar


def strict_sample(study: Study, options: Options, source: EngineSource) -> StrictSample:
    """Find out what may be known of the units, by start and period, without letting any leave.

    Raises
    ------
    OptionError
        The estimator needs more than cross-products of the whole sample.
    EvaluationError
        The data or an option has to change.
    """
    _check(options, study)
    rows = Rows(
        source, asked(source, study), dataclasses.replace(plan_of(study, options), incomplete="drop"), study.place
    )
    n_rows = rows.checked(source.executed(rows.overall(), "rows that cannot be used"))
    bound = bind(rows, source.executed(rows.by_period(), "periods and levels"), study)
    wide = wide_form(rows.long(bound), bound)
    account, sums = _by_start(rows, wide, bound, source.size(), n_rows)
    names, owner, columns = _covariates(rows, wide, study)
    starts = _begun(bound)[sums["start"].to_numpy(np.int64)]
    need_units(starts, account, bound.periods.size, study, options)
    scope = scope_of(starts, bound.periods, np.ones((starts.size, bound.periods.size), dtype=np.bool_), study, options)
    table = _numbers(wide, bound, columns, scope, starts)
    inside = np.flatnonzero(scope.inside)
    spec = InfluenceSpec(
        bound.periods[inside], covariates=tuple(f"z{i}" for i in range(1, len(names) + 1)), shift=bound.shift[inside],
        weights=bound.plan.weights is not None, clusters=bound.plan.cluster is not None,
        minimum=bound.plan.threshold if bound.plan.counts_people else 1,
    )  # fmt: skip
    facts = _facts(sums, bound, scope, _clusters(source, table, spec))
    early = int(sums["units"].to_numpy(np.int64)[~scope.kept].sum())
    account = dataclasses.replace(account, n_always=account.n_always + early)
    return StrictSample(InEngine(source, table, spec), facts, scope, names, owner, account, bound.calendar)


def _check(options: Options, study: Study) -> None:
    check_moments(options, study)
    linear = options.estimator != "callaway-santanna"
    if linear and (options.covariates or options.cluster not in {None, options.unit}):
        what = "covariates" if options.covariates else "cluster"
        raise OptionError(
            f"estimator = '{options.estimator}' is asked for with {what}, and the release is strict",
            expected="estimator = 'callaway-santanna', or units as clusters and no covariates",
            todo='use it, or release = "moments"', where=study.place(what),
        )  # fmt: skip
    if study.inference.method not in {"auto", "analytic"}:
        raise OptionError(
            f"inference '{study.inference.method}' needs rows", expected="'auto' or 'analytic' with release = 'strict'",
            todo="leave the method out", where=study.place("inference", "method"),
        )  # fmt: skip


def _by_start(rows: Rows, wide: Any, bound: Bound, n_read: int, n_rows: int) -> tuple[Account, pd.DataFrame]:
    """Return what became of the rows, and first sums by start, where each rests on enough people."""
    bare = without_cells(bound)
    with rows.source.stored(first_sums_of(wide, bare), "sums by start") as cells:
        states = rows.source.executed(account_of(cells), "what became of the units")
        account = account_in(states, rows, wide, n_read, n_rows)
        released(rows, cells, bare)
        found = rows.source.executed(sums_of(cells, bare), "the sums by start")
    return account, found.sort_values("start", ignore_index=True)


def without_cells(bound: Bound) -> Bound:
    """Return the plan for sums by start alone."""
    return dataclasses.replace(bound, plan=dataclasses.replace(without_covariates(bound.plan), cluster=None))


def _covariates(rows: Rows, wide: Any, study: Study) -> tuple[tuple[str, ...], tuple[int, ...], list[Any]]:
    """Return names, owners and columns of the covariates as numbers, categories as indicators."""
    names: list[str] = []
    owner: list[int] = []
    columns: list[Any] = []
    for i, name in enumerate(rows.plan.covariates):
        column, cuts = wide[f"z{i}"], dict(rows.plan.grid).get(name)
        if cuts is None and column.type().is_numeric():
            found = [(name, column.cast("float64"))]
        else:
            found = _indicators(rows, wide, i, study)
        names += [label for label, _ in found]
        owner += [i] * len(found)
        columns += [values for _, values in found]
    return tuple(names), tuple(owner), columns


def _indicators(rows: Rows, wide: Any, i: int, study: Study) -> list[tuple[str, Any]]:
    name, where = rows.plan.covariates[i], study.place("covariates", i)
    cuts = dict(rows.plan.grid).get(name)
    values = distinct(rows.source, wide.filter(wide.state == COMPLETE), f"z{i}", where=where)
    if cuts is not None:
        words = grid_labels(values.to_numpy(np.float64), cuts)
    elif is_text(values):
        words = values.to_numpy(dtype=object)
    else:
        raise ColumnTypeError(
            f"the covariate '{name}' holds neither numbers nor texts", expected="numbers, or a category as text",
            todo="cast the column in a view of the table", where=where,
        )  # fmt: skip
    if len(words) > MANY_LEVELS:
        raise ColumnTypeError(
            f"the covariate column '{name}' holds {len(words)} different texts",
            expected=f"numbers, or a category with at most {MANY_LEVELS} levels", todo="group its levels", where=where,
        )  # fmt: skip
    of = dict(zip(words.tolist(), values.tolist(), strict=True))
    return [(f"{name}: {word}", (wide[f"z{i}"] == of[word]).cast("float64")) for word in sorted(of)[1:]]


def _begun(bound: Bound) -> IntArray:
    return bound.starts if bound.plan.first_treated else np.append(bound.periods, NEVER)


def _numbers(wide: Any, bound: Bound, columns: list[Any], scope: Scope, starts: IntArray) -> Any:
    """Return the units that are used, as the engine's estimates take them."""
    import ibis

    begun = _begun(bound)
    becomes = dict(zip(starts.tolist(), scope.start.tolist(), strict=True))
    kept = {int(g) for g, k in zip(starts, scope.kept, strict=True) if k}
    places = [(j, becomes[int(g)]) for j, g in enumerate(begun) if int(g) in kept]
    found = {"start": ibis.cases(*((wide["start"] == j, int(g)) for j, g in places)).cast("int64")}
    found |= {f"y{i}": wide[f"y{t}"] for i, t in enumerate(np.flatnonzero(scope.inside))}
    found |= {f"z{i}": column for i, column in enumerate(columns, start=1)}
    found |= {name: wide[name] for name in ("w", "cluster") if name in wide.columns}
    used = (wide.state == COMPLETE) & wide["start"].isin([j for j, _ in places])
    return wide.select(**found, used=used).filter(lambda table: table.used).drop("used")


def _clusters(source: EngineSource, table: Any, spec: InfluenceSpec) -> tuple[int, int, int, IntArray] | None:
    """Return clusters in all, of treated and of compared units, and of each start; None where units are clusters."""
    if not spec.clusters:
        return None
    last = int(spec.periods[-1])
    one = table.group_by("cluster").aggregate(on=(table.start <= last).any(), off=(table.start > last).any())
    whole = source.executed(
        one.aggregate(n=one.count(), on=one.on.cast("int32").sum(), off=one.off.cast("int32").sum()), "clusters"
    )  # fmt: skip
    pairs = table.select("start", "cluster").distinct()
    by_start = source.executed(pairs.group_by("start").aggregate(n=pairs.count()), "clusters by start")
    by_start = by_start.sort_values("start")
    return int(whole["n"][0]), int(whole["on"][0]), int(whole["off"][0]), by_start["n"].to_numpy(np.int64)


def _facts(sums: pd.DataFrame, bound: Bound, scope: Scope, clusters: tuple[int, int, int, IntArray] | None) -> Facts:
    inside = np.flatnonzero(scope.inside)
    periods, kept = bound.periods[inside], scope.kept
    starts, place = np.unique(scope.start[kept], return_inverse=True)
    of = np.zeros((starts.size, int(kept.sum())))
    of[place, np.arange(place.size)] = 1
    units = of @ sums["units"].to_numpy(np.float64)[kept]
    mass = of @ sums["n" if bound.plan.weights else "units"].to_numpy(np.float64)[kept]
    m = sums[[f"m{t}" for t in inside]].to_numpy(np.float64)[kept]
    every = np.repeat(mass[:, None], inside.size, axis=1)
    total = of @ m + every * bound.shift[inside]
    counts = None
    if bound.plan.outcome_counts:
        counts = of @ sums[[f"k{t}" for t in inside]].to_numpy(np.float64)[kept] if "k0" in sums.columns else total
    size = units.astype(np.int64)
    on = starts <= periods[-1]
    n = clusters or (int(size.sum()), int(size[on].sum()), int(size[~on].sum()), size)
    return Facts(
        starts.astype(np.int64), periods, size, n[3], n[0], n[1], n[2], np.repeat(size[:, None], inside.size, axis=1),
        every, total, counts,
    )  # fmt: skip
