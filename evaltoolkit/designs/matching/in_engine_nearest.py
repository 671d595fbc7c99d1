"""Nearest neighbours with replacement of people in an engine: running counts and joins on equal places, no search.

Everybody stands in ascending order of the score within the columns that must agree. A person's nearest matches are then
the last few of the other group before and the first few after, which a join on their places finds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from evaltoolkit.designs.matching.facts import Made
from evaltoolkit.designs.matching.in_engine_balance import groups_of
from evaltoolkit.designs.matching.in_engine_matched import HeldSample, matched_effect
from evaltoolkit.designs.matching.in_engine_people import EnginePeople
from evaltoolkit.designs.matching.in_engine_sample import HeldMatched, Keep, line_of, scaled, target_of
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.reduction.people import HeldPeople, where


def in_pairs(people: HeldPeople, content: EnginePeople, options: Options, keep: Keep) -> HeldMatched:
    """Pair each person whose effect is meant with the nearest of the other group; for ATE everybody both ways.

    Of people who are equally near on either side, the one with the lower score is taken. An engine knows no order of
    the data: people with the same score stand in the order of their covariates, then of the person column where one is
    named, else of a number without meaning.

    Raises
    ------
    NoComparisonError
        Nobody finds a match.
    """
    blocks = [f"e{i}" for i in range(len(options.exact))]
    people = keep(_placed(people, content, options), "order of the score")
    width = _width(people, options)
    ways = {"ATT": (1,), "ATC": (0,)}.get(options.estimand, (1, 0))
    pairs: Any = None
    for focal in ways:
        found = _pairs(people.table, focal, blocks, options.ratio, width)
        pairs = found if pairs is None else pairs.union(found)
    pairs = keep(replace(people, table=pairs), "pairs").table
    people = keep(scaled(keep(_weighed(people, pairs), "matches"), content.threshold), "weights")
    groups = groups_of(people)
    sample = _sample(people, pairs, content, options, keep)
    meant = {"ATT": (groups.treated,), "ATC": (groups.comparison,)}.get(
        options.estimand, (groups.treated, groups.comparison)
    )
    made = Made(sample.n_sets, all(group.n == group.used for group in meant), width)
    return HeldMatched(people, groups, made, "line", lambda asked: matched_effect(sample, asked))


def _placed(people: HeldPeople, content: EnginePeople, options: Options) -> HeldPeople:
    import ibis

    people = people.adding({"line": line_of(people, options)})
    table = people.table
    order = [table["line"], *(table[f"s{j}"] for j in range(len(content.covariates.shown_names)))]
    if "id" in table.columns:
        order.append(table["id"])
    else:
        scrambled = (table["y"] * 12.9898).sin() * 43758.5453
        order += [scrambled - scrambled.floor(), table["y"]]
    return people.adding({"place": ibis.row_number().over(ibis.window(order_by=order))})


def _width(people: HeldPeople, options: Options) -> float | None:
    """Return the caliper in units of the line: standard deviations are taken over both groups (n - 1)."""
    if options.caliper is None or options.caliper_scale == "raw":
        return options.caliper
    return options.caliper * people.sums({"sd": people["line"].std(how="sample")}, "caliper")["sd"]


def _pairs(table: Any, focal: int, blocks: list[str], ratio: int, width: float | None) -> Any:
    """Return who is paired with whom, and with what weight: ``f``, ``m``, ``weight``."""
    import ibis

    window = ibis.cumulative_window(group_by=blocks, order_by=table["place"])
    other = where(table["t"] != focal, 1, 0)
    lined = table.select(*blocks, "t", "line", "place", before=other.sum().over(window).cast("int64"))
    mine, theirs = lined.filter(lined["t"] == focal), lined.filter(lined["t"] != focal)
    named = {f"b{i}": theirs[name] for i, name in enumerate(blocks)}
    theirs = theirs.select(m=theirs["place"], at=theirs["line"], rank=theirs["before"], **named)
    found: Any = None
    for step in range(ratio):
        for side, offset in ((0, -step), (1, step + 1)):
            here = mine.mutate(rank=mine["before"] + offset)
            on = [here["rank"] == theirs["rank"], *(here[n] == theirs[f"b{i}"] for i, n in enumerate(blocks))]
            joined = here.join(theirs, on, rname="{name}_other")
            part = joined.select(
                f=joined["place"], m=joined["m"], side=ibis.literal(side), step=ibis.literal(step),
                far=(joined["line"] - joined["at"]).abs(),
            )  # fmt: skip
            found = part if found is None else found.union(part)
    if width is not None:
        found = found.filter(found["far"] <= width)
    order = ibis.window(group_by="f", order_by=[found["far"], found["side"], found["step"]])
    ranked = found.mutate(nearer=ibis.row_number().over(order))
    taken = ranked.filter(ranked["nearer"] < ratio)
    count = taken["m"].count().over(ibis.window(group_by="f"))
    return taken.select("f", "m", weight=1.0 / count.cast("float64"))


def _weighed(people: HeldPeople, pairs: Any) -> HeldPeople:
    """Return people with their ``raw`` weight: one where they were given matches, and what they weigh as a match."""
    table = people.table
    focal = pairs.group_by(own=pairs["f"]).aggregate(given=pairs["m"].count())
    match = pairs.group_by(of=pairs["m"]).aggregate(taken=pairs["weight"].sum())
    joined = table.left_join(focal, table["place"] == focal["own"])
    joined = joined.left_join(match, joined["place"] == match["of"])
    raw = where(joined["given"].notnull(), 1.0, 0.0) + joined["taken"].fill_null(0.0)
    return replace(people, table=joined.select(*table.columns, raw=raw, given=joined["given"].notnull()))


def _sample(people: HeldPeople, pairs: Any, content: EnginePeople, options: Options, keep: Keep) -> HeldSample:
    """Return the rows of the outcome model: those with matches, then the matches, each with its pair."""
    table = people.table
    columns = ["t", "y", *(f"z{j}" for j in range(people.k + 1))]
    own = table.filter(table["given"])
    own = own.select(*columns, w=own["z0"] * 1.0, pair=own["place"], person=own["place"])
    matched = pairs.join(table.drop("w"), pairs["m"] == table["place"])
    matched = matched.select(*columns, w=matched["weight"], pair=matched["f"], person=matched["m"])
    stack = keep(replace(people, table=own.union(matched)), "pairs of people")
    sizes = {"rows": stack.table.count(), "sets": stack["pair"].nunique(), "people": stack["person"].nunique()}
    found = {name: int(size) for name, size in stack.sums(sizes, "number of pairs").items()}
    return HeldSample(
        replace(stack, n=found["rows"]), target_of(people, options), ("pair",), "person", found["rows"],
        found["people"], found["sets"], fixed=False, names=content.covariates.names,
    )  # fmt: skip
