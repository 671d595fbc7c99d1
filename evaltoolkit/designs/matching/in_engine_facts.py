"""What else the report of a matched comparison needs of people in an engine: overlap, moments, small counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaltoolkit.designs.matching.facts import Histogram
from evaltoolkit.designs.matching.histogram import bins_for
from evaltoolkit.designs.matching.in_engine_balance import Groups
from evaltoolkit.kernels.omitted_variables import Moments
from evaltoolkit.reduction.people import HeldPeople, count, small_of, sums, unless_small, where
from evaltoolkit.results import SmallCells
from evaltoolkit.study import Study

FloatArray = NDArray[np.float64]

REACH = 3.0
"""Standard deviations around its mean between which a given score is drawn: its ends are values of single people."""


def overlap_of(people: HeldPeople, groups: Groups, cells: SmallCells | None, *, chance: bool) -> Histogram:
    """Return shares of both groups in bins of the score; the engine keeps what rests on a few people.

    Parameters
    ----------
    people, groups
        The people, with their score ``p`` and weights ``w``.
    cells
        The small-cell rule; None where rows are no people.
    chance
        Whether the score is a probability.
    """
    bins = bins_for(groups.treated.n, groups.comparison.n)
    low, high = (0.0, 1.0) if chance else _reach(people)
    edges = np.linspace(low, high, bins + 1)
    people = people.adding({"bin": ((people["p"] - low) * (bins / (high - low))).floor().clip(lower=0, upper=bins - 1)})
    hidden = np.zeros((2, bins), dtype=np.bool_) if cells is None else _hidden_bins(people, bins, cells)
    t, at = people["t"], people["bin"]
    shown = None
    for a in (0, 1):
        open_bins = (t == a) & at.isin(np.flatnonzero(~hidden[a]).astype(float).tolist())
        shown = open_bins if shown is None else shown | open_bins
    query = people.table.filter(shown).group_by(["t", "bin"]).aggregate(n=people["w"].count(), total=people["w"].sum())
    counts, weights = np.zeros((2, bins)), np.zeros((2, bins))
    told = people.source.executed(query, "overlap of the scores")
    for a, k, n, total in told[["t", "bin", "n", "total"]].to_numpy(dtype=np.float64):
        counts[int(a), int(k)], weights[int(a), int(k)] = n, total
    sizes = np.array([groups.comparison.n, groups.treated.n])[:, None]
    before, after = (
        np.where(hidden, np.nan, found / total)[::-1]
        for found, total in ((counts, sizes), (weights, groups.total[:, None]))
    )
    bases = tuple(
        tuple(None if cells is None else 1 if hidden[a][k] else int(counts[a, k]) for k in range(bins)) for a in (1, 0)
    )
    return Histogram(edges[:-1], edges[1:], before, after, (bases[0], bases[1]))


def _reach(people: HeldPeople) -> tuple[float, float]:
    p = people["p"]
    mean = people.sums({"mean": p.mean()}, "level of the score")["mean"]
    off = p - mean
    spread = float(np.sqrt(people.sums({"s": (off * off).mean()}, "spread of the score")["s"]))
    return mean - REACH * spread, mean + REACH * spread


def _hidden_bins(people: HeldPeople, bins: int, cells: SmallCells) -> NDArray[np.bool_]:
    """Return which bins stay in the engine, comparison group first; none stays alone, as shares add up to one."""
    used = people["w"] > 0
    parts = [people.table.count(), count(used), count(~used)]
    small = small_of(parts, cells.threshold).ifelse(1, 0)
    query = people.table.group_by(["t", "bin"]).aggregate(small=small)
    hidden, there = np.zeros((2, bins), dtype=np.bool_), np.zeros((2, bins), dtype=np.bool_)
    told = people.source.executed(query, "bins of a few people")
    for a, k, few in told[["t", "bin", "small"]].to_numpy(dtype=np.float64):
        hidden[int(a), int(k)], there[int(a), int(k)] = few > 0, True
    for a in (0, 1):
        secret = np.flatnonzero(hidden[a])
        others = np.flatnonzero(there[a] & ~hidden[a])
        if secret.size == 1 and others.size:
            hidden[a, others[int(np.argmin(np.abs(others - secret[0])))]] = True
    return hidden


def outside_of(people: HeldPeople, line: str, estimand: str, cells: SmallCells, *, rows: bool) -> int:
    """Return how many of those whose effect is meant lie outside the other group's range; the most where few do."""
    table = people.table
    ends: dict[str, Any] = {}
    for a in (0, 1):
        mine = (table["t"] == a).ifelse(table[line], None)
        ends |= {f"low{a}": mine.min(), f"high{a}": mine.max()}
    both = table.select("t", line).cross_join(table.aggregate(**ends))
    total = None
    for a, other in ((1, 0), (0, 1)):
        if estimand == {1: "ATC", 0: "ATT"}[a]:
            continue
        far = (both[line] < both[f"low{other}"]) | (both[line] > both[f"high{other}"])
        one = count((both["t"] == a) & far)
        total = one if total is None else total + one
    asked = unless_small(total, [total], cells.threshold if rows else 0)
    found = sums(people.source, both, {"outside": asked}, "range of the score")["outside"]
    return cells.threshold - 1 if np.isnan(found) else int(found)


