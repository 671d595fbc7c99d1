"""From people and their score to ``Matched``: one entry for each method."""

from __future__ import annotations

from collections.abc import Callable

from evaltoolkit.designs.matching import nearest, optimal, smoothed, strata, weighting
from evaltoolkit.designs.matching.keys import Method
from evaltoolkit.designs.matching.matched import Matched
from evaltoolkit.designs.matching.measures import part_of, spread_out, supported
from evaltoolkit.designs.matching.options import Options
from evaltoolkit.designs.matching.people import People
from evaltoolkit.designs.matching.score import Score
from evaltoolkit.errors import NoComparisonError

_METHODS: dict[Method, Callable[[People, Score, Options, int], Matched]] = {
    "nearest": nearest.match,
    "optimal": optimal.match_pairs,
    "full": optimal.match_sets,
    "subclass": strata.match_subclass,
    "exact": strata.match_exact,
    "coarsened-exact": strata.match_coarsened,
    "cardinality": smoothed.match_cardinality,
    "kernel": smoothed.match_kernel,
    "radius": smoothed.match_radius,
    "weighting": weighting.match,
}


def match(people: People, score: Score, options: Options, seed: int, *, where: str = "") -> Matched:
    """Make people comparable by the method that the options name.

    Parameters
    ----------
    people, score, options
        Who, their score, and how.
    seed
        Seed of whatever is drawn.
    where
        Where the caliper is declared, for messages.

    Raises
    ------
    NoComparisonError
        Nobody finds a match.
    """
    way = _METHODS[options.method]
    if options.common_support == "none":
        matched = way(people, score, options, seed)
    else:
        kept = supported(people, score, options)
        matched = spread_out(way(*part_of(people, score, kept), options, seed), people, score, options, kept)
    if not (matched.used & matched.focal).any():
        raise NoComparisonError(
            "nobody finds a match" + (" within the caliper" if matched.width is not None else ""),
            expected="at least one pair",
            todo="widen the caliper, loosen exact, or look at the overlap of the two groups", where=where,
        )  # fmt: skip
    return matched
