"""A panel reduced inside an engine: one query lays units out wide, one sums them by cell; only sums leave."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaltoolkit.errors import (
    DataChangedError,
    DuplicateRowsError,
    OptionError,
    TreatmentTimingError,
)
from evaltoolkit.reduction.assembling import BITS, assembled
from evaltoolkit.reduction.long_form import Rows
from evaltoolkit.reduction.moments import Account, PanelMoments
from evaltoolkit.reduction.plan import Bound, PanelPlan
from evaltoolkit.reduction.small_sums import (
    COMPLETE,
    EARLY,
    INCOMPLETE,
    REVERTS,
    TWICE,
    leaving,
    released,
    released_pairs,
)
from evaltoolkit.results import plural

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

AGGREGATES: Final = 400
"""Aggregates in one query, at most: engines limit the length of an expression."""
MOST_CELLS: Final = 5_000
"""Combinations of covariates beyond which they count as continuous."""


def panel_moments(rows: Rows, bound: Bound, n_read: int, n_rows: int) -> PanelMoments:
    """Reduce a panel in the engine.

    Units that start in or before the first period are counted and left out. So are those that lack a period, unless the
    plan keeps them: then the periods that they have are part of their cell, and they are left out only where a cell of
    theirs would rest on too few people.

    Parameters
    ----------
    rows
        The rows, and where they are.
    bound
        The plan, with the values of time and start that stand for each period and cohort.
    n_read, n_rows
        Rows in the table, and those that the study asks for.

    Raises
    ------
    SmallSumsError
        A cell holds so few people that its sums may not leave.
    OptionError
        Covariates take too many different values to be cells.
    DuplicateRowsError, TreatmentTimingError
        Rows of one unit disagree.
    DataChangedError
        The table changed while it was read.
    """
    source = rows.source
    _few_cells(rows)
    wide = wide_form(rows.long(bound), bound)
    several = any(True for _ in _pairs(wide, bound, first=False))
    once = source.stored(wide, "one row a unit") if several else contextlib.nullcontext(wide)
    with once as laid, source.stored(cells_of(laid, bound), "sums by cell") as cells:
        states = source.executed(account_of(cells), "what became of the units")
        account = account_in(states, rows, laid, n_read, n_rows)
        hidden = released(rows, cells, bound)
        found = _fetched(rows, laid, cells, bound)
    return assembled(found, bound, dataclasses.replace(account, n_kept=account.n_kept - hidden))


def _few_cells(rows: Rows) -> None:
    if not rows.plan.covariates:
        return
    n = int(rows.source.executed(combinations(rows), "combinations of covariates")["n"][0])
    if n > MOST_CELLS:
        raise OptionError(
            f"the covariates take more than {MOST_CELLS:,} different values together, so cells of units alike would "
            "be rows",
            expected='covariates of few values for release = "moments"',
            todo="give cut points under [moments] grid, or state release = 'strict', which lets cross-products of the "
            "whole sample leave and no cells", where=rows.where("covariates"),
        )  # fmt: skip


def combinations(rows: Rows) -> Any:
    """Return the query that counts combinations of the covariates' values, up to one more than may be."""
    columns = {f"z{i}": rows.covariate(name) for i, name in enumerate(rows.plan.covariates)}
    several = rows.table.select(**columns).distinct().limit(MOST_CELLS + 1)
    return several.aggregate(n=several.count())