def small_outcome(people: HeldPeople, study: Study, cells: SmallCells) -> bool:
    """Return whether means of the outcome in the groups would reveal a small count of people or events."""
    kind = study.outcome.kind
    if not study.counts_people or kind == "continuous":
        return False
    counts = []
    for a in (0, 1):
        mine = (people["t"] == a) & (people["w"] > 0)
        counts.append(count(mine & (people["y"] > 0)))
        if kind == "binary":
            counts.append(count(mine & (people["y"] <= 0)))
    small = small_of(counts, cells.threshold)
    return people.sums({"small": small.ifelse(1, 0)}, "outcomes of a few people")["small"] > 0


def outcome_spread(people: HeldPeople) -> float:
    """Return the root of the mean of the groups' outcome variances in the matched sample."""
    w, y = people["w"], people["y"]
    asked: dict[str, Any] = {}
    for a in (0, 1):
        mine = where(people["t"] == a, w)
        asked |= {f"W{a}": mine.sum(), f"Y{a}": (mine * y).sum()}
    found = people.sums(asked, "level of the outcome")
    off = {}
    for a in (0, 1):
        away = y - found[f"Y{a}"] / found[f"W{a}"]
        off[f"v{a}"] = where(people["t"] == a, w * away * away).sum()
    squared = people.sums(off, "spread of the outcome")
    return float(np.sqrt(np.mean([squared[f"v{a}"] / found[f"W{a}"] for a in (0, 1)])))


def moments_of(people: HeldPeople, weight: str, level: float, n: int) -> Moments:
    """Return second moments of covariates, treatment and outcome, as ``kernels.omitted_variables.moments`` does.

    Parameters
    ----------
    people, weight
        The people, and the column of their weights.
    level
        About the mean of the outcome, which is taken off first.
    n
        People of weight above zero.
    """
    w, t, y = people[weight], people["t"], people["y"] - level
    asked = people.gram("g", w) | people.total("t", w * t) | people.total("y", w * y)
    asked |= {"tt": (w * t * t).sum(), "ty": (w * t * y).sum(), "yy": (w * y * y).sum()}
    found = people.sums(asked, "second moments")
    k = people.k
    full = np.zeros((k + 3, k + 3))
    full[: k + 1, : k + 1] = people.matrix(found, "g")
    for at, key in ((k + 1, "t"), (k + 2, "y")):
        full[: k + 1, at] = full[at, : k + 1] = people.vector(found, key)
    full[k + 1, k + 1], full[k + 2, k + 2] = found["tt"], found["yy"]
    full[k + 1, k + 2] = full[k + 2, k + 1] = found["ty"]
    full /= full[0, 0]
    mean = full[0, 1:]
    centered = full[1:, 1:] - np.outer(mean, mean)
    spread = np.sqrt(np.clip(np.diag(centered), 0, None))
    over = np.where(spread > 0, spread, 1.0)
    return Moments(centered / np.outer(over, over), spread * np.r_[people.spread, 1.0, 1.0], n)
