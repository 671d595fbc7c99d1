"""Strata of people in an engine: exact, coarsened, and by ranges of the score, by the cuts of ``kernels.grouping``."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from evaltoolkit.designs.matching.facts import Made
from evaltoolkit.designs.matching.in_engine_balance import groups_of
from evaltoolkit.designs.matching.in_engine_matched import HeldSample, matched_effect
from evaltoolkit.designs.matching.in_engine_people import EnginePeople
from evaltoolkit.designs.matching.in_engine_sample import HeldMatched, Keep, line_of, scaled, target_of
from evaltoolkit.designs.matching.keys import Bins
from evaltoolkit.designs.matching.matched import Fact
from evaltoolkit.designs.matching.options import Options, words_of
from evaltoolkit.errors import NoComparisonError
from evaltoolkit.reduction.people import HeldPeople, sums, where

_FIXED = ("subclass",)


def in_strata(people: HeldPeople, content: EnginePeople, options: Options, keep: Keep) -> HeldMatched:
    """Compare people in strata that hold people of both groups.

    Raises
    ------
    NoComparisonError
        No stratum does, or a range of the score lacks a group.
    """
    told: tuple[Fact, ...] = ()
    if options.method == "subclass":
        people, told = _ranges(people, content, options)
    elif options.method == "coarsened-exact":
        people = _coarsened(people, content, options)
    else:
        names = [f"e{i}" for i in range(len(options.exact))] or [f"s{j}" for j in range(len(_shown(content)))]
        people = people.adding({f"k{i}": people[name] for i, name in enumerate(names)})
    keys = tuple(name for name in people.table.columns if name[0] == "k" and name[1:].isdigit())
    people, n_sets = _weights(people, keys, options, keep, content.threshold)
    if options.method == "subclass" and n_sets < options.subclasses:
        raise NoComparisonError(
            f"one of the {options.subclasses} subclasses lacks treated or comparison people",
            expected="people of both groups in each", todo="ask for fewer subclasses",
        )  # fmt: skip
    if options.method != "subclass":
        told = (Fact("Strata with both groups", float(n_sets)),)
    groups = groups_of(people)
    target = target_of(people, options)
    used = groups.treated.used + groups.comparison.used
    stack = keep(
        HeldPeople(people.source, people.table.filter(people["w"] > 0), people.center, people.spread, used), "sample"
    )
    sample = HeldSample(
        stack, target, keys, None, used, used, n_sets, options.method in _FIXED, content.covariates.names
    )  # fmt: skip
    meant = {"ATT": (groups.treated,), "ATC": (groups.comparison,)}.get(
        options.estimand, (groups.treated, groups.comparison)
    )
    made = Made(n_sets, complete=all(group.n == group.used for group in meant), told=told)
    line = "line" if options.method == "subclass" else "p"
    return HeldMatched(people, groups, made, line, lambda asked: matched_effect(sample, asked))


def _shown(content: EnginePeople) -> tuple[str, ...]:
    return content.covariates.shown_names


def _coarsened(people: HeldPeople, content: EnginePeople, options: Options) -> HeldPeople:
    """Return people with a key for each covariate: levels of a category, bins of a number."""
    told = content.covariates
    plain = people.table
    numbers = [j for j, owner in enumerate(told.shown_owner) if owner not in told.categories]
    ends: dict[str, Any] = {}
    for j in numbers:
        s = plain[f"s{j}"]
        ends |= {f"least{j}": s.min(), f"most{j}": s.max(), f"sd{j}": s.std(how="sample")}
    with_ends = plain.cross_join(plain.aggregate(**ends)) if ends else plain
    keys: dict[str, Any] = {}
    for j, owner in enumerate(told.shown_owner):
        name = f"s{j}"
        if owner in told.categories:
            keys[f"k{j}"] = with_ends[name]
            continue
        bins = options.bins_of(words_of(options.covariates[owner]))
        keys[f"k{j}"] = _bin(people, with_ends, j, bins)
    return HeldPeople(people.source, with_ends.mutate(**keys), people.center, people.spread, people.n)


def _bin(people: HeldPeople, table: Any, j: int, bins: Bins) -> Any:
    """Return the bin of each value: how many cuts are at or below it."""
    s = table[f"s{j}"]
    if not isinstance(bins, str | int):
        cuts: list[Any] = [float(cut) for cut in np.unique(np.asarray(bins, dtype=np.float64))]
    else:
        n_bins = bins if isinstance(bins, int) else _bin_count(people, table, j, bins)
        step = (table[f"most{j}"] - table[f"least{j}"]) / float(n_bins)
        cuts = [step * float(i) + table[f"least{j}"] for i in range(1, n_bins)]
    found = where(s < s, 1, 0)
    for cut in cuts:
        found = found + where(s >= cut, 1, 0)
    return found


def _bin_count(people: HeldPeople, table: Any, j: int, rule: str) -> int:
    n = people.n
    if rule == "sturges":
        return int(np.ceil(np.log2(n) + 1))
    width = table[f"sd{j}"].max() * 3.5
    count = ((table[f"most{j}"].max() - table[f"least{j}"].max()) / width * float(n ** (1 / 3))).ceil()
    found = sums(people.source, table, {"bins": count}, "number of bins")["bins"]
    return max(1, int(found)) if np.isfinite(found) else 1


def _ranges(people: HeldPeople, content: EnginePeople, options: Options) -> tuple[HeldPeople, tuple[Fact, ...]]:
    """Return people with their range of the score between quantiles of those meant; the cuts stay in the engine."""
    import ibis

    count = options.subclasses
    if min(content.n_treated, content.n_comparison) < count:
        raise NoComparisonError(
            f"there are fewer people in a group than the {count} subclasses",
            expected="at least one treated and one comparison person for each subclass",
            todo="ask for fewer subclasses",
        )  # fmt: skip
    people = people.adding({"line": line_of(people, options)})
    table = people.table
    meant = {"ATT": table["t"] == 1, "ATC": table["t"] == 0}.get(options.estimand)
    of = table if meant is None else table.filter(meant)
    n = {"ATT": content.n_treated, "ATC": content.n_comparison}.get(options.estimand, content.n)
    ranked = of.select("line").mutate(place=ibis.row_number().over(ibis.window(order_by=of["line"])))
    places = [(n - 1) * q for q in np.linspace(0, 1, count + 1)[1:-1]]
    asked: dict[str, Any] = {}
    for i, place in enumerate(places, start=1):
        for word, at in (("low", int(np.floor(place))), ("high", min(int(np.floor(place)) + 1, n - 1))):
            asked[f"{word}{i}"] = (ranked["place"] == at).ifelse(ranked["line"], None).max()
    ends = ranked.aggregate(**asked)
    cuts = {f"cut{i}": _between(ends[f"low{i}"], ends[f"high{i}"], p - np.floor(p)) for i, p in enumerate(places, 1)}
    cut_row = ends.select(**cuts)
    told = sums(people.source, cut_row, {name: cut_row[name].max().round(4) for name in cuts}, "cutpoints of the score")
    both = table.cross_join(cut_row)
    key = where(both["line"] < both["line"], 1, 0)
    for name in cuts:
        key = key + where(both["line"] >= both[name], 1, 0)
    facts = tuple(Fact(f"Cutpoint {i}", told[f"cut{i}"]) for i in range(1, count))
    return HeldPeople(people.source, both.mutate(k0=key), people.center, people.spread, people.n), facts


def _between(low: Any, high: Any, share: float) -> Any:
    """Return a quantile between two neighbours, rounded as numpy rounds it."""
    return low + (high - low) * share if share < 0.5 else high - (high - low) * (1.0 - share)


def _weights(
    people: HeldPeople, keys: tuple[str, ...], options: Options, keep: Keep, threshold: int
) -> tuple[HeldPeople, int]:  # fmt: skip
    """Return people with the weights that follow from their strata, and how many strata hold both groups."""
    table = keep(people, "strata").table
    by = {f"in_{key}": table[key] for key in keys}
    strata = table.group_by(**by).aggregate(n1=table["t"].sum(), n0=(1.0 - table["t"]).sum())
    joined = table.join(strata, [table[key] == strata[f"in_{key}"] for key in keys])
    people = dataclasses.replace(people, table=joined.drop(*by))
    n1, n0, t = people["n1"], people["n0"], people["t"] == 1
    goal = {"ATT": n1, "ATC": n0}.get(options.estimand, n1 + n0)
    both = (n1 > 0) & (n0 > 0)
    raw = where(both, where(t, goal / where(both, n1, 1.0), goal / where(both, n0, 1.0)))
    people = keep(people.adding({"raw": raw}), "weights")
    n1, n0, inside = people["n1"], people["n0"], people["raw"] > 0
    found = people.sums({"sets": where(inside, 1.0 / (n1 + n0)).sum()}, "number of strata")
    return keep(scaled(people, threshold), "weights"), round(found["sets"])
