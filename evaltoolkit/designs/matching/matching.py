"""From people and their score to ``Matched``: one entry for each method."""

from __future__ import annotations

from collections.abc import Callable

from evaltoolkit.designs.matching import nearest
from evaltoolkit.designs.matching.matched import Matched
from evaltoolkit.designs.matching.options import Method, Options
from evaltoolkit.designs.matching.people import People
from evaltoolkit.designs.matching.score import Score
from evaltoolkit.errors import NoComparisonError

_METHODS: dict[Method, Callable[[People, Score, Options, int], Matched]] = {"nearest": nearest.match}


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
    matched = _METHODS[options.method](people, score, options, seed)
    if not (matched.used & matched.focal).any():
        raise NoComparisonError(
            "nobody finds a match" + (" within the caliper" if matched.width is not None else ""),
            expected="at least one pair",
            todo="widen the caliper, loosen exact, or look at the overlap of the two groups", where=where,
        )  # fmt: skip
    return matched
