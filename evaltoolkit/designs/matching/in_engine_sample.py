"""People in an engine with their weights in the matched sample: the one thing that every method returns there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaltoolkit.designs.matching.effects import Asked, Effect
from evaltoolkit.designs.matching.facts import Made
from evaltoolkit.designs.matching.fitted import too_few_to_show
from evaltoolkit.designs.matching.in_engine_balance import Groups
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.errors import NoComparisonError
from evaltoolkit.reduction.people import HeldPeople, count, unless_small, where

Keep = Callable[[HeldPeople, str], HeldPeople]
"""Keeps people in the engine as they are, so that nothing is worked out twice."""


@dataclass(frozen=True, slots=True)
class HeldMatched:
    """People with their weights in the matched sample.

    Attributes
    ----------
    people
        With ``p`` (the score) and ``w`` (0 for those not in the sample).
    groups
        Sizes and weights of both groups.
    made
        How they were made comparable.
    line
        Column by which people may be out of range of the other group.
    effect
        Estimates the effect in one way.
    """

    people: HeldPeople
    groups: Groups
    made: Made
    line: str
    effect: Callable[[Asked], Effect]


def scaled(people: HeldPeople, threshold: int) -> HeldPeople:
    """Return people with ``w``: their ``raw`` weight, of mean one among those of their group above zero.

    Raises
    ------
    NoComparisonError
        Nobody has a weight.
    DisclosureError
        Fewer people than may be shown have one in a group; the engine does not say how many.
    """
    t, raw = people["t"], people["raw"]
    asked: dict[str, Any] = {}
    for a in (0, 1):
        mine = (t == a) & (raw > 0)
        size = count(mine)
        total = where(mine, raw).sum()
        asked |= {f"n{a}": unless_small(size, [size], threshold), f"r{a}": unless_small(total, [size], threshold)}
    found = people.sums(asked, "sizes of the matched sample")
    if any(np.isnan(found[f"n{a}"]) for a in (0, 1)):
        raise too_few_to_show(threshold, "disclosure.threshold")
    if not (found["r0"] > 0 and found["r1"] > 0):
        raise NoComparisonError(
            "nobody finds a match", expected="at least one pair",
            todo="widen the caliper, loosen exact, or look at the overlap of the two groups",
        )  # fmt: skip
    by = [found[f"n{a}"] / found[f"r{a}"] for a in (0, 1)]
    return people.adding({"w": raw * where(t == 1, by[1], by[0])})


def target_of(people: HeldPeople, options: Options) -> HeldPeople:
    """Return people with ``target``: their weight where their effect is meant, else 0."""
    w, t = people["w"], people["t"]
    meant = {"ATT": t, "ATC": 1.0 - t}.get(options.estimand, people["z0"])
    return people.adding({"target": w * meant})


def line_of(people: HeldPeople, options: Options) -> Any:
    """Return what people are compared by: the logit of the score where the caliper counts in that, else the score."""
    p = people["p"]
    return people["logit"] if options.caliper_scale == "sd-logit" and options.column is None else p