def wide_form(long: Any, bound: Bound) -> Any:
    """Return one row a unit: outcomes ``y0`` ... less the shift, its cell, and in ``state`` whether it can be used."""
    T = bound.periods.size
    keys = [name for name in long.columns if name not in {"at", "y", "c", "on"}]
    asked = {"rows": long.count(), "seen": long.y.count()}
    for t in range(T):
        here = long["at"] == t
        asked[f"y{t}"] = (long.y - float(bound.shift[t])).sum(where=here)
        if "c" in long.columns:
            asked[f"c{t}"] = long.c.sum(where=here)
    if "on" in long.columns:
        asked |= {"first": long["at"].min(where=long.on == 1.0), "last": long["at"].max(where=long.on == 0.0)}
    wide = long.group_by(keys).aggregate(**asked)
    if "on" in long.columns:
        # Starts are periods here, the last place standing for never.
        wide = wide.mutate(start=wide["first"].fill_null(T).cast("int32"))
    known = sum(wide[f"y{t}"].notnull().cast("int32") for t in range(T))
    wide = wide.mutate(known=known)
    early = wide.start.isin(_early(bound))
    reverts = (wide["last"] > wide["first"]) if "on" in long.columns else None
    keeps = bound.plan.incomplete == "keep"
    branches = [
        ((wide.seen > wide.known) | (wide.rows > T), TWICE), (wide.known < (min(2, T) if keeps else T), INCOMPLETE),
        (early, EARLY),
    ]  # fmt: skip
    if reverts is not None:
        branches.insert(1, (reverts, REVERTS))
    import ibis

    found = {"state": ibis.cases(*branches, else_=COMPLETE).cast("int32")}
    for k in range((T - 1) // BITS + 1 if keeps else 0):
        bits = [
            wide[f"y{t}"].notnull().cast("int32").cast("int64") * 2 ** (t % BITS)
            for t in range(k * BITS, min(T, (k + 1) * BITS))
        ]
        found[f"p{k}"] = sum(bits[1:], start=bits[0])
    return wide.mutate(**found)


def _early(bound: Bound) -> list[int]:
    """Return the places of starts in or before the first period; with none, a place that does not occur."""
    if bound.plan.first_treated is None:
        return [0]
    return [j for j, g in enumerate(bound.starts.tolist()) if g <= bound.first] or [-1]


def _values(bound: Bound) -> list[str]:
    """Return the columns that tell cells of one start apart: covariates, and the periods that units have."""
    words = (bound.periods.size - 1) // BITS + 1 if bound.plan.incomplete == "keep" else 0
    return [*(f"z{i}" for i in range(len(bound.plan.covariates))), *(f"p{k}" for k in range(words))]


def cells_of(wide: Any, bound: Bound) -> Any:
    """Return sums by state and cell: cross-products among them where units are the clusters and they fit one query."""
    masked = _masked(wide, bound)
    keys = ["state", "start", *_values(bound), *(["cluster"] if bound.plan.cluster else [])]
    return masked.group_by(keys).aggregate(**_first_sums(masked, bound), **dict(_pairs(masked, bound, first=True)))


def first_sums_of(wide: Any, bound: Bound) -> Any:
    """Return sums by state and cell without cross-products."""
    masked = _masked(wide, bound)
    return masked.group_by(["state", "start", *_values(bound)]).aggregate(**_first_sums(masked, bound))


def _masked(wide: Any, bound: Bound) -> Any:
    """Hide the cell and the outcomes of units that are not used: of those only their number may leave."""
    plan = bound.plan
    used = wide.state == COMPLETE
    hidden = [name for name in wide.columns if _is_column(name, "yc")]
    keys = ["start", *_values(bound), *(["cluster"] if plan.cluster else [])]
    return wide.mutate(**{name: used.ifelse(wide[name], None) for name in [*hidden, *keys]})


def _first_sums(wide: Any, bound: Bound) -> dict[str, Any]:
    plan, T = bound.plan, bound.periods.size
    w = wide.w if plan.weights else None
    holes = (wide.known < T).cast("int32").sum()
    found = {"units": wide.count(), "rows": wide.rows.sum(), "holes": holes}
    if w is not None:
        found |= {"n": w.sum(), "n2": (w * w).sum()}
    for t in range(T):
        y = wide[f"y{t}"]
        found[f"m{t}"] = y.sum() if w is None else (w * y).sum()
        if w is not None and not plan.cluster:
            found[f"s{t}"] = (w * w * y).sum()
        if f"c{t}" in wide.columns:
            found[f"k{t}"] = wide[f"c{t}"].sum()
        if plan.counts_people and plan.kind == "continuous":
            size = (y + float(bound.shift[t])).abs()
            found |= {f"a{t}": size.sum(), f"b{t}": size.max()}
        if not plan.counts_people and plan.outcome_counts:
            count = wide[f"c{t}"] if f"c{t}" in wide.columns else y + float(bound.shift[t])
            found[f"e{t}"] = count.min(where=count > 0)
    return found


def _pairs(wide: Any, bound: Bound, *, first: bool) -> Iterator[tuple[str, Any]]:
    """Yield cross-products of periods: those that fit beside the first sums, or the others."""
    plan, T = bound.plan, bound.periods.size
    if plan.cluster:
        return
    room = max(0, AGGREGATES - len(_first_sums(wide, bound)))
    pairs = [(s, t) for s in range(T) for t in range(s, T)]
    for s, t in pairs[:room] if first else pairs[room:]:
        product = wide[f"y{s}"] * wide[f"y{t}"]
        yield f"q{s}_{t}", (product * wide.w * wide.w if plan.weights else product).sum()


def account_of(cells: Any) -> Any:
    """Return how many units and rows are in each state."""
    return cells.group_by("state").aggregate(
        units=cells.units.sum(), rows=cells.rows.sum(), holes=cells.holes.sum(), cells=cells.count()
    )


def account_in(states: pd.DataFrame, rows: Rows, wide: Any, n_read: int, n_rows: int) -> Account:
    """Return the account, and stop where rows of one unit disagree or the table changed.

    Parameters
    ----------
    states
        What ``account_of`` found.
    rows, wide
        The rows, and one row a unit.
    n_read, n_rows
        As in ``panel_moments``.

    Raises
    ------
    DataChangedError, DuplicateRowsError, TreatmentTimingError
    """
    units = {int(s): int(n) for s, n in zip(states["state"], states["units"], strict=True)}
    if int(states["rows"].sum()) != n_rows:
        raise DataChangedError(
            f"the table had {n_rows:,} rows of the study at first and {int(states['rows'].sum()):,} later",
            expected="a table that does not change while it is read",
            todo="run it again when nobody writes to the table, or on a copy", where=rows.source.where,
        )  # fmt: skip
    if units.get(TWICE):
        raise DuplicateRowsError(
            f"several rows stand for the same unit and period in {plural(units[TWICE], 'unit')}",
            expected=f"one row for each '{rows.plan.unit}' and '{rows.plan.time}'",
            todo="add up or average such rows first, or correct the columns named as unit and time",
            where=rows.where("unit"),
        )  # fmt: skip
    if units.get(REVERTS):
        raise TreatmentTimingError(
            f"treatment switches off again in {plural(units[REVERTS], 'unit')} (column '{rows.plan.treated}')",
            expected="an indicator that stays 1 once it is 1",
            todo="give first_treated, the period of the first exposure, if its effect is meant to last",
            where=rows.where("treated"),
        )  # fmt: skip
    if int(states["cells"].max()) > MOST_CELLS:
        raise OptionError(
            f"units lack periods in so many ways that there are more than {MOST_CELLS:,} cells of units alike",
            expected="units that lack few periods, or cells of many units", where=rows.where("incomplete"),
            todo="use incomplete = 'drop', which leaves units out that lack a period, or fewer covariates",
        )  # fmt: skip
    holes = {int(s): int(n) for s, n in zip(states["state"], states["holes"], strict=True)}
    if sum(holes.values()):
        _steady(rows, wide, bound_periods(wide))
    left = units.get(INCOMPLETE, 0)
    kept = holes.get(COMPLETE, 0) + holes.get(EARLY, 0)
    every = units.get(COMPLETE, 0) + units.get(EARLY, 0) + left
    return Account(n_read, n_rows, every, left + kept, units.get(EARLY, 0), kept)


def bound_periods(wide: Any) -> int:
    """Return the number of periods of one row a unit."""
    return sum(1 for name in wide.columns if _is_column(name, "y"))


def _steady(rows: Rows, wide: Any, T: int) -> None:
    """Stop where rows of units that lack a period disagree on what has to be the same: then a unit is laid out twice.

    Parameters
    ----------
    rows, wide
        The rows, and one row for each unit and each of its starts, covariates, clusters and weights.
    T
        Number of periods.
    """
    plan = rows.plan
    part = wide.filter(wide.known < T)
    names = {"start": plan.first_treated, "cluster": plan.cluster, "w": plan.weights}
    names |= {f"z{i}": name for i, name in enumerate(plan.covariates)}
    known = {key: name for key, name in names.items() if name is not None}
    asked = {"parts": part.count()}
    for key in known:
        asked[f"{key}_moves"] = (part[key].min() < part[key].max()) | (
            (part[key].count() > 0) & (part[key].count() < part.count())
        )
    by_unit = part.group_by("unit").aggregate(**asked)
    moving = {key: by_unit[f"{key}_moves"].cast("int32").sum() for key in known}
    twice = (by_unit.parts > 1).cast("int32").sum()
    found = rows.source.executed(by_unit.aggregate(several=twice, **moving), "incomplete units")
    for key, name in known.items():
        n = int(found[key][0] or 0)
        if n and int(found["several"][0] or 0):
            raise _moves(rows, key, name, n)


def _moves(rows: Rows, key: str, name: str, n: int) -> TreatmentTimingError:
    what = {"start": "first treated period", "cluster": "cluster", "w": "weight"}.get(key, "covariate")
    role = {"start": "first_treated", "cluster": "cluster", "w": "weights"}.get(key, "covariates")
    return TreatmentTimingError(
        f"the {what} in '{name}' changes or is sometimes empty within {plural(n, 'unit')}",
        expected=f"one {what} for each unit, in every row of the unit",
        todo="write the same value into all rows of a unit, such as that before the program"
        + (', or state release = "open"' if key.startswith("z") else ""), where=rows.where(role),
    )  # fmt: skip


def sums_of(cells: Any, bound: Bound) -> Any:
    """Return the query for the sums of the cells that are used."""
    used = leaving(cells, bound)
    kept = [name for name in cells.columns if name not in {"state", "rows", "holes"} and not _is_column(name, "abe")]
    return used.select(*kept)


def _is_column(name: str, letters: str) -> bool:
    return name[0] in letters and name[1:].isdigit()


def _fetched(rows: Rows, wide: Any, cells: Any, bound: Bound) -> pd.DataFrame:
    found = rows.source.executed(sums_of(cells, bound), "the sums")
    masked = _masked(wide, bound).filter(wide.state == COMPLETE)
    rest = list(_pairs(masked, bound, first=False))
    keys = ["start", *_values(bound)]
    sums = _first_sums(masked, bound)
    for lo in range(0, len(rest), AGGREGATES):
        chunk = dict(rest[lo : lo + AGGREGATES])
        part = masked.group_by(keys).aggregate(**chunk, **sums)
        released_pairs(rows, part, bound)
        more = rows.source.executed(part.select(*keys, *chunk), "further cross-products")
        found = found.merge(more, on=keys, how="left", validate="1:1")
    return found


def without_covariates(plan: PanelPlan) -> PanelPlan:
    """Return the plan of an estimator that adjusts for nothing."""
    return dataclasses.replace(plan, covariates=(), grid=())
