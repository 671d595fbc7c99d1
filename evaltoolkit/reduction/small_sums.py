"""Whether sums by cell may leave an engine: it counts the cells that are too small itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from evaltoolkit.errors import SmallSumsError
from evaltoolkit.reduction.long_form import Rows
from evaltoolkit.reduction.plan import Bound

LARGEST_SHARE: Final = 0.5
"""Of a sum of money or the like that one person may have."""
COMPLETE, INCOMPLETE, TWICE, EARLY, REVERTS = range(5)


def released(rows: Rows, cells: Any, bound: Bound) -> int:
    """Return how many units that lack a period are left out, because too few of them lack the same.

    Raises
    ------
    SmallSumsError
        A cell of units that lack none rests on so few people that its sums may not leave. The engine counts such cells.
    """
    small = too_small(cells, bound)
    if small is None:
        return 0
    found = rows.source.executed(small, "cells too small to leave")
    n = int(found["small"][0] or 0)
    if n:
        raise _small(rows, f"{n:,} of {int(found['cells'][0]):,} cells hold")
    return int(found["hidden"][0] or 0)


def released_pairs(rows: Rows, part: Any, bound: Bound) -> None:
    """Stop where sums of products of a cell rest on too few people.

    Raises
    ------
    SmallSumsError
    """
    small = pairs_too_small(part, bound)
    if small is None:
        return
    n = int(rows.source.executed(small, "products too small to leave")["small"][0] or 0)
    if n:
        raise _small(rows, f"{n:,} cells hold")


def _small(rows: Rows, found: str) -> SmallSumsError:
    return SmallSumsError(
        f"{found} fewer than {rows.plan.threshold} people, or sums that rest on so few",
        expected="cells (starts by values of the covariates) of enough people in each period",
        todo="make cells coarser: cut points under [moments] grid, fewer covariates, longer periods, starts put "
        "together; or state release = 'strict', which lets no cell leave", where=rows.where("data", "release"),
    )  # fmt: skip


def too_small(cells: Any, bound: Bound) -> Any | None:
    """Return the query that counts cells whose sums may not leave, and units that are left out; None where none can."""
    used = cells.filter(cells.state == COMPLETE)
    bad = _bad(used, bound)
    if bad is None:
        return None
    whole = (used.holes == 0).cast("int32")
    marked = used.select(small=bad * whole, hidden=bad * (1 - whole) * used.units, whole=whole)
    return marked.aggregate(small=marked.small.sum(), hidden=marked.hidden.sum(), cells=marked.whole.sum())


def leaving(cells: Any, bound: Bound) -> Any:
    """Return the cells whose sums leave."""
    used = cells.filter(cells.state == COMPLETE)
    bad = _bad(used, bound)
    return used if bad is None else used.filter(bad == 0)


def pairs_too_small(part: Any, bound: Bound) -> Any | None:
    """Return the query that counts cells whose sums of products may not leave; None where those count nobody."""
    if bound.plan.kind != "binary" or not bound.plan.outcome_counts or bound.plan.weights:
        return None
    marked = part.filter(part.units >= bound.plan.threshold).mutate(bad=lambda t: _any(_of_pairs(t), bound))
    return marked.aggregate(small=marked.bad.sum())


def _of_pairs(used: Any) -> list[Any]:
    """Return the people with a one in both, in either alone, and in neither of each two periods (shift zero)."""
    found = []
    for name in used.columns:
        if name[0] == "q" and "_" in name:
            s, t = name[1:].split("_")
            both, first, second = used[name], used[f"m{s}"], used[f"m{t}"]
            rest = [first - both, second - both, used.units - first - second + both] if s != t else []
            found += [both, *rest]
    return found


def _bad(used: Any, bound: Bound) -> Any | None:
    """Return 1 for a cell that rests on too few, 0 for another; None where nothing counts people."""
    plan, T = bound.plan, bound.periods.size
    counted: list[Any] = [used.units.cast("float64")] if plan.counts_people else []
    if plan.outcome_counts and not plan.weights:
        for t in range(T):
            total = used[f"k{t}"] if f"k{t}" in used.columns else used[f"m{t}"] + used.units * float(bound.shift[t])
            counted += [total, used.units - total] if plan.kind == "binary" else [total]
        if plan.kind == "binary":
            counted += _of_pairs(used)
    elif plan.outcome_counts:
        counted += [used[f"k{t}"] for t in range(T) if f"k{t}" in used.columns]
    more: list[Any] = []
    if plan.counts_people and plan.kind == "continuous":
        # One person with more than half of a sum gives it away.
        more += [used[f"b{t}"] > LARGEST_SHARE * used[f"a{t}"] for t in range(T)]
    if not plan.counts_people and plan.outcome_counts:
        # The counts of two places follow from their sum and their sum of squares.
        more += [(used.units == 2) & (used[f"e{t}"] < plan.threshold - 0.5) for t in range(T)]
    return _any(counted, bound, more) if counted or more else None


def _any(counted: list[Any], bound: Bound, more: Sequence[Any] = ()) -> Any:
    """Return 1 where one of several counts is small, or something more holds; 0 elsewhere."""
    plan = bound.plan
    least = plan.threshold - 0.5
    small = [(v > 0.5 if plan.show_zero else v > -0.5) & (v < least) for v in counted]
    # A period in which nobody of a cell was observed has no sum, and hides nothing.
    each = [flag.fill_null(False).cast("int32") for flag in (*small, *more)]  # noqa: FBT003
    return (sum(each[1:], start=each[0]) > 0).cast("int32")
